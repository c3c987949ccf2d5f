# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark's table and curves as one HTML page that needs nothing else, and curves.png."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from gr_tsddae.files import write_text
from gr_tsddae.report.drawing import draw_grid, new_figure, save_png, to_svg
from gr_tsddae.report.page import html_page, html_table

_WHOLE_CELLS = ".scroll td { white-space: nowrap; }"  # a score and its deviation on one line
_DASHES = ("-", "--", ":", "-.")


def write_page(folder: Path, content: Mapping[str, Any], cells: list[list[str]]) -> Path:
    """Write table.html and, where there are curves, curves.png.

    Args:
        folder: An existing folder.
        content: Of table.json; its rows have `curve`, SNR -> accuracy in per cent.
        cells: The table as text, its heads first.

    Returns:
        The path of the page.
    """
    picture = ""
    if any(len(row["curve"]) > 1 for row in content["rows"]):
        figure = curves(content)
        save_png(figure, folder / "curves.png")
        picture = f"<h2>Accuracy over SNR</h2><figure>{to_svg(figure)}</figure>"
    findings = "".join(f"<li>{escape(line)}</li>" for line in content["findings"])
    body = (
        f'<p class="soft">{escape(content["note"])}</p>\n{html_table(cells)}\n'
        f"<h2>Findings</h2><ul>{findings}</ul>\n{picture}"
    )
    path = folder / "table.html"
    write_text(path, html_page(content["title"], body, style=_WHOLE_CELLS))
    return path


def curves(content: Mapping[str, Any]) -> Figure:
    """Draw each row's mean accuracy per SNR: colour by network, dash by protocol."""
    rows = [row for row in content["rows"] if len(row["curve"]) > 1]
    networks = list(dict.fromkeys(sorted(row["network"] for row in rows)))
    protocols = list(dict.fromkeys(row["protocol"] for row in rows))
    colours = matplotlib.colormaps["tab20"].colors
    figure, axis = new_figure(10.0, 5.6)
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
    draw_grid(axis)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    return figure
