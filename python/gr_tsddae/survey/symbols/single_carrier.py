# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol rate of an isolated emission, from lines in spectra of what its keying makes regular.

Where symbols change, the envelope, the distance between neighbouring samples, or the frequency
changes with them; the spectrum of each has a line at the symbol rate. On-off and frequency keying
have lines at multiples, too: the times between their changes tell which is the symbol rate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, special

MOST_SAMPLES = 1 << 16
LEAST_LOCK_DB = 14.0  # of a line over the spectrum of one piece around it
BACKGROUND_BINS = 129
CONSTANT_ENVELOPE = 1.22  # fourth moment over squared second, below: FM and FSK
FREQUENCY_ONLY = 1.1  # and below this nothing else
GAUSSIAN = 1.8  # above: OFDM, noise, voices
CARRIER_LOCK_DB = 22.0  # of a line in the spectrum itself: a carrier, which linear keying has not
CHIRP_LIKENESS, CHIRP_RAD = 0.4, 0.14  # of the bends of a chirp, and the least bend
CHIRP_SIGMAS = 4.5  # of chance, that their sum must exceed
TWO_LEVELS = 2.15  # distance of two levels in their deviations, above: keyed
LOUD, QUIET_SYMBOLS = 0.2, 16  # power within a burst, and the least pause between two
STEADY = 0.5  # likeness to itself four symbols later, of the carrier that is keyed on and off
CHANCE = 1e-11  # that a line of this lock is none
LEAST_SUMMED_DB = 5.5
MANY_TONES_LOCK_DB = 16.0
UNIT_ERROR = 0.2  # of a symbol, of the times between changes


@dataclass(frozen=True)
class SymbolRate:
    """A symbol rate.

    Attributes:
        rate_hz: symbols per second.
        lock_db: strength of the line it was read from, over the spectrum around it.
        keying: "linear", "on-off", "frequency" or "offset".
    """

    rate_hz: float
    lock_db: float
    keying: str


@dataclass(frozen=True)
class _Line:
    rate_hz: float
    lock_db: float


def envelope_moment(pieces: Sequence[np.ndarray], snr_db: float) -> float:
    """Fourth moment of the envelope over the squared second, without noise and slow fading.

    1 is a constant envelope, 2 is Gaussian.
    """
    moments, weights = [], []
    noise = 10 ** (-snr_db / 10) / (1 + 10 ** (-snr_db / 10))  # of the mean power
    for piece in pieces:
        power = np.square(piece.real) + np.square(piece.imag)
        power = power / np.maximum(ndimage.uniform_filter1d(power, 257, mode="nearest"), 1e-30)
        fourth = float(np.mean(power**2))
        clean = 1 - noise
        moments.append((fourth - 4 * clean * noise - 2 * noise**2) / clean**2)
        weights.append(len(piece))
    return float(np.average(moments, weights=weights))


def symbol_rate(
    pieces: Sequence[np.ndarray], rate_hz: float, bandwidth_hz: float, snr_db: float
) -> SymbolRate | None:
    """Measure the symbol rate.

    Args:
        pieces: complex64, one per burst, near 0 Hz, filtered to about the bandwidth.
        rate_hz: samples per second of the pieces.
        bandwidth_hz: occupied bandwidth.
        snr_db: in it.

    Returns:
        None where no line stands out.
    """
    pieces = longest_of(pieces, MOST_SAMPLES)
    if not pieces:
        return None
    keyed = _on_off(pieces, rate_hz, bandwidth_hz)
    if keyed is not None:
        return keyed
    pieces = [part for piece in pieces for part in _loud(piece, rate_hz / bandwidth_hz)] or pieces
    moment = envelope_moment(pieces, snr_db)
    if moment < CONSTANT_ENVELOPE:
        if chirp_rate(pieces, rate_hz, bandwidth_hz) is not None:
            return None
        found = _frequency_keyed(pieces, rate_hz, bandwidth_hz)
        if found is not None or moment < FREQUENCY_ONLY:
            return found
    return None if moment > GAUSSIAN else _linear(pieces, rate_hz, bandwidth_hz)


