# SPDX-License-Identifier: GPL-3.0-or-later
"""Pauses of a transmitter, by the levels of its recording or stream."""

import numpy as np

EMPTY_DB = 3  # between the levels of signal and of pauses, that hardly any frame has
RARE = 0.004  # share of frames that are on their way from one level to another
FEWEST = 0.02  # share of frames that are a level
LOUD_QUANTILE = 0.98
KEPT_WINDOWS = 4096  # of a stream, whose levels are compared
NOISE_ABOVE = 0.05  # of its probability is left to noise in what is louder than the pauses


def mean_power(windows: np.ndarray) -> np.ndarray:
    """Compute the mean power of each window: complex (B, L) -> float64 (B,)."""
    return np.square(np.abs(windows)).mean(1, dtype=np.float64)


def is_on(power: np.ndarray, gate_db: float) -> np.ndarray:
    """Tell the frames in which a transmitter is on from its pauses.

    The levels of a recording lie in heaps. All below the first empty stretch under the highest heap
    are pauses. A receiver whose gain follows the signal lifts the noise of its pauses, so that
    these may lie little below the signal.

    Args:
        power: Of frames of one recording, in the band of the signal, float (T,).
        gate_db: How much weaker than the signal a pause is, at least.

    Returns:
        bool (T,); all True where no pause is seen.
    """
    limits = np.finfo(np.float64)
    level_db = 10 * np.log10(np.clip(power, limits.tiny, limits.max))
    loud_db = np.quantile(level_db, LOUD_QUANTILE) if len(power) else 0.0
    below = np.floor(loud_db - level_db).astype(int)  # decibels, in whole steps
    counts = np.bincount(below.clip(0, 200))
    empty = counts <= max(1, RARE * len(power)) if len(power) >= 50 else counts == 0
    run = 0
    for step, is_empty in enumerate(empty):
        run = run + 1 if is_empty else 0
        rest = counts[step + 1 :].sum()
        if run >= EMPTY_DB and step + 1 >= gate_db - EMPTY_DB and rest >= FEWEST * len(power):
            quiet = below > step
            # The heap of pauses itself lies deep enough.
            if rest and np.median(below[quiet]) >= gate_db:
                return ~quiet
    return np.ones(len(power), bool)


class Levels:
    """Tells the pauses of a stream by the levels of its windows so far.

    A network sees windows of one power, and noise behind a receiver's filter looks to it like OFDM.

    Args:
        gate_db: See `is_on`.
    """

    def __init__(self, gate_db: float):
        self._gate_db = gate_db
        self._power = np.zeros(0)

    def weighed(self, power: np.ndarray, probabilities: np.ndarray, noise: int) -> np.ndarray:
        """Give pauses to the noise, and take it from what is louder than pauses.

        Args:
            power: Mean power of the next windows of the stream, in order, (B,).
            probabilities: Of their classes, rows of sum 1, (B, K).
            noise: Column of the noise.

        Returns:
            float64 (B, K). The probabilities as they are, while no pause has been seen.
        """
        kept = max(KEPT_WINDOWS, len(power))
        self._power = np.concatenate((self._power, power))[-kept:]
        on = is_on(self._power, self._gate_db)
        found = probabilities.astype(np.float64)
        if on.all():
            return found
        on = on[len(on) - len(power) :]
        found[:, noise] *= NOISE_ABOVE
        found /= found.sum(1, keepdims=True).clip(1e-12)
        found[~on] = np.eye(found.shape[1])[noise]
        return found
