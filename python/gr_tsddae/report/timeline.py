# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of a whole capture: spectrogram, recognised labels over time, confidence."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gr_tsddae.files import replacing
from gr_tsddae.iq.sigmf.model_annotation import merged
from gr_tsddae.iq.sigmf.opinion import is_opinion
from gr_tsddae.labels import NOISE, UNKNOWN
from gr_tsddae.report.drawing import COLOURS, INK, NOISE_COLOUR, draw_legend_below

if TYPE_CHECKING:
    from gr_tsddae.iq.formats.capture import Annotation, Capture
    from gr_tsddae.iq.sigmf.model_annotation import DecisionLike, ModelAnnotation

MAX_COLUMNS = 1500
FFT_SIZE = 512  # frequency bins; fewer for a capture too short for 64 columns

# From the thirteenth class on, colours come again, hatched.
_HATCHES = ("", "////", "....", "xxxx")
_GREY = "#d9d9d9"
_FRAMES_PER_COLUMN = 8
_DYNAMIC_RANGE_DB = 50.0  # bins further below the strongest ones are black


def spectrogram(capture: Capture) -> tuple[np.ndarray, np.ndarray]:
    """Compute power over time and frequency, in memory that does not grow with the capture.

    Each column is the mean of a few Hann-windowed frames spread over its share of the capture.

    Args:
        capture: Any length; samples that are not finite count as 0.

    Returns:
        power_db: (columns, bins) float32, dB relative to full scale per bin, frequency ascending.
        edges: (columns + 1,) int64, sample numbers where columns begin and end.
    """
    fft_size = FFT_SIZE
    while fft_size > 32 and capture.sample_count < 64 * fft_size:
        fft_size //= 2
    columns = max(1, min(MAX_COLUMNS, 2 * capture.sample_count // fft_size))
    edges = np.linspace(0, capture.sample_count, columns + 1).astype(np.int64)
    hann = np.hanning(fft_size + 2)[1:-1].astype(np.float32)
    hann /= hann.sum()
    power = np.empty((columns, fft_size), np.float32)
    for column, (start, end) in enumerate(itertools.pairwise(edges)):
        frames = _frames(capture, int(start), int(end), fft_size)  # (frames, fft_size)
        spectrum = np.fft.fftshift(np.fft.fft(frames * hann, axis=1), axes=1)
        power[column] = np.mean(np.abs(spectrum) ** 2, axis=0)
    return 10 * np.log10(power + 1e-20), edges


def plot_timeline(
    capture: Capture,
    decisions: Iterable[DecisionLike],
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str],
    title: str | None = None,
    confidence_threshold: float | None = None,
) -> Path:
    """Draw a capture and its decisions into a PNG.

    From top to bottom: the spectrogram; the decided labels, one colour per class; the labels that
    came with the capture, if any; the confidence. Decisions called `unknown` or below the
    threshold are grey and hatched.

    Args:
        capture: Of any length.
        decisions: In any order.
        path: The PNG to write; a missing folder is made.
        classes: All classes of the model; their order fixes their colours from picture to picture.
        title: Headline; None for the file name.
        confidence_threshold: Confidence below which a label is not believed, 0 to 1; None
            believes every label.

    Returns:
        The path of the PNG.

    Raises:
        RuntimeError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RuntimeError(
            "drawing a timeline needs matplotlib; run: pip install matplotlib"
        ) from error
    decisions = sorted(decisions, key=lambda decision: decision.first_sample)
    truth = [each for each in capture.annotations if not is_opinion(each.generator)]
    heights = [6.0, 0.9, *([0.55] if truth else []), 1.8]
    figure = Figure(figsize=(12, 1.6 + 0.72 * sum(heights)), dpi=110, layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    scale = _TimeScale(capture)
    colours = _Colours(classes)

    _draw_spectrogram(axes[0], capture, scale)  # also sets the time axis of all rows
    believed = merged(_Believed(decision, confidence_threshold) for decision in decisions)
    used = _draw_labels(axes[1], "decided", believed, scale, colours)
    if truth:
        used |= _draw_labels(axes[2], "true", truth, scale, colours)
    _draw_confidence(axes[-1], decisions, scale, colours, confidence_threshold)

    axes[-1].set_xlabel(scale.name)
    figure.suptitle(
        title or capture.path.name.removesuffix(".sigmf-meta"),
        fontsize=13,
        fontweight="bold",
        color=INK,
    )
    _draw_legend(figure, colours.ordered(used), colours)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        figure.savefig(partial, format="png")
    return path


class _TimeScale:
    """Converts sample numbers to seconds, or to samples where the rate is not known."""

    def __init__(self, capture: Capture) -> None:
        rate_hz, duration_s = capture.sample_rate_hz, capture.duration_s
        if rate_hz is None or duration_s is None:
            self._per_sample, self.name = 1.0, "Sample"
            return
        unit_s, unit = next(
            ((u, name) for u, name in ((1.0, "s"), (1e-3, "ms")) if duration_s >= u), (1e-6, "µs")
        )
        self._per_sample, self.name = 1 / rate_hz / unit_s, f"Time [{unit}]"

    def of(self, sample: Any) -> Any:
        return np.multiply(sample, self._per_sample)


class _Colours:
    """One colour (and hatch, beyond twelve) per class, by its place in the model's list.

    Noise is slate in every model, so that it never looks like a signal.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._order = {label: place for place, label in enumerate(classes)}

    def style(self, label: str) -> dict[str, Any]:
        """Choose face, hatch and edge: grey hatched for unknown, white for names of no class."""
        if label == UNKNOWN:
            return {"facecolor": _GREY, "hatch": "////", "edgecolor": "#9a9a9a", "linewidth": 0}
        if label == NOISE:
            return {"facecolor": NOISE_COLOUR, "linewidth": 0}
        if label not in self._order:
            return {"facecolor": "white", "edgecolor": INK, "linewidth": 0.8}
        repeat, colour = divmod(self._order[label], len(COLOURS))
        return {
            "facecolor": COLOURS[colour],
            "hatch": _HATCHES[repeat % len(_HATCHES)],
            "edgecolor": "white",
            "linewidth": 0,
        }

    def ordered(self, labels: set[str]) -> list[str]:
        """Sort the known classes in the model's order, then the rest by name, `unknown` last."""
        last = len(self._order)
        return sorted(labels, key=lambda x: (x == UNKNOWN, self._order.get(x, last), x))


class _Believed:
    """A decision, called unknown where its confidence is below the threshold."""

    def __init__(self, decision: DecisionLike, threshold: float | None) -> None:
        self.first_sample, self.sample_count = decision.first_sample, decision.sample_count
        self.confidence, self.model = decision.confidence, ""
        self.center_frequency_hz = self.sample_rate_hz = None  # not used for a label
        doubted = threshold is not None and not decision.confidence >= threshold
        self.label = UNKNOWN if doubted else decision.label


def _frames(capture: Capture, start: int, end: int, fft_size: int) -> np.ndarray:
    """Read a few frames spread evenly from `start` to `end`: (frames, fft_size) complex64."""
    room = end - start - fft_size
    count = max(1, min(_FRAMES_PER_COLUMN, 1 + max(0, room) // fft_size))
    frames = np.zeros((count, fft_size), np.complex64)
    for frame, offset in zip(frames, np.linspace(0, max(0, room), count), strict=True):
        first = max(0, min(start + int(offset), capture.sample_count - fft_size))
        available = min(fft_size, capture.sample_count - first)
        frame[:available] = capture.read(first, available)
    return np.where(np.isfinite(frames), frames, 0)


def _draw_spectrogram(axis: Any, capture: Capture, scale: _TimeScale) -> None:
    power_db, edges = spectrogram(capture)
    floor_db, top_db = np.percentile(power_db, (10, 99.8))
    floor_db = max(floor_db - 3, top_db - _DYNAMIC_RANGE_DB)
    if capture.sample_rate_hz is None:
        span, unit, name = 1.0, "", "Frequency [cycles/sample]"
    else:
        mega = capture.sample_rate_hz >= 2e6
        span = capture.sample_rate_hz / (1e6 if mega else 1e3)
        unit, name = ("MHz", "Offset [MHz]") if mega else ("kHz", "Offset [kHz]")
    bins = power_db.shape[1]
    # The FFT's first bin is centred on -span/2, so the picture lies half a bin lower.
    low = -span / 2 - span / bins / 2
    axis.imshow(
        power_db.T,
        origin="lower",
        aspect="auto",
        extent=(0, scale.of(edges[-1]), low, low + span),
        cmap="viridis",
        vmin=floor_db,
        vmax=max(top_db, floor_db + 10),
        interpolation="nearest" if power_db.shape[0] < 300 else "antialiased",
    )
    axis.set_ylabel(name)
    axis.axhline(0, color="white", linewidth=0.5, alpha=0.35, linestyle=(0, (6, 6)))
    notes = [_frequency_text(capture.center_frequency_hz), _rate_text(capture, unit)]
    axis.set_title("   ".join(note for note in notes if note), fontsize=9, color=INK, loc="left")


def _frequency_text(frequency_hz: float | None) -> str:
    return "" if frequency_hz is None else f"centre {frequency_hz / 1e6:.6g} MHz"


def _rate_text(capture: Capture, unit: str) -> str:
    if capture.sample_rate_hz is None:
        return f"{capture.format}, sample rate unknown"
    divisor, unit = (1e6, "MS/s") if unit == "MHz" else (1e3, "kS/s")
    return f"{capture.sample_rate_hz / divisor:.6g} {unit}   {capture.format}"


def _draw_labels(
    axis: Any,
    name: str,
    spans: Sequence[Annotation | ModelAnnotation],
    scale: _TimeScale,
    colours: _Colours,
) -> set[str]:
    """Draw one bar per annotation, with its label where there is room; return the labels."""
    from matplotlib.colors import to_rgb

    axis.set_ylim(0, 1)
    axis.set_yticks([])
    axis.set_ylabel(name, rotation=0, ha="right", va="center")
    axis.set_facecolor("#fafafa")
    width_inches = axis.figure.get_figwidth() * 0.88
    total = axis.get_xlim()[1]
    for span in spans:
        style = colours.style(span.label)
        start, width = scale.of(span.first_sample), scale.of(span.sample_count)
        axis.broken_barh([(start, width)], (0.06, 0.88), **style)
        if width / total * width_inches > 0.085 * len(span.label) + 0.1:
            luminance = np.dot(to_rgb(style["facecolor"]), (0.299, 0.587, 0.114))
            axis.text(
                start + width / 2,
                0.48,
                span.label,
                ha="center",
                va="center",
                fontsize=9,
                color="white" if luminance < 0.55 else INK,
                clip_on=True,
            )
    return {span.label for span in spans}


def _draw_confidence(
    axis: Any,
    decisions: Sequence[DecisionLike],
    scale: _TimeScale,
    colours: _Colours,
    threshold: float | None,
) -> None:
    """Draw confidence as steps, one per decision, and the threshold as a dashed line."""
    axis.set_ylim(0, 1.05)
    axis.set_yticks([0, 0.5, 1])
    axis.set_ylabel("confidence")
    axis.grid(axis="y", color="#e6e6e6")
    axis.set_axisbelow(True)
    for run_of_decisions in _contiguous(decisions):
        starts = [decision.first_sample for decision in run_of_decisions]
        end = run_of_decisions[-1].first_sample + run_of_decisions[-1].sample_count
        values = [decision.confidence for decision in run_of_decisions]
        edges = scale.of([*starts, end])
        axis.stairs(values, edges, fill=True, color="#c6d4e3")
        axis.stairs(values, edges, baseline=None, color="#27496d", linewidth=1.1)
    if threshold is not None:
        axis.axhline(threshold, color="#cc3311", linewidth=1, linestyle="--")
        axis.text(
            1.003,
            threshold,
            f"{threshold:.2f}",
            transform=axis.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color="#cc3311",
        )


def _contiguous(decisions: Sequence[DecisionLike]) -> list[list[DecisionLike]]:
    """Group decisions between which there is no gap."""
    groups: list[list[DecisionLike]] = []
    end = None
    for decision in decisions:
        if end is None or decision.first_sample > end:
            groups.append([])
        groups[-1].append(decision)
        end = max(end or 0, decision.first_sample + decision.sample_count)
    return groups


def _draw_legend(figure: Any, labels: Sequence[str], colours: _Colours) -> None:
    from matplotlib.patches import Patch

    if labels:
        patches = [Patch(label=label, **colours.style(label)) for label in labels]
        draw_legend_below(figure, patches, min(len(labels), 8), fontsize=9)
