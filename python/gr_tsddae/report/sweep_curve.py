# SPDX-License-Identifier: GPL-3.0-or-later
"""The curve of a sweep: scores over the value that was varied."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gr_tsddae.report.drawing import draw_grid, new_figure, save_png


def write_curve(
    path: Path, content: Mapping[str, Any], values: Sequence[float], *, axis_name: str, areas: bool
) -> None:
    """Write the mean over seeds with its standard deviation, and each seed, as a PNG."""
    figure, axis = new_figure(6.4, 4.0)
    for column in content["columns"]:
        # The accuracy at the best SNR is far from the average; it is in the table.
        if column == "best" or column.startswith("AUC") != areas:
            continue
        found = [row["values"][column] for row in content["rows"]]
        means = [value["mean"] for value in found]
        spreads = [value["standard_deviation"] or 0.0 for value in found]
        axis.errorbar(values, means, yerr=spreads, marker="o", capsize=3, label=column)
        dots = [(x, y) for x, v in zip(values, found, strict=True) for y in v["per_seed"].values()]
        axis.scatter(*zip(*dots, strict=True), s=8, color="0.5", zorder=1)
    axis.set_xlabel(axis_name)
    axis.set_xticks(values)
    axis.set_ylabel("area under the ROC" if areas else "accuracy (%)")
    draw_grid(axis)
    axis.legend()
    axis.set_title("\n".join([content["title"], *content["findings"]]), fontsize=9)
    save_png(figure, path)
