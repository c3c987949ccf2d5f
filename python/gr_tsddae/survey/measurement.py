# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of an emission: edges and SNR from its spectrum, timing from its bursts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from gr_tsddae.survey.symbols.multicarrier import multicarrier
from gr_tsddae.survey.symbols.single_carrier import (
    SymbolRate,
    chirp_rate,
    envelope_moment,
    symbol_rate,
)

NOISE_SHARE = 1e-3  # of the power: what noise beyond an emission may add to it
LEAST_OFDM_MOMENT = 1.6  # the envelope of many carriers is that of noise
LEAST_PREFIX_MOMENT = 1.25  # or an amplifier has limited it; below is frequency modulation
MOST_OFDM_MOMENT = 3.3  # and that of pulses is much wilder
LEAST_SAMPLES = 64  # of a piece that is measured
SILENCE = 0.1  # of the level of what is sent
LEAST_KEPT = 0.3  # of a piece, to look at all of it for OFDM
PAUSE_SYMBOLS = 64  # silent, that are no part of a code
TAIL = 0.005  # of the power beyond either edge: 99 % lie between (ITU-R SM.328)


@dataclass(frozen=True)
class Occupied:
    """Where the power of an emission lies.

    Attributes:
        low: edge in bins (a bin k reaches from k - 0.5 to k + 0.5).
        high: the other edge.
        snr_db: power over that of the noise between the edges.
    """

    low: float
    high: float
    snr_db: float


