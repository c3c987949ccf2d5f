# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of an evaluation: each function draws a figure from the content of metrics.json."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gr_tsddae.labels import NOISE
from gr_tsddae.report.drawing import (
    COLOURS,
    GRID,
    INK,
    NOISE_COLOUR,
    draw_grid,
    draw_legend_below,
    new_figure,
)

_BLUE, _LINE, _ORANGE = "#27496d", "#4477aa", "#ee7733"
_CELL_INK = "#1f2a36"  # on light cells, whatever the colour of the page
_DARK_CELL = 0.55  # from this share on, a cell of the blue map needs white figures
_MARKERS = "osD^vP"


def figures(result: dict[str, Any], maps: Iterable[Any]) -> dict[str, Figure]:
    """Draw all pictures for which there are numbers.

    Args:
        result: Content of metrics.json.
        maps: Objects with `title`, `points` (n, 2) and `label` (n,).

    Returns:
        File name without suffix -> figure, in the order of a report.
    """
    maps = list(maps)
    drawn: dict[str, Figure] = {}
    if len(result["accuracy_per_snr"]) > 1:
        drawn["accuracy"] = accuracy_over_snr(result)
        drawn["recall"] = recall_over_snr(result)
    if "roc" in result:
        drawn["roc"] = roc(result)
    for level, matrix in result["confusion_per_snr"].items():
        title = f"{_signed(level)} dB {_level_name(result)}"
        drawn[f"confusion_{level}dB"] = confusion(matrix, result["classes"], title)
    drawn["confusion"] = confusion(result["confusion"], result["classes"], "all windows")
    drawn["reliability"] = reliability(result)
    if maps:
        drawn["features"] = feature_maps(maps, result["classes"])
    return drawn


def accuracy_over_snr(result: dict[str, Any]) -> Figure:
    """Draw the accuracy per level with its 95 % interval; mark the best level."""
    levels = [int(level) for level in result["accuracy_per_snr"]]
    share = 100 * np.array(list(result["accuracy_per_snr"].values()))
    low, high = 100 * np.array(list(result["accuracy_per_snr_interval"].values())).T
    figure, axis = new_figure(7.6, 4.2)
    axis.fill_between(levels, low, high, color=_LINE, alpha=0.22, linewidth=0)
    axis.plot(levels, share, color=_LINE, linewidth=2, marker="o", markersize=4.5)
    best = int(np.argmax(share))
    axis.plot(levels[best], share[best], "o", color=_ORANGE, markersize=9, zorder=3)
    axis.annotate(
        f"best {share[best]:.1f} % at {_signed(levels[best])} dB",
        (levels[best], high[best]),
        (0, 5),
        textcoords="offset points",
        ha="right" if best > len(levels) / 2 else "left",
        fontsize=10,
        color=INK,
    )
    average = 100 * result["average_over_snr"]
    axis.axhline(average, color=GRID, linewidth=1, linestyle=(0, (5, 4)))
    axis.text(
        0.01,
        average + 1.2,
        f"average {average:.1f} %",
        transform=axis.get_yaxis_transform(),
        fontsize=10,
        color=INK,
    )
    axis.set_ylim(0, 106)
    axis.set_yticks(range(0, 101, 20))
    axis.set_xlabel(f"{_level_name(result)} [dB]")
    axis.set_ylabel("Accuracy [%]")
    axis.margins(x=0.02)
    draw_grid(axis)
    return figure


def recall_over_snr(result: dict[str, Any]) -> Figure:
    """Draw how often each class is recognised at each level, as a map of percentages."""
    levels = [int(level) for level in result["accuracy_per_snr"]]
    names = list(result["recall_per_snr"])
    share = np.full((len(names), len(levels)), np.nan)
    for row, name in enumerate(names):
        for level, value in result["recall_per_snr"][name].items():
            share[row, levels.index(int(level))] = value
    figure, axis = new_figure(max(5.0, 1.8 + 0.42 * len(levels)), 1.4 + 0.34 * len(names))
    _cells(axis, share)
    axis.set_xticks(np.arange(len(levels)) + 0.5, [_signed(level) for level in levels])
    axis.set_yticks(np.arange(len(names)) + 0.5, [_plain(name) for name in names])
    axis.set_xlabel(f"{_level_name(result)} [dB]")
    axis.set_title("Share of each class that is recognised [%]", loc="left", fontsize=11)
    return figure


def confusion(matrix: list[list[int]], classes: list[str], title: str) -> Figure:
    """Draw the percentages of each true class that were called each class; rows sum to 100."""
    counts = np.array(matrix, float)
    held = counts.sum(1) > 0
    share = counts / np.where(held, counts.sum(1), np.nan)[:, None]
    names = [_plain(name) for name in classes]
    size = 2.0 + 0.46 * len(classes)
    figure, axis = new_figure(max(4.2, size), max(3.6, size - 0.4))
    _cells(axis, share)
    axis.set_aspect("equal")
    axis.set_xticks(
        np.arange(len(names)) + 0.5, names, rotation=45, ha="right", rotation_mode="anchor"
    )
    axis.set_yticks(np.arange(len(names)) + 0.5, names)
    axis.set_xlabel("Called")
    axis.set_ylabel("True")
    axis.set_title(f"Confusion, {title} [%]", loc="left", fontsize=11)
    return figure


