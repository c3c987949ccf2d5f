# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectrogram of a recording with a box round every emission."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gr_tsddae.files import replacing
from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.labels import UNKNOWN
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.spectrum import power_frames

ROWS, BINS = 600, 1024
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
    """Write a PNG: frequency to the right, time downwards.

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
    figure = Figure(figsize=(14, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    floor_db = float(np.median(power_db))
    axis.imshow(
        power_db,
        aspect="auto",
        cmap="viridis",
        vmin=floor_db - 5,
        vmax=floor_db + 30,
        extent=(middle_mhz - half_mhz, middle_mhz + half_mhz, seconds, 0),
        interpolation="nearest",
    )
    least_mhz, least_s = 2 * half_mhz / 300, seconds / 150  # a box one can see
    for emission in emissions:
        low, high = ((emission.band_center_hz or 0.0) / 1e6 + edge / 1e6 for edge in
                     (emission.low_hz, emission.high_hz))  # fmt: skip
        width, length = max(high - low, least_mhz), max(emission.stop_s - emission.start_s, least_s)
        left = (low + high - width) / 2
        known = emission.label != UNKNOWN
        colour = "#ff5c5c" if known else "#ffffff"
        axis.add_patch(
            Rectangle((left, emission.start_s), width, length, fill=False, ec=colour, lw=1.2)
        )
        name = emission.label if known else f"{emission.id}"
        text = f"{name} {emission.symbol_rate_hz:.5g} Bd" if emission.symbol_rate_hz else name
        upright = width > 0.08 * 2 * half_mhz
        axis.text(
            left + width / 2,
            max(emission.start_s, 0.0) + 0.01 * seconds,
            text,
            color="white",
            fontsize=8,
            ha="center",
            va="top",
            rotation=0 if upright else 90,
            clip_on=True,
            bbox={"facecolor": "black", "alpha": 0.55, "pad": 1.0, "lw": 0},
        )
    axis.set_xlabel("MHz" if center_hz else "MHz from the centre")
    axis.set_ylabel("s")
    axis.set_title(f"{capture.path.name}: {len(emissions)} emissions", fontsize=10)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=110)
