# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emission is: windows of it are cut as a model wants them, and the model is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gr_tsddae.inference.decision import pooled
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.labels import UNKNOWN, relatives
from gr_tsddae.survey.detection.spectrum import Grid
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.evidence import settled, weighed
from gr_tsddae.survey.isolation import Isolator
from gr_tsddae.survey.naming.taught import likelihoods
from gr_tsddae.zoo import Card
from gr_tsddae.zoo.input_rate import PASSBAND

MOST_SAMPLES = 1 << 15  # of an emission, that a model is asked about
PLACES = 16  # that windows of an emission are cut from, where it is long
BLOCK_SAMPLES = 1 << 16  # of a recording, transformed at once: windows of most emissions are short
SYMBOLS_PASSBAND = 1 / 1.5  # of the sample rate, for models that want samples per symbol
RATE_TOLERANCE = 0.03  # those models know errors ten times as large
TAUGHT_PASSBAND = 0.9  # of the sample rate, at most, for models taught from recordings
LEAST_BINS = 3  # of the survey's fine spectrum: what is narrower counts as that wide
LEAST_OF_FAMILY = 2 / 3  # of the confidence asked for, that the label alone must have
NARROW_BINS = 8  # what is narrower may count as wider, so that a window fits into it


def isolator(capture: Capture, block_samples: int = BLOCK_SAMPLES) -> Isolator:
    """Cuts emissions out of a recording, by sample of it; blocks of a power of two of samples."""

    def read(first: int, count: int) -> tuple[np.ndarray, bool]:
        out = np.zeros(count, np.complex64)
        low, high = max(0, first), min(first + count, capture.sample_count)
        if low < high:
            samples = capture.read(low, high - low)
            out[low - first : high - first] = np.where(np.isfinite(samples), samples, 0)
        return out, True

    size = min(block_samples, max(4096, 1 << (capture.sample_count - 1).bit_length()))
    return Isolator(read, capture.sample_rate_hz, size)


