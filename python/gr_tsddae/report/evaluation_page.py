# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as one HTML page that needs nothing else, and its pictures as PNGs beside it."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from gr_tsddae.files import write_text
from gr_tsddae.report.drawing import save_png, to_svg
from gr_tsddae.report.page import html_page, html_table

_CLASSES_SIDE_BY_SIDE = 14  # larger confusion matrices need the whole width

_CAPTIONS = {
    "accuracy": "The band is the 95 % interval of each point.",
    "recall": "Read along a row: from which level on a class is recognised.",
    "reliability": "Of all windows recognised with a confidence of 0.8, 80 % should be right: the "
    "bars then reach the diagonal. Dots stand at the mean confidence of their bar.",
    "features": "t-SNE of the features before the classifier. Neighbours look alike to the "
    "network; distances between far groups, and the axes, mean nothing.",
    "roc": "One curve per level; the nearer to the upper left corner, the better.",
}


def write_report(folder: Path, result: dict[str, Any], maps: Iterable[Any] = ()) -> Path:
    """Write report.html and one PNG per picture.

    Args:
        folder: An existing folder.
        result: Content of metrics.json, see `train.evaluate.evaluate_dataset`.
        maps: See `evaluation_plots.figures`.

    Returns:
        The path of the page.

    Raises:
        RuntimeError: matplotlib is not installed.
    """
    try:
        from gr_tsddae.report.evaluation_plots import figures

        drawn = figures(result, maps)
    except ImportError as error:
        raise RuntimeError(
            "a report needs matplotlib: run `pip install matplotlib`, or use --report=false"
        ) from error
    pictures = {}
    for name, figure in drawn.items():
        save_png(figure, folder / f"{name}.png")
        pictures[name] = to_svg(figure)
    page = render_page(result, pictures)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def render_page(result: dict[str, Any], pictures: dict[str, str]) -> str:
    """Write the page as text; whatever comes from files is escaped.

    Args:
        result: Content of metrics.json.
        pictures: Name -> SVG element, from `evaluation_plots`.
    """
    data, level_name = result["dataset"], result["level_name"] or "SNR"
    title = f"{result['model']} on {data['kind']}"
    confusions = [name for name in pictures if name.startswith("confusion_")]
    small = len(result["classes"]) <= _CLASSES_SIDE_BY_SIDE
    sections = [
        f'<p class="soft">{escape(_what(result))}</p>',
        _tiles(result, level_name),
        _mistakes(result, level_name),
        _section(f"Accuracy over {level_name}", pictures, ["accuracy", "recall"]),
        _section("Detection", pictures, ["roc"]),
        _section("What is taken for what", pictures, [*confusions, "confusion"], pair=small),
        _section("Does confidence mean what it says?", pictures, ["reliability"]),
        _section("What the network sees", pictures, ["features"]),
        "<h2>Per class</h2>" + _class_table(result),
        "<h2>Model</h2>" + _words(result["card"]),
        "<h2>Data</h2>" + _words(data | _skipped(result)),
        "<h2>Make it again</h2>" + f"<pre>{escape(result['command'])}</pre>",
    ]
    return html_page(title, "\n".join(part for part in sections if part))


def _what(result: dict[str, Any]) -> str:
    data = result["dataset"]
    part = "" if data["part"] == "all" else f", the split's {data['part']} set"
    among = "the classes the data holds" if data["closed_set"] else "all classes of the model"
    return (
        f"{result['windows']:,} windows of {data['window_samples']} samples from "
        f"{data['path']}{part}; decided among {among}."
    )


def _tiles(result: dict[str, Any], level_name: str) -> str:
    def within(name: str) -> str:
        low, high = result[name]
        return f"95 %: {100 * low:.1f} to {100 * high:.1f}"

    tiles = [(_percent(result["accuracy"]), "accuracy", within("accuracy_interval"))]
    if result["accuracy_per_snr"]:
        average = _percent(result["average_over_snr"])
        tiles += [
            (average, f"average over {level_name}", within("average_over_snr_interval")),
            (_percent(result["best"]), "best", f"at {result['best_snr_db']} dB {level_name}"),
        ]
    if "roc" in result:
        tiles.append((f"{result['roc']['all']['auc']:.4f}", "AUC", "all levels together"))
    tiles += [
        (f"{result['macro_f1']:.3f}", "macro-F1", "mean over classes"),
        (f"{result['ece']:.3f}", "calibration error", f"NLL {result['nll']:.3f}"),
    ]
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{escape(value)}</b>{escape(name)}<br>'
            f"<span>{escape(note)}</span></div>"
            for value, name, note in tiles
        )
        + "</div>"
    )


def _mistakes(result: dict[str, Any], level_name: str) -> str:
    if not result["top_confusions"]:
        return ""
    where = f" at {result['best_snr_db']} dB {level_name}" if result["accuracy_per_snr"] else ""
    told = "; ".join(
        f"{escape(m['true'])} → {escape(m['called'])} {100 * m['share']:.0f} %"
        for m in result["top_confusions"][:5]
    )
    return f"<p>Most often taken for another{where}: {told}.</p>"


def _section(title: str, pictures: dict[str, str], names: list[str], *, pair: bool = False) -> str:
    figures = [
        f'<figure class="scroll">{pictures[name]}'
        + (f"<figcaption>{_CAPTIONS[name]}</figcaption>" if name in _CAPTIONS else "")
        + "</figure>"
        for name in names
        if name in pictures
    ]
    if not figures:
        return ""
    inside = "\n".join(figures)
    return f"<h2>{escape(title)}</h2>\n" + (f'<div class="pair">{inside}</div>' if pair else inside)


def _class_table(result: dict[str, Any]) -> str:
    lines = [("Class", "Windows", "Recall", "Precision", "F1")]
    for name, counts in zip(result["classes"], result["confusion"], strict=True):
        if name not in result["recall"]:
            continue
        recall, precision = result["recall"][name], result["precision"][name]
        f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
        lines.append((name, f"{sum(counts):,}", _percent(recall), _percent(precision), f"{f1:.3f}"))
    return html_table(lines)


def _words(entries: dict[str, Any]) -> str:
    def told(value: Any) -> str:
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        if isinstance(value, dict):
            return "; ".join(f"{k}: {v}" for k, v in value.items())
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{value:,}" if isinstance(value, int) else str(value)

    rows = [
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{escape(told(value))}</td></tr>"
        for name, value in entries.items()
        if value is not None and value != "" and value != {}
    ]
    return f'<table class="words">{"".join(rows)}</table>'


def _skipped(result: dict[str, Any]) -> dict[str, Any]:
    return {"windows left out": result["skipped"] or "none"}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
