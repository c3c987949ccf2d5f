# SPDX-License-Identifier: GPL-3.0-or-later
"""Wide pulses that are shorter than a frame of the spectrum, as those of transponders.

A frame dilutes such a pulse, and shows of it only the densest part. It is found in time instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, ndimage

from gr_tsddae.survey.detection.box import SLICE_FRAMES, Box

SMOOTH_SAMPLES = 16
LEAST_TIMES_NOISE = 8.0  # power of a pulse
CLOSED_SAMPLES = 64  # of silence within a pulse
LEAST_PULSES, MOST_PULSES = 2, 64  # of which a band is measured
MOST_ON = 0.5  # of the time: what is on for longer is no pulse
LEAST_BAND = 0.3  # of the whole band: frames show a narrower emission well
ALIKE = 0.25  # of the width, by which centres of one emitter's pulses differ at most
TAIL = 0.02  # of a pulse's power beyond either edge
INSIDE = 0.8  # of a box that is seen of the pulses,
WIDE = 0.3  # of their width, beyond which it is, even where it lasts: pulses may be many


@dataclass(frozen=True)
class Pulses:
    """Pulses of one emitter.

    Attributes:
        runs: [start, stop) of each in samples.
        low: first coarse bin.
        high: one past the last.
    """

    runs: list[tuple[int, int]]
    low: int
    high: int


def find_pulses(samples: np.ndarray, bins: int) -> Pulses | None:
    """Find the pulses of one emitter in a slab.

    Args:
        samples: complex64 (N,), without DC.
        bins: of a coarse frame, half a frame apart.

    Returns:
        None where there are not several alike.
    """
    power = np.square(samples.real) + np.square(samples.imag)
    smooth = ndimage.uniform_filter1d(power, SMOOTH_SAMPLES)
    noise = float(np.median(smooth[::SMOOTH_SAMPLES]))
    on = np.flatnonzero(smooth > LEAST_TIMES_NOISE * noise)
    if not SMOOTH_SAMPLES < len(on) < MOST_ON * len(samples):
        return None
    breaks = np.flatnonzero(np.diff(on) > CLOSED_SAMPLES)
    edges = zip(on[np.r_[0, breaks + 1]].tolist(), on[np.r_[breaks, -1]].tolist(), strict=True)
    runs = [(start, last + 1) for start, last in edges if SMOOTH_SAMPLES < last + 1 - start < bins]
    if len(runs) < LEAST_PULSES:
        return None
    bands = _bands([samples[start:stop] for start, stop in runs[:MOST_PULSES]], noise, bins)
    low, high = np.median(bands, axis=0)
    width = high - low
    alike = np.abs(bands.mean(1) - (low + high) / 2) < ALIKE * width
    if width < LEAST_BAND * bins or alike.sum() < max(LEAST_PULSES, 0.5 * len(bands)):
        return None
    return Pulses(runs, int(low), int(np.ceil(high)))


def pulse_box(pulses: Pulses, coarse: np.ndarray, floor: np.ndarray) -> Box:
    """The box of pulses in power frames (T, F) over a floor (F,)."""
    frames, bins = coarse.shape
    active = np.zeros(frames, bool)
    for start, stop in pulses.runs:
        active[max(0, 2 * start // bins - 1) : 2 * stop // bins + 1] = True
    span = slice(pulses.low, pulses.high)
    power = (coarse[:, span] / floor[span]).sum(1) - (pulses.high - pulses.low)
    return Box(pulses.low, pulses.high, active, power)


def _bands(pulses: Sequence[np.ndarray], noise: float, bins: int) -> np.ndarray:
    """Edges, in bins, of what holds nearly all power of each pulse: float64 (n, 2)."""
    padded = np.zeros((len(pulses), bins), np.complex64)
    for row, pulse in zip(padded, pulses, strict=True):
        row[: len(pulse)] = pulse
    spectrum = fft.fftshift(fft.fft(padded, axis=1), axes=1)
    noises = noise * np.array([[len(pulse)] for pulse in pulses])
    power = np.square(spectrum.real) + np.square(spectrum.imag) - noises
    total = np.maximum.accumulate(np.cumsum(power, axis=1), axis=1)
    below = total / total[:, -1:]
    return np.stack([(below < TAIL).sum(1), (below < 1 - TAIL).sum(1) + 1], axis=1).astype(float)


def with_pulses(boxes: Sequence[Box], pulses: Box) -> list[Box]:
    """The box of pulses alone, where all others are what frames show of these.

    That is a dense part, or a wide one that lasts where pulses are many. Beside other emissions a
    pulse's spectrum holds theirs, too, and the boxes stay as they are.
    """
    near = ndimage.binary_dilation(pulses.active, iterations=2 * SLICE_FRAMES)
    margin = pulses.width // 8
    for box in boxes:
        shared = min(box.high, pulses.high + margin) - max(box.low, pulses.low - margin)
        # Where pulses are many, all that lasts is on near them: what counts is whether it pauses.
        alone = (box.active & ~near).sum() > (1 - INSIDE) * min(box.frames, (~near).sum())
        if shared < INSIDE * box.width or (alone and box.width < WIDE * pulses.width):
            return list(boxes)
    active = np.logical_or.reduce([pulses.active, *(box.active for box in boxes)])
    return [replace(pulses, active=active)]
