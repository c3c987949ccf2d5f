# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM's symbols, from the cyclic prefix that repeats their end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft, ndimage, signal, special

from gr_tsddae.survey.symbols.single_carrier import MOST_SAMPLES, longest_of, summed

SIGMAS = 8.0  # of chance, that the likeness of prefix and end must exceed,
LAG_SIGMAS = 5.0  # or less, where it has
RHYTHM_CHANCE = 3e-8  # that a line of this strength is none
MOST_LAGS = 12
CARRIER_SHARE = 0.2  # of the power, in so many bins: AM, where a voice repeats itself
CARRIER_BINS = 9
LEAST_SYMBOLS = 5


def multicarrier(
    pieces: Sequence[np.ndarray], rate_hz: float, bandwidth_hz: float
) -> dict[str, float]:
    """Useful length and cyclic prefix of OFDM, from the likeness of a symbol's end and prefix.

    Echoes, pilots and frames make a signal like itself at other lags. The likeness of prefixes
    alone comes and goes in the rhythm of the symbols.

    Args:
        pieces: complex64, one per burst, near 0 Hz, filtered to about the bandwidth.
        rate_hz: samples per second of the pieces.
        bandwidth_hz: occupied bandwidth.

    Returns:
        `ofdm_useful_s` and, where symbols are regular, `ofdm_prefix_s`; empty when it is not OFDM.
    """
    pieces = longest_of(pieces, MOST_SAMPLES)
    longest, total = len(pieces[0]), sum(map(len, pieces))
    size = fft.next_fast_len(2 * longest)
    power = sum(np.square(np.abs(fft.fft(piece, size))) for piece in pieces)
    if ndimage.uniform_filter1d(power, CARRIER_BINS, mode="wrap").max() * CARRIER_BINS > (
        CARRIER_SHARE * power.sum()
    ):
        return {}
    likeness = np.abs(fft.ifft(power))[: longest // 2]
    likeness /= max(float(likeness[0]), 1e-30)
    # Fewer carriers than 16, or fewer symbols than five, cannot be told.
    first = int(16 * rate_hz / bandwidth_hz)
    line = likeness[first : longest // LEAST_SYMBOLS]
    if len(line) < 64:
        return {}
    chance = 1 / np.sqrt(total * bandwidth_hz / rate_hz)
    apart = max(1, int(2 * rate_hz / bandwidth_hz))
    peaks, _ = signal.find_peaks(line, height=LAG_SIGMAS * chance, distance=apart)
    lags = first + peaks[np.argsort(-line[peaks])][:MOST_LAGS]
    rhythms = [(*_rhythm(pieces, int(lag), rate_hz), int(lag)) for lag in lags]
    least = max(1.0, 0.5 * max(rhythms, default=(0.0,))[0])
    clear = [(lag, symbol_s) for strength, symbol_s, lag in rhythms if strength > least]
    if clear:
        lag, symbol_s = max(clear)  # pilots repeat within a symbol
        useful_s = lag / rate_hz
        return {
            "ofdm_useful_s": round(useful_s, 9),
            "ofdm_prefix_s": round(symbol_s - useful_s, 9),
        }
    lag = first + int(line.argmax())
    around = float(np.median(line)) + chance
    if likeness[lag] < max(SIGMAS * chance, 3 * around):
        return {}
    return {"ofdm_useful_s": round(lag / rate_hz, 9)}


def _rhythm(pieces: Sequence[np.ndarray], lag: int, rate_hz: float) -> tuple[float, float]:
    """How strongly the likeness at a lag comes and goes with OFDM symbols, and their length in s.

    The strength is that of a line over what chance makes of the spectrum around it.
    """
    products = [piece[lag:] * piece[:-lag].conj() for piece in pieces if len(piece) > 2 * lag]
    # The line lies within a fifth of the lag's rate: bins so fine that it holds eight of them.
    size = fft.next_fast_len(max(*map(len, products), 40 * lag))
    power = sum(np.square(np.abs(fft.fft(product, size))) for product in products)
    bin_hz = rate_hz / size
    low, high = int(rate_hz / lag / 1.3 / bin_hz) + 1, int(rate_hz / lag / 1.02 / bin_hz) + 1
    top = low + int(power[low:high].argmax())
    around = np.median(power[high // 4 : 4 * high])
    # The more spectra are summed, the less chance reaches over their median.
    count = summed(products)
    most = special.gammainccinv(count, RHYTHM_CHANCE) / special.gammaincinv(count, 0.5)
    return float(power[top] / max(around * most, 1e-30)), 1 / (top * bin_hz)
