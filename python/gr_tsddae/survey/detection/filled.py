# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the band itself is one emission, which leaves no floor to stand on.

The floor under a spectrum is what is left without its peaks. An emission as wide as the band is no
peak, and is taken for floor. Four things tell it from noise: stretches of time in which the band is
quieter, an envelope steadier or more broken than that of noise, a cyclic prefix, and a symbol rate.
A receiver's filter shapes noise like an emission, but gives it none of these.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft, ndimage, signal

from gr_tsddae.survey.detection.box import Box
from gr_tsddae.survey.detection.spectrum import floor_under

MEDIAN_OF_NOISE = float(np.log(2))  # median power of a bin of noise, against its mean
QUIET_SHARE = 0.6  # of the supposed floor: a frame below it shows that the floor is lower
QUIET_BINS = 256  # of a frame, enough for its median
QUIET_CELLS = 1536  # averaged, so that chance makes no quiet frame
LEAST_QUIET_FRAMES = 3
FLOOR_EXCESS = 2.0  # how many times the noise a floor must seem to be, to be wrong
ENVELOPE_SAMPLES = 4096  # of a block whose fourth moment is taken
STEP_SAMPLES = 4096
MOST_IDLE_STEPS = 0.75  # squared: a converter that rests between two values has half of one
CONVERTER_STEPS = 2.0  # squared: what rounding takes from a small power, at most
MOST_CLIPPED = 0.02  # of the samples: clipping steadies any envelope
QUANTILE = 0.25
NOISE_SAMPLES = 1 << 16
SHARE_OF_SHOULDERED = 0.97  # of the band: what an emission with visible shoulders may fill
LEAST_DEPTH = 4.0  # of the shoulders, to be taken for the floor
LEAST_BESIDE = 0.1  # of the band must be free to tell the floor under the rest
LEAST_LIFT = 0.35  # nepers of power by which a floor must be lifted to be set right
LEAST_RISE = 4.0  # times the supposed floor: what is denser is not a part of it
MOST_BESIDE = 10.0  # times the power of what may be floor, that may be sent beside it
UNSEEN_FLOOR = 0.1  # of an emission's own level, where no floor is seen at all
TEST_SAMPLES = 1 << 17  # looked at for a cyclic prefix and a symbol rate
LEAST_PEAK = 15.0  # times what noise has on average, and the logarithm of how many were tried
# Useful lengths of Wi-Fi, LTE, 5G, DVB-T and DVB-T2: they need less proof than any other.
USUAL_S = np.array([3.2e-6, 12.8e-6, 1 / 60e3, 1 / 30e3, 1 / 15e3, 112e-6, 224e-6, 448e-6, 896e-6])
USUAL_ERROR = 5e-3
BURST_SAMPLES, MOST_OF_A_BURST = 16, 3.0  # averaged, and power against the middle one
SHORTEST_LAG = 24  # samples: a receiver's filter makes neighbours alike
WHITENED_SHARE = 1 / 24  # of the band, over which a spectrum is made flat
LEAST_SYMBOL_SHARE = 0.55  # of the band: slower keying is that of a narrower emission
MOST_OF_A_BIN = 8.0  # times its surroundings, so that no line weighs more
LEAST_PART = 0.08  # of the mean, in all but one part
PARTS, SPREAD = 8, 0.3  # of the band, all of which repeat themselves about equally