def occupied_band(
    ratio: np.ndarray, frames: int, low: int, high: int, limits: tuple[int, int]
) -> Occupied:
    """Edges of the 99 % bandwidth.

    Args:
        ratio: mean power over floor, per bin, (F,).
        frames: averaged in it.
        low: first bin of the emission, roughly.
        high: one past the last.
        limits: bins that may not be crossed: half way to the neighbours.
    """
    width = high - low
    excess = ratio - _local_floor(ratio, low, high, limits)
    smooth = max(3, width // 16) | 1
    line = ndimage.uniform_filter1d(excess, smooth, mode="nearest")
    visible = 3 * np.sqrt(1.9 / (frames * smooth))
    visible = max(visible, 0.002 * float(line[low:high].max(initial=0)))
    first, last = low, high
    while first > limits[0] and line[first - 1] > visible and low - first < 2 * width + 4:
        first -= 1
    while last < limits[1] and line[last] > visible and last - high < 2 * width + 4:
        last += 1
    # Beyond what can be seen, as far as the noise summed up there does not matter.
    power = max(float(excess[low:high].sum()), 1e-9)
    spare = int((NOISE_SHARE * power) ** 2 * frames / 1.9)
    spare = 1 + min(spare // 2, width // 2)
    first, last = max(limits[0], first - spare), min(limits[1], last + spare)
    total = np.maximum.accumulate(np.cumsum(np.concatenate(([0.0], excess[first:last]))))
    if not total[-1] > 0:
        return Occupied(low - 0.5, high - 0.5, -30.0)
    # np.interp takes any of equal abscissae; a slope too small to matter makes them unequal.
    share = total / total[-1] + 1e-9 * np.arange(len(total))
    edges = np.interp([TAIL, 1 - TAIL], share, np.arange(first, last + 1) - 0.5)
    noise = max(1.0, edges[1] - edges[0])
    return Occupied(
        float(edges[0]), float(edges[1]), float(10 * np.log10(0.99 * total[-1] / noise))
    )


def _local_floor(
    ratio: np.ndarray, low: int, high: int, limits: tuple[int, int]
) -> np.ndarray | float:
    """The floor beside an emission, in units of the floor of the whole band."""
    guard, reach = max(2, (high - low) // 4), max(12, high - low)
    sides = []
    for side in (
        slice(max(limits[0], low - guard - reach), max(limits[0], low - guard)),
        slice(min(limits[1], high + guard), min(limits[1], high + guard + reach)),
    ):
        line = ratio[side]
        if len(line) >= 8:
            level = float(np.median(line))
            if 0.7 < level < 1.3:
                sides.append(level)
    return min(sides) if sides else 1.0


def burst_timing(bursts: list[tuple[float, float]]) -> dict[str, float | int]:
    """Length, period and duty of an emission that comes in bursts; empty for a single one."""
    if len(bursts) < 2:
        return {}
    starts = np.array([start for start, _ in bursts])
    lengths = np.array([stop - start for start, stop in bursts])
    span = bursts[-1][1] - bursts[0][0]
    timing: dict[str, float | int] = {
        "bursts": len(bursts),
        "burst_s": round(float(np.median(lengths)), 6),
        "duty": round(float(lengths.sum() / span), 4),
    }
    if len(bursts) > 2:
        gaps = np.diff(starts)
        timing["period_s"] = round(float(np.median(gaps)), 6)
        timing["period_jitter"] = round(float(np.std(gaps) / np.median(gaps)), 3)
    return timing


def keying(
    pieces: Sequence[np.ndarray], rate_hz: float, bandwidth_hz: float, snr_db: float
) -> tuple[SymbolRate | None, dict[str, Any]]:
    """How an emission is modulated, as far as it can be measured.

    Args:
        pieces: complex64, one per burst, near 0 Hz, filtered to about the bandwidth.
        rate_hz: samples per second of the pieces.
        bandwidth_hz: occupied bandwidth.
        snr_db: in it.

    Returns:
        The symbol rate, or None, and further measurements by name.
    """
    parts = [part for piece in pieces for part in sent(piece, rate_hz, bandwidth_hz)]
    if not parts:
        return None, {}
    several = len(parts) > len(pieces)
    # A frame of OFDM has weak symbols, which are no pauses; pulses are silent most of the time.
    kept = sum(map(len, parts)) / sum(map(len, pieces))
    whole = pieces if kept > LEAST_KEPT else parts
    pieces = parts
    moment = envelope_moment(pieces, snr_db)
    measured: dict[str, Any] = {"envelope_moment": round(moment, 3)}
    if several:
        measured["burst_s"] = round(float(np.median([len(part) for part in parts])) / rate_hz, 6)
    symbols = symbol_rate(pieces, rate_hz, bandwidth_hz, snr_db)
    carriers: dict[str, float] = {}
    if LEAST_PREFIX_MOMENT < moment < MOST_OFDM_MOMENT and (
        symbols is None or symbols.keying == "linear"
    ):
        carriers = multicarrier(whole, rate_hz, bandwidth_hz)
    if "ofdm_prefix_s" in carriers:
        symbols = None  # what repeats in a prefix has lines of its own
    if symbols is None:
        chirp = chirp_rate(pieces, rate_hz, bandwidth_hz)
        if chirp is not None:
            measured["chirp_hz_per_s"] = round(chirp, 1)
        if "ofdm_prefix_s" in carriers or moment > LEAST_OFDM_MOMENT:
            measured |= carriers
    else:
        measured["symbol_rate_lock_db"] = round(symbols.lock_db, 1)
        measured["keying"] = symbols.keying
        if symbols.keying == "frequency":
            measured |= frequency_keying(pieces, rate_hz, symbols.rate_hz)
    return symbols, measured


def sent(piece: np.ndarray, rate_hz: float, bandwidth_hz: float) -> list[np.ndarray]:
    """The parts of a piece in which something is sent, each of 64 samples or more.

    A spectrum does not tell to the symbol when a burst begins, and its silence around it looks
    like keying. Where most of a piece is silent, long pauses within it are left out, too.
    """
    if len(piece) < LEAST_SAMPLES:
        return []
    symbol = rate_hz / bandwidth_hz
    power = np.square(piece.real) + np.square(piece.imag)
    level = ndimage.uniform_filter1d(power, min(len(power), max(1, round(16 * symbol)))).max()
    power = ndimage.uniform_filter1d(power, max(1, round(2 * symbol)))
    on = np.flatnonzero(power > SILENCE * level)
    if not len(on):
        return [piece]
    if len(on) > 0.5 * len(piece):
        parts = [piece[on[0] : on[-1] + 1]]
    else:
        breaks = np.flatnonzero(np.diff(on) > PAUSE_SYMBOLS * symbol) + 1
        parts = [piece[run[0] : run[-1] + 1] for run in np.split(on, breaks)]
    return [part for part in parts if len(part) >= LEAST_SAMPLES]


def frequency_keying(
    pieces: Sequence[np.ndarray], rate_hz: float, symbol_rate_hz: float
) -> dict[str, float | int]:
    """Peak deviation of an FSK, and its number of tones where they stand apart."""
    smooth = max(1, round(0.4 * rate_hz / symbol_rate_hz))
    lines = []
    for piece in pieces:
        turn = np.angle(piece[1:] * piece[:-1].conj()) * rate_hz / (2 * np.pi)
        lines.append(ndimage.uniform_filter1d(turn, smooth))
    line = np.concatenate(lines)
    low_hz, high_hz = np.quantile(line, (0.08, 0.92))
    deviation_hz = float(high_hz - low_hz) / 2
    measured: dict[str, float | int] = {"deviation_hz": round(deviation_hz, 1)}
    counts, _ = np.histogram(line, 96, (low_hz - 0.6 * deviation_hz, high_hz + 0.6 * deviation_hz))
    smoothed = ndimage.gaussian_filter1d(counts.astype(float), 3.0)
    top = smoothed[1:-1]
    peaks = (top > smoothed[:-2]) & (top >= smoothed[2:]) & (top > 0.2 * smoothed.max())
    if int(peaks.sum()) in (2, 4, 8):
        measured["tones"] = int(peaks.sum())
    return measured