def recognise(
    emission: Emission,
    recognizer: Recognizer,
    cutter: Isolator,
    rate_hz: float,
    least: float,
    *,
    since_s: float = 0.0,
    most_samples: int = MOST_SAMPLES,
) -> Emission:
    """Ask a model about an emission.

    Args:
        emission: Measured.
        recognizer: Of a model that wants samples per symbol, a multiple of the bandwidth, or one
            sample rate for all.
        cutter: Of the recording or stream the emission is in.
        rate_hz: Sample rate of the recording.
        least: Confidence under which the label is "unknown": that of the label's family, of which
            the label itself must have two thirds. It is "unknown" as well where the model tells
            unknown signals, and this is one, unless a measured regularity names the class.
        since_s: What lies before is no longer there to be cut out.
        most_samples: Samples of all windows that the model is asked about; at least one window.

    Returns:
        The emission with label, confidence and probabilities. Where the model needs a symbol rate
        and none was measured, or no window can be cut, the model is not asked and the label is
        "unknown". What was measured of the keying has its say (`evidence.weighed`), and for taught
        classes the bandwidth and the symbol rate (`taught.likelihoods`).
    """
    wanted = wanted_of(emission, recognizer.card, rate_hz)
    if wanted is None:
        return emission
    bursts = [(max(start, since_s), stop) for start, stop in emission.bursts if stop > since_s]
    length = recognizer.window_samples
    most = max(1, most_samples // length)
    windows = cut_windows(emission, bursts, length, wanted, cutter, most, since_s=since_s)
    if not len(windows):
        return emission
    noise_share = wanted.passband_hz / max(emission.bandwidth_hz, 1e-9)
    weights = window_weights(windows, emission.snr_db, noise_share)
    window_probabilities, scores = recognizer.judge(windows)
    probabilities = pooled(window_probabilities, weights)
    known, measured = True, emission.measured
    if scores is not None:
        score = float(weights @ scores)
        known = score <= recognizer.rejection.threshold
        measured = measured | {"unknown_score": round(score, 3)}
    taught = likelihoods(emission, recognizer.card.measured)
    probabilities = weighed(probabilities, recognizer.classes, measured, taught)
    named = {name: float(p) for name, p in zip(recognizer.classes, probabilities, strict=True)}
    label, family_confidence = likeliest(named)
    confidence = named[label]
    known = known or settled(label, measured)
    if not known or family_confidence < least or confidence < LEAST_OF_FAMILY * least:
        label = UNKNOWN
    elif confidence < least:
        measured = measured | {"family_confidence": round(family_confidence, 3)}
    return dataclasses.replace(
        emission,
        label=label,
        confidence=confidence,
        measured=measured,
        probabilities=named,
    )


def likeliest(probabilities: Mapping[str, float]) -> tuple[str, float]:
    """Find the best class of the best family, and the probability of that family.

    A model that is sure of frequency keying may still waver between 2-FSK and GFSK.
    """
    family = {
        label: sum(p for name, p in probabilities.items() if name in relatives(label))
        for label in probabilities
    }
    label = max(probabilities, key=lambda name: (round(family[name], 9), probabilities[name]))
    return label, family[label]


class Wanted(NamedTuple):
    """How a model wants an emission: sample rate, the band that passes, and short bursts or not."""

    rate_hz: float
    passband_hz: float
    tolerance: float
    partly_filled: bool


def wanted_of(emission: Emission, card: Card, rate_hz: float) -> Wanted | None:
    """Tell how a model wants an emission of a stream of `rate_hz`; None where that is not known."""
    if card.bandwidth_multiple:
        width_hz = _width_hz(emission, card.window_samples / card.bandwidth_multiple, rate_hz)
        wanted_hz = width_hz * card.bandwidth_multiple
        return Wanted(wanted_hz, PASSBAND * width_hz, RATE_TOLERANCE, True)
    if card.samples_per_symbol and emission.symbol_rate_hz is not None:
        wanted_hz = emission.symbol_rate_hz * card.samples_per_symbol
        # The noise beside the emission stays in: these models learned from windows whose whole band
        # is noisy, and call a filtered BPSK a QAM.
        return Wanted(wanted_hz, max(emission.bandwidth_hz, SYMBOLS_PASSBAND * wanted_hz), 0, False)
    # A model of technologies knows wide ones by their middle. One that was taught knows what it was
    # shown, and all that was cut out at this rate, this wide.
    if card.sample_rate_hz and (card.task == "wtc" or emission.bandwidth_hz < card.sample_rate_hz):
        passband_hz = min(PASSBAND * emission.bandwidth_hz, TAUGHT_PASSBAND * card.sample_rate_hz)
        return Wanted(card.sample_rate_hz, passband_hz, RATE_TOLERANCE, True)
    return None


def _width_hz(emission: Emission, window_bandwidths: float, rate_hz: float) -> float:
    """Bandwidth by which an emission is cut into windows of so many times 1 / bandwidth.

    A carrier has no width of its own: the survey's resolution gives it one. A window of it may last
    longer than the carrier was heard, and is then taken wider and shorter.
    """
    bin_hz = Grid.of(rate_hz).fine_hz
    longest_s = max(stop - start for start, stop in emission.bursts)
    fitting_hz = window_bandwidths / max(longest_s, 1 / rate_hz)
    return max(emission.bandwidth_hz, LEAST_BINS * bin_hz, min(fitting_hz, NARROW_BINS * bin_hz))


def cut_windows(
    emission: Emission,
    bursts: Sequence[tuple[float, float]],
    length: int,
    wanted: Wanted,
    cutter: Isolator,
    most: int,
    *,
    since_s: float = 0.0,
) -> np.ndarray:
    """Cut at most so many windows of an emission, complex64 (n, length), none all zero."""
    window_s = length / wanted.rate_hz
    found = []
    places = pieces(bursts, window_s, most, partly_filled=wanted.partly_filled, since_s=since_s)
    for start_s, count in places:
        iq = cutter.at_rate(
            emission.center_hz, wanted.passband_hz, start_s, start_s + (count + 0.1) * window_s,
            wanted.rate_hz, tolerance=wanted.tolerance,
        )  # fmt: skip
        count = min(count, len(iq) // length)
        found.append(iq[: count * length].reshape(count, length))
    windows = np.concatenate(found) if found else np.zeros((0, length), np.complex64)
    return windows[windows.any(1)]


def pieces(
    bursts: Sequence[tuple[float, float]],
    window_s: float,
    most: int,
    *,
    partly_filled: bool,
    since_s: float = 0.0,
) -> list[tuple[float, int]]:
    """Choose where windows are cut: start and number of windows of each piece.

    Bursts that hold whole windows come first. Where there are none, and windows may be partly
    filled, a window is laid around each burst, with the noise before and behind it.

    Args:
        bursts: Start and stop of each, in seconds.
        window_s: Length of a window.
        most: Windows; where there are more, pieces spread over all bursts are taken.
        partly_filled: Whether a window may be longer than the burst in it.
        since_s: No window begins before.
    """
    found: list[tuple[float, int]] = []
    size = max(1, most // PLACES)
    for start_s, stop_s in bursts:
        whole = int((stop_s - start_s) / window_s)
        at_s = start_s + (stop_s - start_s - whole * window_s) / 2
        found += [
            (at_s + first * window_s, min(size, whole - first)) for first in range(0, whole, size)
        ]
    if not found and partly_filled:
        for start_s, stop_s in bursts:
            at_s = max(since_s, (start_s + stop_s - window_s) / 2)
            if not found or at_s >= found[-1][0] + window_s / 2:  # else the last one shows it
                found.append((at_s, 1))
    total = sum(count for _, count in found)
    if total > most:
        kept = max(1, len(found) * most // total)
        found = [found[i] for i in np.linspace(0, len(found) - 1, kept).round().astype(int)]
    return found


def window_weights(windows: np.ndarray, snr_db: float, noise_share: float) -> np.ndarray:
    """Weigh windows by the power of the signal in them, so that pauses do not outvote signal.

    Args:
        windows: complex (n, L).
        snr_db: Of the emission while it is on, in its bandwidth.
        noise_share: Width of the band that passed, over that bandwidth.

    Returns:
        float64 (n,), of sum 1. No window counts more than a strong one (the upper quartile).
    """
    power = np.square(np.abs(windows)).mean(1, dtype=np.float64)
    strong = np.quantile(power, 0.75)
    noise = strong * noise_share / (10 ** (snr_db / 10) + noise_share)
    weights = np.clip(power - noise, 0, strong - noise)
    if not weights.sum() > 0:
        weights = np.ones(len(windows))
    return weights / weights.sum()
