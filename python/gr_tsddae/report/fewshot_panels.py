# SPDX-License-Identifier: GPL-3.0-or-later
"""Few-shot accuracy over SNR, one panel per comparison."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gr_tsddae.report.drawing import draw_grid, new_figure, save_png

# LSM and TS-DDAE are in every panel, and look the same in each.
_COLOURS = {"lsm": "#1f6fb4", "ts-ddae": "#d9601a"}
_OTHERS = ("#3a9b5c", "#8e5bb0", "#8a8a8a", "#b8952a")
_MARKERS = "osD^"


def write_figure(path: Path, content: Mapping[str, Any]) -> None:
    """Write the panels as a PNG."""
    save_png(panels(content), path)


def panels(content: Mapping[str, Any]) -> Figure:
    """Draw every line's mean accuracy with a band of one standard deviation; 1-shot is dashed."""
    named = content["panels"]
    figure, axes = new_figure(5.2 * len(named), 4.9, columns=len(named))
    axes = np.atleast_1d(axes)
    for axis, (name, panel) in zip(axes, named.items(), strict=True):
        rivals = dict.fromkeys(
            line["method"] for line in panel["lines"] if line["method"] not in _COLOURS
        )
        colours = _COLOURS | dict(zip(rivals, _OTHERS, strict=False))
        most = max((line["shots"] for line in panel["lines"]), default=1)
        for line in panel["lines"]:
            values = line["accuracy"]
            levels = [int(level) for level in values]
            mean = np.array([value["mean"] for value in values.values()])
            spread = np.array([value["standard_deviation"] or 0 for value in values.values()])
            colour = colours[line["method"]]
            axis.fill_between(
                levels, mean - spread, mean + spread, color=colour, alpha=0.12, linewidth=0
            )
            axis.plot(
                levels, mean, color=colour, linewidth=1.7, markersize=4, label=line["name"],
                marker=_MARKERS[list(colours).index(line["method"]) % len(_MARKERS)],
                linestyle="-" if line["shots"] == most else "--",
            )  # fmt: skip
        axis.set_title(f"({name}) {panel['title']}", fontsize=11, loc="left")
        axis.set_xlabel("SNR (dB)")
        axis.set_ylim(0, 100)
        draw_grid(axis)
        if panel["lines"]:
            axis.legend(fontsize=7.5, frameon=False, handlelength=3.4, ncols=2, loc="upper center",
                        bbox_to_anchor=(0.5, -0.14))  # fmt: skip
    axes[0].set_ylabel("accuracy (%)")
    return figure