def reliability(result: dict[str, Any]) -> Figure:
    """Draw accuracy against confidence; under it, how many windows have which confidence."""
    bins = result["reliability"]
    figure, (axis, below) = new_figure(5.4, 5.4, rows=2, height_ratios=(3, 1), sharex=True)
    left = [b["low"] for b in bins]
    width = [b["high"] - b["low"] for b in bins]
    accuracy = [b["accuracy"] for b in bins]
    axis.bar(left, accuracy, width, align="edge", color="#77aadd", edgecolor="white", linewidth=0.8)
    axis.plot([b["confidence"] for b in bins], accuracy, "o", color=_BLUE, markersize=4.5, zorder=3)
    axis.plot([0, 1], [0, 1], color=GRID, linestyle=(0, (5, 4)), linewidth=1.2)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.set_ylabel("Accuracy")
    axis.text(
        0.03,
        0.97,
        f"calibration error {result['ece']:.3f}\nunder the diagonal: too sure of itself",
        transform=axis.transAxes,
        va="top",
        fontsize=10,
        linespacing=1.5,
        color=INK,
    )
    share = [100 * b["windows"] / result["windows"] for b in bins]
    below.bar(left, share, width, align="edge", color=GRID, edgecolor="white", linewidth=0.8)
    below.set_ylabel("Windows [%]")
    below.set_xlabel("Confidence")
    for each in (axis, below):
        draw_grid(each)
    return figure


def roc(result: dict[str, Any]) -> Figure:
    """Draw detections against false alarms, one curve per level."""
    figure, axis = new_figure(5.4, 5.2)
    levels = sorted((level for level in result["roc"] if level != "all"), key=int)
    for number, level in enumerate(levels or ["all"]):
        curve = result["roc"][level]
        where = f"{_signed(level)} dB" if levels else "all"
        axis.plot(
            curve["false_positive_share"],
            curve["true_positive_share"],
            color=COLOURS[number % len(COLOURS)],
            linestyle=("-", "--", "-.", ":")[number // len(COLOURS) % 4],
            linewidth=2,
            label=f"{where}: AUC {curve['auc']:.4f}",
        )
    axis.plot([0, 1], [0, 1], color=GRID, linestyle=(0, (5, 4)), linewidth=1)
    axis.set_aspect("equal")
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("False alarms")
    axis.set_ylabel("Detections")
    axis.set_title(_plain(f"Detection of {result['positive']}"), loc="left", fontsize=11)
    legend = axis.legend(
        loc="lower right",
        frameon=False,
        labelcolor=INK,
        title=_level_name(result) if levels else None,
    )
    legend.get_title().set_color(INK)
    draw_grid(axis)
    return figure


def feature_maps(maps: list[Any], classes: list[str]) -> Figure:
    """Draw features laid out in a plane: neighbours look alike to the network."""
    figure, axes = new_figure(4.1 * len(maps), 4.9, columns=len(maps))
    axes = np.atleast_1d(axes)
    styles = _class_styles(classes)
    for axis, each in zip(axes, maps, strict=True):
        size = 13 if len(each.label) > 300 else 30
        for index in np.unique(each.label):
            x, y = each.points[each.label == index].T
            colour, marker = styles[index]
            axis.scatter(
                x, y, s=size, c=colour, marker=marker, alpha=0.8, linewidths=0, rasterized=True
            )
        axis.set_title(_plain(_signed(each.title)), fontsize=11)
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set(visible=True, color=GRID, linewidth=0.8)
    held = sorted({int(index) for each in maps for index in np.unique(each.label)})
    handles = [
        Line2D([], [], color=styles[i][0], marker=styles[i][1], linestyle="",
               markersize=6, label=_plain(classes[i]))
        for i in held
    ]  # fmt: skip
    draw_legend_below(figure, handles, min(-(-len(held) // 2), 3 * len(maps)), labelcolor=INK)
    return figure


def _cells(axis: Any, share: np.ndarray) -> None:
    """Draw shares (rows, columns) as blue cells with their percentage; leave NaN blank."""
    axis.pcolormesh(
        np.ma.masked_invalid(share), cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.7
    )
    for (row, column), value in np.ndenumerate(share):
        if value > 0.005:  # NaN is not
            axis.text(
                column + 0.5,
                row + 0.5,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if value > _DARK_CELL else _CELL_INK,
            )
    axis.invert_yaxis()
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def _class_styles(classes: list[str]) -> list[tuple[str, str]]:
    """Choose colour and marker per class; from the thirteenth on, colours come again."""
    styles = []
    for index, name in enumerate(classes):
        repeat, colour = divmod(index, len(COLOURS))
        marker = _MARKERS[(index + repeat) % len(_MARKERS)]
        styles.append((NOISE_COLOUR if name == NOISE else COLOURS[colour], marker))
    return styles


def _level_name(result: dict[str, Any]) -> str:
    return result["level_name"] or "SNR"


def _signed(level: int | str) -> str:
    """Write a level with a true minus sign instead of a leading hyphen."""
    return re.sub("^-", "−", str(level))


def _plain(text: str) -> str:
    """Escape dollars: matplotlib would take the text between two of them for a formula."""
    return text.replace("$", r"\$")