def _loud(piece: np.ndarray, symbol: float) -> list[np.ndarray]:
    """The bursts within a piece, without their ramps; `symbol` is about one in samples."""
    power = ndimage.uniform_filter1d(_power(piece), max(1, round(4 * symbol)))
    on = np.flatnonzero(power > LOUD * np.quantile(power, 0.9))
    runs = np.split(on, np.flatnonzero(np.diff(on) > QUIET_SYMBOLS * symbol) + 1)
    ramp = round(2 * symbol)
    bursts = [piece[run[0] + ramp : run[-1] + 1 - ramp] for run in runs if len(run) > 2 * ramp]
    return [burst for burst in bursts if len(burst) >= 64]


def chirp_rate(pieces: Sequence[np.ndarray], rate_hz: float, bandwidth_hz: float) -> float | None:
    """By how many Hz per second the frequency moves nearly all the time, as LoRa's; else None."""
    for bandwidths in (4, 12):
        delay = max(1, round(bandwidths * rate_hz / bandwidth_hz))
        total, size, squares = 0j, 0.0, 0.0
        for piece in pieces:
            if len(piece) > 2 * delay:
                turn = piece[delay:] * piece[:-delay].conj()
                bend = turn[delay:] * turn[:-delay].conj()
                total += complex(bend.sum())
                size += float(np.abs(bend).sum())
                squares += float(_power(bend).sum())
        angle = float(np.angle(total))
        chance = np.sqrt(squares * max(1.0, rate_hz / bandwidth_hz))  # neighbours are alike
        least = max(CHIRP_LIKENESS * size, CHIRP_SIGMAS * chance)
        if abs(total) > least and abs(angle) > CHIRP_RAD:
            return angle / (2 * np.pi) * (rate_hz / delay) ** 2
    return None


def longest_of(pieces: Sequence[np.ndarray], most_samples: int) -> list[np.ndarray]:
    """The longest pieces, up to so many samples in all; none shorter than 64."""
    kept, total = [], 0
    for piece in sorted(pieces, key=len, reverse=True)[:16]:
        piece = piece[: most_samples - total]
        if len(piece) >= 64:
            kept.append(piece)
            total += len(piece)
    return kept


def _linear(pieces: list[np.ndarray], rate_hz: float, bandwidth_hz: float) -> SymbolRate | None:
    carrier = _two_sided(pieces, lambda x: x, rate_hz, (0.0, 0.5 * bandwidth_hz))
    if any(line is not None and line.lock_db > CARRIER_LOCK_DB for line in carrier):
        return None
    span = (0.5 * bandwidth_hz, 1.3 * bandwidth_hz)
    delay = max(1, round(0.5 * rate_hz / bandwidth_hz))
    best = _strongest(
        [
            _line(pieces, _power, rate_hz, span),
            _line(pieces, lambda x: np.square(np.abs(x[delay:] - x[:-delay])), rate_hz, span),
            _line(pieces, lambda x: (x[delay:] * x[:-delay].conj()).imag, rate_hz, span),
        ]
    )
    pair = _square_pair(pieces, rate_hz, bandwidth_hz)
    if pair is not None and (best is None or pair.lock_db > best.lock_db + 3):
        return SymbolRate(pair.rate_hz, pair.lock_db, "offset")
    return None if best is None else SymbolRate(best.rate_hz, best.lock_db, "linear")