def quieter_level(coarse: np.ndarray, floor: np.ndarray, step: float) -> np.ndarray | None:
    """The level of each bin in frames that are much quieter than the supposed floor.

    Args:
        coarse: power frames, float32 (T, F).
        floor: supposed noise power per bin, (F,).
        step: of the converter; a frame as small is one in which it did not run.

    Returns:
        float32 (F,), or None where no frame is so quiet.
    """
    every = max(1, len(floor) // QUIET_BINS)
    # The median over bins does not see narrow emissions.
    typical = np.median(coarse[:, ::every] / floor[::every], axis=1) / MEDIAN_OF_NOISE
    heard = coarse.mean(1) > MOST_IDLE_STEPS * step**2
    if heard.sum() < 2 * LEAST_QUIET_FRAMES:
        return None
    typical[~heard] = 1.0
    cells = min(len(floor), QUIET_BINS)
    frames = max(LEAST_QUIET_FRAMES, -(-QUIET_CELLS // cells))
    typical = ndimage.uniform_filter1d(typical, frames, mode="nearest")
    quietest = float(np.quantile(typical[heard], 0.05))
    quiet = heard & (typical < min(QUIET_SHARE, 1.25 * quietest))
    return coarse[quiet].mean(0) if quiet.sum() >= LEAST_QUIET_FRAMES else None


def most_noise(samples: np.ndarray, step: float) -> float:
    """An upper bound of the noise in samples, from their envelope.

    A constant envelope leaves little room for noise, and so does one that is often near zero.

    Args:
        samples: complex64 (N,), without DC.
        step: of the converter, whose rounding makes small powers smaller and steadier.

    Returns:
        Mean power.
    """
    samples = samples[:NOISE_SAMPLES]  # any part of them bounds the noise
    power = np.square(samples.real) + np.square(samples.imag)
    mean = float(power.mean())
    rounding = CONVERTER_STEPS * step**2
    rank = int(QUANTILE * len(power))
    broken = float(np.partition(power, rank)[rank]) / -np.log(1 - QUANTILE)
    peaks = [0.99 * np.abs(part).max(initial=0) for part in (samples.real, samples.imag)]
    clipped = np.mean((np.abs(samples.real) >= peaks[0]) | (np.abs(samples.imag) >= peaks[1]))
    blocks = len(power) // ENVELOPE_SAMPLES
    if not blocks or clipped > MOST_CLIPPED:
        return min(mean, broken + rounding)
    power = power[: blocks * ENVELOPE_SAMPLES].reshape(blocks, ENVELOPE_SAMPLES)
    second = power.mean(1)
    moment = np.square(power).mean(1) / np.maximum(np.square(second), 1e-30)
    # A constant envelope of power 1 - q and noise of power q have the moment 1 + 2 q - q^2.
    noise = second * (1 - np.sqrt(np.clip(2 - moment, 0, 1)))
    return min(mean, broken + rounding, float(np.median(noise)) + rounding)


def step_of(samples: np.ndarray) -> float:
    """The step of the converter behind some samples, complex (N,); 0 where none is seen."""
    values = np.unique(samples[:STEP_SAMPLES].real)  # DC may set I and Q apart
    if len(values) < 2 or len(values) > STEP_SAMPLES / 4:
        return 0.0
    return float(np.diff(values).min())


def is_filled(
    samples: np.ndarray, coarse: np.ndarray, boxes: Sequence[Box], rate_hz: float, step: float
) -> bool:
    """Whether what was taken for the floor is sent.

    Args:
        samples: complex64 (N,), without DC.
        coarse: power frames of them, float32 (T, F).
        boxes: what was found over the supposed floor.
        rate_hz: samples per second.
        step: of the converter.
    """
    free = np.ones(coarse.shape[1], bool)
    # What rises little above it may be the same, where it fills most of the band.
    low = [box for box in boxes if box.strength <= LEAST_RISE]
    if sum(box.width for box in low) < 0.5 * len(free):
        low = []
    for box in boxes:
        if not any(box is other for other in low):
            free[max(0, box.low - 2) : box.high + 2] = False
    middle = len(free) // 2
    free[middle - 1 : middle + 2] = False
    power = coarse.mean(0)
    # What much stronger emissions spill beside themselves has their structure.
    if power[~free].sum() > MOST_BESIDE * power[free].sum():
        return False
    return is_structured(samples, free, rate_hz, step)


def is_structured(samples: np.ndarray, free: np.ndarray, rate_hz: float, step: float) -> bool:
    """Whether what lies in the free bins repeats itself, or keeps a rhythm: noise does neither.

    Args:
        samples: complex64 (N,), without DC.
        free: bool (F,), bins in which nothing was found, lowest frequency first.
        rate_hz: samples per second.
        step: of the converter; when hardly a sample moves by one, its rounding is all that is seen.
    """
    samples = samples[:TEST_SAMPLES]
    size = len(samples)
    if size < 16 * SHORTEST_LAG or np.mean(np.square(np.abs(samples))) < step**2:
        return False
    # Short strong bursts weigh no more than what lasts.
    power = np.square(samples.real) + np.square(samples.imag)
    power = ndimage.uniform_filter1d(power, BURST_SAMPLES)
    most = MOST_OF_A_BURST * np.median(power)
    samples = samples * np.sqrt(np.minimum(1, most / np.maximum(power, 1e-30)))
    spectrum = fft.fft(samples * signal.windows.tukey(size, 0.25).astype(np.float32))
    at = np.arange(size) * len(free) // size
    inside = fft.ifftshift(free[at])
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    width = max(3, round(WHITENED_SHARE * size))
    smooth = _running_mean(power, inside, width)
    if not inside.any():
        return False
    level = np.median(smooth[inside])
    # The edges of a receiver's filter are too steep to be made flat.
    inside &= ndimage.minimum_filter1d(smooth, width, mode="wrap") > 0.25 * level
    count = int(inside.sum())
    if count < 256:
        return False
    smooth = np.maximum(_running_mean(power, inside, width), 1e-30)
    lowest = np.maximum(smooth, max(0.1 * level, 1e-30))  # bins below are left out
    flat = np.where(inside, np.minimum(power / lowest, MOST_OF_A_BIN), 0.0).astype(np.float32)
    flat[inside] -= flat[inside].mean()
    if _repeats(flat, inside, rate_hz):
        return True
    steady = spectrum * np.sqrt(np.minimum(1 / smooth, MOST_OF_A_BIN / np.maximum(power, 1e-30)))
    twice = np.zeros(2 * size, np.complex64)  # at twice the rate no line is an alias
    twice[: size // 2] = np.where(inside, steady, 0)[: size // 2]
    twice[-(size // 2) :] = np.where(inside, steady, 0)[size - size // 2 :]
    rest = fft.ifft(twice)
    envelope = np.square(rest.real) + np.square(rest.imag)
    rhythm = np.square(np.abs(fft.rfft(envelope - envelope.mean())))
    first = int(LEAST_SYMBOL_SHARE * size)
    # Bins far enough apart may be few, and the spectrum of their envelope all but empty.
    rhythm += 0.05 * np.median(rhythm[:first])
    rhythm = rhythm[first : int(0.98 * size)]
    return _peak_over_noise(rhythm)[1] > LEAST_PEAK + np.log(len(rhythm))


def _repeats(flat: np.ndarray, inside: np.ndarray, rate_hz: float) -> bool:
    """Whether a white spectrum has the ripple of a cyclic prefix, in all its parts."""
    likeness = np.square(np.abs(fft.rfft(flat)))
    likeness = likeness[SHORTEST_LAG : len(flat) // 4]
    lag, peak = _peak_over_noise(likeness)
    usual = np.abs((lag + SHORTEST_LAG) / rate_hz / USUAL_S - 1).min() < USUAL_ERROR
    if peak < LEAST_PEAK + (0 if usual else np.log(len(likeness))):
        return False
    lag += SHORTEST_LAG
    bins = np.flatnonzero(inside)
    ripple = flat[bins] * np.exp(-2j * np.pi * (bins * lag % len(flat)) / len(flat))
    parts = np.array([abs(part.sum()) ** 2 for part in np.array_split(ripple, PARTS)])
    least = float(np.partition(parts, 1)[1])
    mean = float(parts.mean())
    return float(np.median(parts)) > SPREAD * mean and least > LEAST_PART * mean


def _running_mean(line: np.ndarray, inside: np.ndarray, width: int) -> np.ndarray:
    """Mean over neighbours that are inside."""
    total = ndimage.uniform_filter1d(np.where(inside, line, 0), width, mode="wrap")
    share = ndimage.uniform_filter1d(inside.astype(np.float32), width, mode="wrap")
    return total / np.maximum(share, 1e-3)


def _peak_over_noise(line: np.ndarray) -> tuple[int, float]:
    """Place and height of the highest of exponential powers, against the mean around it."""
    group = max(8, len(line) // 64)
    count = len(line) // group
    if count < 2:
        return 0, 0.0
    part = line[: count * group].reshape(count, group)
    around = np.median(part, axis=1) / MEDIAN_OF_NOISE
    around = np.maximum(around, ndimage.median_filter(around, 5, mode="nearest"))
    ratio = (part / np.maximum(around, 1e-30)[:, None]).ravel()
    top = int(ratio.argmax())
    return top, float(ratio[top])


def beside(floor: np.ndarray, boxes: Sequence[Box]) -> np.ndarray | None:
    """The floor, where an emission is as high as beside it; None where it was no higher.

    A broad emission lifts the floor below itself.
    """
    bins = np.arange(len(floor))
    free = np.ones(len(floor), bool)
    for box in boxes:
        margin = 2 + box.width // 8
        free[max(0, box.low - margin) : box.high + margin] = False
    if free.sum() < LEAST_BESIDE * len(floor):
        return None
    line = np.minimum(floor, np.exp(np.interp(bins, bins[free], np.log(floor[free]))))
    lifted = [np.log(floor[box.low : box.high] / line[box.low : box.high]) for box in boxes]
    if not any(part.mean() > LEAST_LIFT for part in lifted):
        return None
    return line.astype(np.float32)


def shouldered_floor(level: np.ndarray) -> np.ndarray:
    """The floor under an emission that fills nearly all of the band.

    Where the band's edges lie much lower than the emission, they are the floor. Where the emission
    reaches them, no floor is seen, and one well below it is supposed.
    """
    floor = floor_under(level, SHARE_OF_SHOULDERED)
    if np.median(level / floor) >= LEAST_DEPTH:
        return floor
    return (UNSEEN_FLOOR * np.median(level) * np.ones_like(level)).astype(np.float32)
