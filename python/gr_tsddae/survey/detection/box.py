# SPDX-License-Identifier: GPL-3.0-or-later
"""A box: where in a slab of samples something is sent, in time and frequency."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from gr_tsddae.survey.detection import short

SLICE_FRAMES = 4  # coarse frames per slice, the unit in which boxes are formed
GAP_BINS = 2  # coarse bins that boxes may be apart and still touch


@dataclass
class Box:
    """Something sent within one slab; nobody changes it.

    Attributes:
        low: first coarse bin, lowest frequency is 0.
        high: one past the last coarse bin.
        active: bool (T,), coarse frames in which it is on.
        power: float32 (T,), power over the floor in every frame, in units of a bin's noise.
        sweep: where its frequency begins and ends, in bins, if it moves at a steady pace.
    """

    low: int
    high: int
    active: np.ndarray
    power: np.ndarray = field(repr=False)
    sweep: tuple[float, float] | None = None

    @property
    def width(self) -> int:
        return self.high - self.low

    @functools.cached_property
    def runs(self) -> list[tuple[int, int]]:
        """[start, stop) of each stretch of active frames."""
        return short.runs(self.active)

    @functools.cached_property
    def frames(self) -> int:
        """How many frames are active."""
        return int(np.count_nonzero(self.active))

    @functools.cached_property
    def strength(self) -> float:
        """Mean power over the floor per bin while active."""
        return float(self.power[self.active].mean() / self.width) if self.frames else 0.0

    def excess(self, coarse: np.ndarray, floor: np.ndarray) -> np.ndarray:
        """Power of its bins over a floor (F,), summed over active frames of (T, F); at least 0."""
        span = slice(self.low, self.high)
        total = summed(coarse[:, span], self.active)
        return np.maximum(total / floor[span] - self.frames, 0)


def summed(power: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Sum over the active frames of (T, F); no threads wait for such sums, as BLAS's would."""
    return np.einsum("t,tf->f", active.astype(np.float32), power)


def mean_excess(ratio: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Mean power over the floor of each bin of (T, F), in the active frames."""
    return np.maximum(summed(ratio, active) / np.count_nonzero(active) - 1, 0)
