# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark's table and its curves as one HTML page that needs nothing else; curves.png."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr_tsddae.files import write_bytes, write_text
from gr_tsddae.report.evaluation_page import _STYLE, _svg
from gr_tsddae.report.evaluation_plots import _figure, _grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHOLE_CELLS = ".scroll td { white-space: nowrap; }"  # a figure and its spread on one line
_DASHES = ("-", "--", ":", "-.")


def write_page(folder: Path, content: Mapping[str, Any], cells: list[list[str]]) -> Path:
    """Write table.html and, where there are curves, curves.png.

    Args:
        folder: exists.
        content: of table.json; rows have `curve`, SNR -> accuracy in per cent.
        cells: the table as text, its heads first.

    Returns:
        The path of the page.
    """
    picture = ""
    if any(len(row["curve"]) > 1 for row in content["rows"]):
        figure = curves(content)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, facecolor="white")
        write_bytes(folder / "curves.png", buffer.getvalue())
        picture = f"<h2>Accuracy over SNR</h2><figure>{_svg(figure)}</figure>"
    head, *lines = cells
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
    )
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    findings = "".join(f"<li>{escape(line)}</li>" for line in content["findings"])
    title = escape(content["title"])
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}{_WHOLE_CELLS}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f'<p class="soft">{escape(content["note"])}</p>\n'
        f'<div class="scroll"><table><tr>{heads}</tr>{rows}</table></div>\n'
        f"<h2>Findings</h2><ul>{findings}</ul>\n{picture}\n</body>\n</html>\n"
    )
    write_text(folder / "table.html", page)
    return folder / "table.html"


def curves(content: Mapping[str, Any]) -> Figure:
    """Accuracy per SNR, the mean over seeds, of all rows: colour by network, dash by protocol."""
    import matplotlib

    rows = [row for row in content["rows"] if len(row["curve"]) > 1]
    networks = list(dict.fromkeys(sorted(row["network"] for row in rows)))
    protocols = list(dict.fromkeys(row["protocol"] for row in rows))
    colours = matplotlib.colormaps["tab20"].colors
    figure, axis = _figure(10.0, 5.6)
    for row in rows:
        levels = sorted(map(int, row["curve"]))
        axis.plot(
            levels,
            [row["curve"][str(level)] for level in levels],
            label=row["name"],
            color=colours[networks.index(row["network"]) % len(colours)],
            linestyle=_DASHES[protocols.index(row["protocol"]) % len(_DASHES)],
            linewidth=1.6,
        )
    axis.set_xlabel("SNR (dB)")
    axis.set_ylabel("accuracy (%)")
    axis.set_ylim(0, 100)
    _grid(axis)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    return figure