def _frequency_keyed(
    pieces: list[np.ndarray], rate_hz: float, bandwidth_hz: float
) -> SymbolRate | None:
    span = (0.04 * bandwidth_hz, 1.3 * bandwidth_hz)
    delay = max(1, round(0.25 * rate_hz / bandwidth_hz))
    frequencies = [_frequency(piece, delay) for piece in pieces]
    # Tones far apart for their symbols are steady for long: averaged, they change more clearly.
    steps = [step for step in (2 * delay, 8 * delay) if step < min(map(len, frequencies)) // 4]
    moves = [np.square]
    for step in steps:
        moves += [
            functools.partial(_moved, step=step),
            functools.partial(_moved_squared, step=step),
        ]
    best = _strongest([_line(frequencies, move, rate_hz, span) for move in moves])
    pair = _square_pair(pieces, rate_hz, bandwidth_hz)
    if best is None:
        return None if pair is None else SymbolRate(pair.rate_hz, pair.lock_db, "offset")
    blip = round(0.75 * rate_hz / bandwidth_hz)
    low, high = np.quantile(np.concatenate(frequencies), (0.1, 0.9))
    changes = [_changes(f, low, high, blip) for f in frequencies]
    found_hz, error = _folded(best.rate_hz, changes, rate_hz, span)
    if error < UNIT_ERROR:
        return SymbolRate(found_hz, best.lock_db, "frequency")
    # Four tones: the frequency passes the middle at no fixed time. But it has no line of its own,
    # as the pilot of a broadcast is, and the line is not at a few symbols of the bandwidth.
    if best.lock_db < MANY_TONES_LOCK_DB or _line(frequencies, lambda f: f, rate_hz, span):
        return None
    for part in (3, 2):
        near = (
            best.rate_hz / part - 0.005 * bandwidth_hz,
            best.rate_hz / part + 0.005 * bandwidth_hz,
        )
        below = _strongest([_line(frequencies, t, rate_hz, near, LEAST_LOCK_DB - 4) for t in moves])
        if below is not None and abs(below.rate_hz * part / best.rate_hz - 1) < 2e-3:
            best = _Line(below.rate_hz, best.lock_db)
            break
    if best.rate_hz < 0.2 * bandwidth_hz:
        return None
    return SymbolRate(best.rate_hz, best.lock_db, "frequency")


def _on_off(pieces: list[np.ndarray], rate_hz: float, bandwidth_hz: float) -> SymbolRate | None:
    """The rate of the shortest unit of on-off keying; None where there are not two levels."""
    smooth = max(1, round(0.5 * rate_hz / bandwidth_hz))
    envelopes = [ndimage.uniform_filter1d(np.abs(x), smooth, mode="nearest") for x in pieces]
    levels = _two_levels(np.concatenate(envelopes))
    if levels is None:
        return None
    changes = [_changes(e, *levels, 3) for e in envelopes]
    if sum(len(c) for c in changes) < 12:
        return None
    span = (0.02 * bandwidth_hz, 1.3 * bandwidth_hz)
    best = _strongest(
        [
            _line(envelopes, lambda e: np.abs(np.diff(e)), rate_hz, span),
            _line(envelopes, lambda e: np.square(np.diff(e)), rate_hz, span),
        ]
    )
    if best is None or not _is_steady(pieces, envelopes, sum(levels) / 2, rate_hz / bandwidth_hz):
        return None
    rate, _ = _folded(best.rate_hz, changes, rate_hz, span)
    return SymbolRate(rate, best.lock_db, "on-off")


def _is_steady(
    pieces: list[np.ndarray], envelopes: list[np.ndarray], level: float, symbol: float
) -> bool:
    """Whether a carrier is what is on, and not bursts of another keying."""
    delay = max(1, round(4 * symbol))
    turn, size, total = 0j, 0.0, 0.0
    for piece, envelope in zip(pieces, envelopes, strict=True):
        on = envelope > level
        total += float(_power(piece[on]).sum())
        both = on[delay:] & on[:-delay]
        product = (piece[delay:] * piece[:-delay].conj())[both]
        turn += complex(product.sum())
        size += float(np.abs(product).sum())
    # Where hardly anything is on for so long, the keying is as fast as the bandwidth.
    return size < 0.1 * total or abs(turn) > STEADY * size


def _two_levels(envelope: np.ndarray) -> tuple[float, float] | None:
    """Low and high level of an envelope that rests on two; None for any other."""
    low, high = np.quantile(envelope, (0.05, 0.95))
    for _ in range(8):
        upper = envelope > (low + high) / 2
        if not 0.05 < upper.mean() < 0.95:
            return None
        low, high = float(envelope[~upper].mean()), float(envelope[upper].mean())
    spread = float(envelope[~upper].std() + envelope[upper].std())
    apart = (high - low) / max(spread, 1e-30)
    return (low, high) if apart > TWO_LEVELS and low < 0.35 * high else None


def _moved(frequency: np.ndarray, step: int) -> np.ndarray:
    """How far the frequency, averaged over half a step, moves within a step."""
    smooth = ndimage.uniform_filter1d(frequency, max(1, step // 2))
    return np.abs(smooth[step:] - smooth[:-step])


def _moved_squared(frequency: np.ndarray, step: int) -> np.ndarray:
    return np.square(_moved(frequency, step))


def _power(x: np.ndarray) -> np.ndarray:
    return np.square(x.real) + np.square(x.imag)


def _frequency(x: np.ndarray, delay: int) -> np.ndarray:
    """Instantaneous frequency, clipped against the spikes of noise, in radians per sample."""
    turn = np.angle(x[delay:] * x[:-delay].conj()) / delay
    low, high = np.quantile(turn, (0.02, 0.98))
    return np.clip(turn, low - 0.2 * (high - low), high + 0.2 * (high - low))


def _changes(line: np.ndarray, low: float, high: float, blip: int) -> np.ndarray:
    """Times in samples between changes from one level to another, to a fraction of a sample.

    What lasts less than half of `blip` samples is noise.
    """
    line = np.clip((2 * line - low - high) / max(high - low, 1e-30), -1, 1)
    line = ndimage.uniform_filter1d(line, blip | 1)
    at = np.flatnonzero(np.diff(line > 0))
    return np.diff(at + line[at] / (line[at] - line[at + 1]))


def _folded(
    line_hz: float, changes: list[np.ndarray], rate_hz: float, span: tuple[float, float]
) -> tuple[float, float]:
    """The symbol rate of which `line_hz` may be a multiple or a part.

    Returns:
        The rate, and by how much of a symbol the times between changes differ from whole symbols:
        0.25 on average where they have nothing to do with it.
    """
    times_s = np.concatenate(changes) / rate_hz
    if len(times_s) < 12:
        return line_hz, 0.0
    best_hz, best, best_error = line_hz, np.inf, 0.25
    for factor in (1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 2, 3, 4):
        candidate_hz = line_hz * factor
        if not span[0] <= candidate_hz <= span[1]:
            continue
        symbols = times_s * candidate_hz
        error = float(np.mean(np.abs(symbols - np.maximum(np.rint(symbols), 1))))
        # A multiple of the symbol rate fits as well, but no change is as short as its symbols.
        shortest = float(np.quantile(symbols, 0.25))
        score = error + 0.3 * max(0.0, shortest - 1.5)
        if score < best - 0.02:
            best_hz, best, best_error = candidate_hz, score, error
    return best_hz, best_error


@functools.lru_cache(32)  # pieces of one emission are transformed several times
def _window(samples: int) -> np.ndarray:
    return np.hanning(samples).astype(np.float32)


def _line(
    pieces: Sequence[np.ndarray],
    transform: Callable[[np.ndarray], np.ndarray],
    rate_hz: float,
    span: tuple[float, float],
    least_db: float = LEAST_LOCK_DB,
) -> _Line | None:
    """The strongest line of transformed pieces within a span of frequencies."""
    size = 1 << int(np.ceil(np.log2(2 * max(len(piece) for piece in pieces))))
    total = np.zeros(size // 2 + 1, np.float32)
    for piece in pieces:
        line = transform(piece)
        line = (line - line.mean()).astype(np.float32)
        spectrum = fft.rfft(line * _window(len(line)), size)
        power = _power(spectrum)
        total += power / max(float(power.mean()), 1e-30) * len(line)
    return _peak(total, rate_hz / size, span, summed(pieces), least_db)


def summed(pieces: Sequence[np.ndarray]) -> float:
    """How many pieces of equal length would average as well as these."""
    lengths = np.array([len(piece) for piece in pieces], float)
    return float(lengths.sum() ** 2 / np.square(lengths).sum())


def _peak(
    total: np.ndarray,
    bin_hz: float,
    span: tuple[float, float],
    summed: float,
    least_db: float = LEAST_LOCK_DB,
) -> _Line | None:
    low, high = int(span[0] / bin_hz) + 1, min(len(total) - 2, int(span[1] / bin_hz))
    if high - low < 8:
        return None
    # Medians of groups, and of these: they cost little and miss no slope.
    group = max(1, min(BACKGROUND_BINS // 4, len(total) // 32))
    edge = np.arange(0, len(total) // group * group, group)
    coarse = np.median(total[: len(edge) * group].reshape(-1, group), axis=1)
    around = ndimage.median_filter(coarse, 5, mode="nearest")
    background = np.interp(np.arange(len(total)), edge + group / 2, around)
    background = np.maximum(background / 0.7, 1e-30)  # the median of exponential powers
    ratio = total[low:high] / background[low:high]
    top = int(ratio.argmax())
    # The more spectra are summed, the less chance reaches.
    lock_db = 10 * np.log10(max(float(ratio[top]), 1e-9))
    chance_db = 10 * np.log10(special.gammainccinv(summed, CHANCE) / summed)
    needed_db = least_db - LEAST_LOCK_DB + max(LEAST_SUMMED_DB, min(LEAST_LOCK_DB, chance_db))
    if lock_db < needed_db:
        return None
    at = low + top
    before, here, after = np.log(np.maximum(total[at - 1 : at + 2], 1e-30))
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return _Line((at + float(np.clip(shift, -0.5, 0.5))) * bin_hz, lock_db)


def _strongest(lines: Sequence[_Line | None]) -> _Line | None:
    return max((line for line in lines if line), key=lambda line: line.lock_db, default=None)


def _square_pair(pieces: Sequence[np.ndarray], rate_hz: float, bandwidth_hz: float) -> _Line | None:
    """The symbol rate of offset keying, whose square has two lines on either side of the middle.

    OQPSK's are two symbol rates apart, those of MSK and its kin one. A tone on FM has such a pair,
    too, and a line between.
    """
    upper, lower = _two_sided(pieces, np.square, rate_hz, (0.25 * bandwidth_hz, 1.3 * bandwidth_hz))
    if upper is None or lower is None or abs(upper.lock_db - lower.lock_db) > 8:
        return None
    if abs(upper.rate_hz - lower.rate_hz) > 0.3 * bandwidth_hz:  # not about the middle
        return None
    apart_hz = upper.rate_hz + lower.rate_hz
    lock_db = min(upper.lock_db, lower.lock_db)
    middle = _two_sided(pieces, np.square, rate_hz, (0.0, 0.2 * bandwidth_hz))
    if any(line is not None and line.lock_db > lock_db for line in middle):
        return None
    return _Line(apart_hz / 2 if apart_hz > 1.35 * bandwidth_hz else apart_hz, lock_db)


def _two_sided(
    pieces: Sequence[np.ndarray],
    transform: Callable[[np.ndarray], np.ndarray],
    rate_hz: float,
    span: tuple[float, float],
) -> tuple[_Line | None, _Line | None]:
    """The strongest lines above and below 0 Hz of pieces that a transform leaves complex."""
    size = 1 << int(np.ceil(np.log2(2 * max(len(piece) for piece in pieces))))
    total = np.zeros(size, np.float32)
    for piece in pieces:
        power = _power(fft.fft(transform(piece) * _window(len(piece)), size))
        total += power / max(float(power.mean()), 1e-30) * len(piece)
    total = fft.fftshift(total)
    middle, bin_hz = size // 2, rate_hz / size
    return tuple(
        _peak(side, bin_hz, span, summed(pieces)) for side in (total[middle:], total[middle::-1])
    )
