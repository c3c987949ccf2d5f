# SPDX-License-Identifier: GPL-3.0-or-later
"""What all pictures share: colours, figures without a window system, PNG and SVG."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gr_tsddae.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Twelve hues that stay apart under the common kinds of colour blindness (Paul Tol's muted set and
# three of his vibrant one).
COLOURS = (
    "#332288", "#ee7733", "#44aa99", "#cc6677", "#88ccee", "#882255", "#ddcc77", "#117733",
    "#aa4499", "#0077bb", "#999933", "#cc3311",
)  # fmt: skip
NOISE_COLOUR = "#66707c"
INK = "#333333"  # of text and axes; a page replaces it by its own text colour
GRID = "#9aa0a6"


def new_figure(
    width: float, height: float, *, rows: int = 1, columns: int = 1, **settings: Any
) -> tuple[Figure, Any]:
    """Make a figure without pyplot, so without a window system, and its axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, **settings)
    for axis in np.atleast_1d(axes):
        axis.set_facecolor("none")
        axis.tick_params(colors=INK, labelsize=9.5, length=3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(GRID)
        for text in (axis.xaxis.label, axis.yaxis.label, axis.title, axis._left_title):
            text.set_color(INK)
        axis.xaxis.label.set_fontsize(10.5)
        axis.yaxis.label.set_fontsize(10.5)
    return figure, axes


def draw_legend_below(figure: Figure, handles: list[Any], columns: int, **settings: Any) -> None:
    """Draw the legend of a whole figure below its axes."""
    settings |= {"handles": handles, "ncols": columns, "frameon": False}
    try:
        figure.legend(loc="outside lower center", **settings)
    except ValueError:  # matplotlib before 3.7 makes no room for it
        figure.legend(loc="lower center", **settings)
        share = (0.15 + 0.22 * -(-len(handles) // columns)) / figure.get_figheight()
        figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))


def draw_grid(axis: Any) -> None:
    """Draw a faint grid behind what an axis shows."""
    axis.grid(color=GRID, alpha=0.25, linewidth=0.8)
    axis.set_axisbelow(True)


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure on white as a PNG."""
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=150, facecolor="white")


def to_svg(figure: Figure) -> str:
    """Turn a figure into an SVG element without background, in the page's text colour."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Letters as outlines: the picture is the same wherever it is shown.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": None}):
        figure.savefig(buffer, format="svg", transparent=True, dpi=150)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"(?s)<metadata>.*?</metadata>", "", text)
    # matplotlib writes each text beside its outline as a comment, which a label could end.
    text = re.sub(r"(?s)<!--.*?-->", "", text)
    return text.replace(INK, "currentColor")
