# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emission is: it is brought to a model's samples per symbol, and the model is asked."""

from __future__ import annotations

import dataclasses

import numpy as np

from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.labels import UNKNOWN
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.isolation import Isolator

MOST_WINDOWS = 256  # of an emission, from its longest bursts
BLOCK_SAMPLES = 1 << 18


def isolator(capture: Capture) -> Isolator:
    """Cuts emissions out of a recording, by sample of it."""

    def read(first: int, count: int) -> tuple[np.ndarray, bool]:
        out = np.zeros(count, np.complex64)
        low, high = max(0, first), min(first + count, capture.sample_count)
        if low < high:
            samples = capture.read(low, high - low)
            out[low - first : high - first] = np.where(np.isfinite(samples), samples, 0)
        return out, True

    size = min(BLOCK_SAMPLES, max(4096, 1 << (capture.sample_count - 1).bit_length()))
    return Isolator(read, capture.sample_rate_hz, size)


def recognise(
    emission: Emission, recognizer: Recognizer, cutter: Isolator, rate_hz: float, least: float
) -> Emission:
    """Ask a model about an emission.

    Args:
        emission: measured.
        recognizer: of a model that wants a fixed number of samples per symbol.
        cutter: of the recording the emission is in.
        rate_hz: sample rate of the recording.
        least: confidence under which the label is "unknown".

    Returns:
        The emission with label, confidence and probabilities. Where no symbol rate was measured,
        or no burst holds a window, the model is not asked and the label is "unknown".
    """
    samples_per_symbol = recognizer.card.samples_per_symbol
    if emission.symbol_rate_hz is None or not samples_per_symbol:
        return emission
    wanted_hz = emission.symbol_rate_hz * samples_per_symbol
    window = recognizer.window_samples
    windows: list[np.ndarray] = []
    for start_s, stop_s in sorted(emission.bursts, key=lambda b: b[0] - b[1]):
        if len(windows) >= MOST_WINDOWS:
            break
        stop_s = min(stop_s, start_s + (MOST_WINDOWS + 1) * window / wanted_hz)
        iq = _at_rate(cutter, emission, start_s, stop_s, rate_hz, wanted_hz)
        windows += list(iq[: len(iq) // window * window].reshape(-1, window))
    if not windows:
        return emission
    probabilities = recognizer.window_probabilities(np.stack(windows[:MOST_WINDOWS])).mean(0)
    top = int(probabilities.argmax())
    confidence = float(probabilities[top])
    return dataclasses.replace(
        emission,
        label=recognizer.classes[top] if confidence >= least else UNKNOWN,
        confidence=confidence,
        probabilities={
            name: float(p) for name, p in zip(recognizer.classes, probabilities, strict=True)
        },
    )


def _at_rate(
    cutter: Isolator,
    emission: Emission,
    start_s: float,
    stop_s: float,
    rate_hz: float,
    wanted_hz: float,
) -> np.ndarray:
    """An emission's samples at a rate that need not be a simple ratio of the recording's.

    The noise beside the emission stays in: these models learned from windows whose whole band is
    noisy, and call a filtered BPSK a QAM.
    """
    half_hz = max(emission.bandwidth_hz, wanted_hz / 1.5) / 2
    low_hz, high_hz = emission.center_hz - half_hz, emission.center_hz + half_hz
    oversampling = max(1.4, wanted_hz / (2 * half_hz))
    iq, got_hz = cutter.cut(
        low_hz,
        high_hz,
        round(start_s * rate_hz),
        round(stop_s * rate_hz),
        oversampling=oversampling,
    )
    moved_hz = cutter.center_hz(low_hz, high_hz) - emission.center_hz
    iq = iq * np.exp(2j * np.pi * moved_hz / got_hz * np.arange(len(iq)))
    if abs(got_hz / wanted_hz - 1) < 1e-5 or len(iq) < 2:
        return iq.astype(np.complex64)
    at = np.arange(0, len(iq) - 1, got_hz / wanted_hz)
    # Far from its Nyquist rate, a straight line between samples would do; a cubic one does.
    return _cubic(iq, at).astype(np.complex64)


def _cubic(iq: np.ndarray, at: np.ndarray) -> np.ndarray:
    from scipy.interpolate import CubicSpline

    return CubicSpline(np.arange(len(iq)), iq)(at)
