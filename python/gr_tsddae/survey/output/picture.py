# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectrogram of a recording with a box round every emission."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gr_tsddae.files import replacing
from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.labels import UNKNOWN
from gr_tsddae.survey.detection.spectrum import power_frames
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.naming import baud, class_name

ROWS, BINS = 600, 1024
KNOWN_COLOUR, UNKNOWN_COLOUR = "#ff8a5c", "#ffffff"
BRIGHTEST_DB = 20, 60  # over the median: the least and the most
LABEL_PAD = 1.5  # pixels
FRAMES_PER_ROW = 4  # at most, averaged; a long recording is looked at in places


def spectrogram(capture: Capture) -> np.ndarray:
    """Power in dB, float32 (rows, BINS), first row first and lowest frequency first."""
    bins = min(BINS, 1 << max(4, int(np.log2(max(capture.sample_count, 16))) // 2))
    rows = max(1, min(ROWS, capture.sample_count // bins))
    lines = np.empty((rows, bins), np.float32)
    for row in range(rows):
        first = row * capture.sample_count // rows
        count = min(bins * (FRAMES_PER_ROW + 1) // 2, capture.sample_count - first)
        samples = np.nan_to_num(capture.read(first, count), posinf=0, neginf=0)
        samples = np.pad(samples, (0, max(0, bins - count)))
        frames = max(1, 2 * len(samples) // bins - 1)
        lines[row] = power_frames(samples, bins, frames).mean(0)
    return 10 * np.log10(lines + 1e-20)


def draw(capture: Capture, emissions: Sequence[Emission], path: Path) -> None:
    """Write a PNG: frequency to the right, time downwards, a labelled box round each emission.

    No label covers another: one that finds no place shrinks to the emission's number, and is left
    out where not even that fits.

    Raises:
        ImportError: without matplotlib.
        OSError: when it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    power_db = spectrogram(capture)
    center_hz = capture.center_frequency_hz
    middle_mhz, half_mhz = (center_hz or 0.0) / 1e6, capture.sample_rate_hz / 2e6
    seconds = capture.duration_s
    figure = Figure(figsize=(14, 9), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    power_db -= np.median(power_db)
    image = axis.imshow(
        power_db,
        aspect="auto",
        cmap="viridis",
        vmin=-5,
        vmax=float(np.clip(np.quantile(power_db, 0.998), *BRIGHTEST_DB)),
        extent=(middle_mhz - half_mhz, middle_mhz + half_mhz, seconds, 0),
        interpolation="nearest",
    )
    figure.colorbar(image, ax=axis, label="dB over the median", fraction=0.03, pad=0.01)
    axis.ticklabel_format(axis="x", useOffset=False)
    axis.set_xlabel("MHz" if center_hz else "MHz from the centre")
    axis.set_ylabel("s")
    count = f"{len(emissions)} emission{'' if len(emissions) == 1 else 's'}"
    axis.set_title(f"{capture.path.name}: {count if emissions else 'no emission found'}")
    least_mhz, least_s = 2 * half_mhz / 300, seconds / 150  # a box one can see
    figure.draw_without_rendering()  # settles the layout, so that pixels can be told
    figure.set_layout_engine("none")
    boxes, words = [], []
    for emission in sorted(emissions, key=lambda emission: -emission.snr_db):
        low, high = ((emission.band_center_hz or 0.0) / 1e6 + edge / 1e6 for edge in
                     (emission.low_hz, emission.high_hz))  # fmt: skip
        width, length = max(high - low, least_mhz), max(emission.stop_s - emission.start_s, least_s)
        corner = ((low + high - width) / 2, emission.start_s)
        colour = UNKNOWN_COLOUR if emission.label == UNKNOWN else KNOWN_COLOUR
        boxes.append(Rectangle(corner, width, length, fill=False, ec=colour, lw=1.2))
        axis.add_patch(boxes[-1])
        words.append([_words(emission), str(emission.id)])
    _label(axis, canvas.get_renderer(), boxes, words)
    with replacing(path) as partial:
        figure.savefig(partial, format="png")


def _words(emission: Emission) -> str:
    """What a box says: number and class, symbol rate, and the best candidate with a doubt."""
    words = f"{emission.id} {class_name(emission)}"
    if emission.symbol_rate_hz:
        words += f" {baud(emission.symbol_rate_hz)}"
    if emission.candidates:
        name = re.sub(r" \(.*|,.*", "", emission.candidates[0])
        words += f"\n{textwrap.shorten(name, 34, placeholder=' ...')}?"
    return words


def _label(axis: Any, renderer: Any, boxes: Sequence[Any], words: Sequence[Sequence[str]]) -> None:
    """Write, at each box, the first of its texts that finds a place where it covers no other label.

    Args:
        axis: matplotlib axes whose limits are settled.
        renderer: that will draw them.
        boxes: patches, those first that are to have their label for sure.
        words: texts for each box.
    """
    from matplotlib.transforms import Bbox

    room = axis.get_window_extent(renderer)
    extents = [Bbox.intersection(box.get_window_extent(renderer), room) for box in boxes]
    taken: list[Any] = []
    for box, around, texts in zip(boxes, extents, words, strict=True):
        if around is None:
            continue
        others = [other for other in extents if other is not None and other is not around]
        for each in texts:
            text = axis.text(
                0, 0, each, color=box.get_edgecolor(), fontsize=8, va="bottom", transform=None,
                bbox={"facecolor": "black", "alpha": 0.8, "pad": LABEL_PAD, "lw": 0},
            )  # fmt: skip
            size = text.get_window_extent(renderer)
            width, height = size.width + 2 * LABEL_PAD + 2, size.height + 2 * LABEL_PAD + 2
            places = [
                Bbox.from_bounds(min(max(x, room.x0), room.x1 - width), y, width, height)
                for x, y in _places(around, width, height)
                if y >= room.y0 and y + height <= room.y1
            ]
            free = [place for place in places if not place.count_overlaps(taken)]
            if free:
                best = min(free, key=lambda place: place.count_overlaps(others))
                text.set_position((best.x0 + LABEL_PAD + 1, best.y0 + LABEL_PAD + 1))
                taken.append(best)
                break
            text.remove()


def _places(box: Any, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Lower left corners for a label at a box, the best first; all in pixels, up is more."""
    middle = (box.x0 + box.x1 - width) / 2
    if box.width > width and box.height > height:
        yield middle, box.y1 - height  # within, at its begin
    yield middle, box.y1  # above
    yield middle, box.y0 - height  # below
    for y in np.arange(box.y1 - height, box.y0 - height / 2, -height):
        yield box.x1, float(y)  # to the right
        yield box.x0 - width, float(y)  # to the left
    for step in range(1, 4):
        yield middle, box.y1 + step * height
        yield middle, box.y0 - (step + 1) * height
