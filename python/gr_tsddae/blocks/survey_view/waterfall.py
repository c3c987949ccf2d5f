# SPDX-License-Identifier: GPL-3.0-or-later
"""Spectra along a true time axis, in memory that does not grow.

Time is cut into rows of equal duration, and each spectrum goes to the rows it covers. So a gap in
the stream is a gap in the picture, however unevenly messages come.
"""

from __future__ import annotations

import math

import numpy as np

ROWS = 1200
MOST_BINS = 1024
BLANK = 0  # a place that nobody has heard
STEP_DB = 0.75  # of a level
LOWEST_DB = -150.0  # of level 1


class Waterfall:
    """The last `span_s` seconds of spectra."""

    def __init__(self, span_s: float):
        self.span_s = span_s
        self.row_s = span_s / ROWS
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.low_hz, self.high_hz = 0.0, 0.0
        self.newest_s = 0.0
        self._next_row = 0  # one past the newest, counted from the stream's begin
        # Twice the same, one after the other: every stretch of ROWS rows lies in one piece.
        self._levels = np.zeros((2 * ROWS, 0), np.uint8)

    @property
    def empty(self) -> bool:
        return self._levels.shape[1] == 0

    def add(
        self, start_s: float, stop_s: float, low_hz: float, high_hz: float, power_db: np.ndarray
    ) -> None:
        """Take in the spectrum of a stretch of time.

        A spectrum that is older than all rows is dropped. Another band is moved to its true place:
        of the earlier rows the part is kept that it shares with the new band.

        Args:
            start_s: in seconds of the stream.
            low_hz: lower edge of the first bin.
            power_db: (bins,), lowest frequency first.
        """
        line = levels(_at_most(power_db, MOST_BINS))
        if (low_hz, high_hz, len(line)) != (self.low_hz, self.high_hz, self._levels.shape[1]):
            self._move_to(low_hz, high_hz, len(line))
        # Rows whose middle lies in the stretch are all its own.
        first = math.ceil(start_s / self.row_s - 0.5)
        stop = math.ceil(stop_s / self.row_s - 0.5)
        shared = stop <= first
        if shared:  # shorter than a row: it adds to the one that it falls into
            first = math.floor((start_s + stop_s) / 2 / self.row_s)
            stop = first + 1
        self._reach(stop)
        for row in range(max(first, self._next_row - ROWS), stop):
            place = row % ROWS
            value = np.maximum(line, self._levels[place]) if shared else line
            self._levels[place] = self._levels[place + ROWS] = value
        self.newest_s = max(self.newest_s, stop_s)

    def image(self) -> tuple[np.ndarray, float]:
        """Give all rows as levels, oldest first: uint8 (ROWS, bins), and when the first begins.

        The array is a view that the next `add` changes.
        """
        first = self._next_row % ROWS
        return self._levels[first : first + ROWS], (self._next_row - ROWS) * self.row_s

    def _reach(self, next_row: int) -> None:
        """Make room for rows up to `next_row`; those that no spectrum comes to stay blank."""
        fresh = min(next_row - self._next_row, ROWS)
        for row in range(next_row - fresh, next_row):
            place = row % ROWS
            self._levels[place] = self._levels[place + ROWS] = BLANK
        self._next_row = max(self._next_row, next_row)

    def _move_to(self, low_hz: float, high_hz: float, bins: int) -> None:
        moved = np.zeros((2 * ROWS, bins), np.uint8)
        if not self.empty and high_hz > low_hz:
            middles_hz = low_hz + (np.arange(bins) + 0.5) * (high_hz - low_hz) / bins
            old_bins = self._levels.shape[1]
            at = np.floor((middles_hz - self.low_hz) / (self.high_hz - self.low_hz) * old_bins)
            inside = (at >= 0) & (at < old_bins)
            moved[:, inside] = self._levels[:, at[inside].astype(int)]
        self._levels, self.low_hz, self.high_hz = moved, low_hz, high_hz


def levels(power_db: np.ndarray) -> np.ndarray:
    """Power in dB as levels 1 to 255, uint8, and NaN as a blank."""
    steps = np.clip((np.asarray(power_db, float) - LOWEST_DB) / STEP_DB + 1, 1, 255)
    return np.where(np.isnan(steps), BLANK, steps).astype(np.uint8)


def quiet_level(rows: np.ndarray) -> float | None:
    """The level of the noise floor in some rows, uint8 (n, bins); None where all are blank."""
    heard = rows[rows != BLANK]
    return float(np.percentile(heard, 25)) if len(heard) else None


def loud_level(rows: np.ndarray) -> float | None:
    """The level that a tenth of the places in some rows pass; None where all are blank."""
    heard = rows[rows != BLANK]
    return float(np.percentile(heard, 90)) if len(heard) else None


def _at_most(power_db: np.ndarray, most: int) -> np.ndarray:
    """The spectrum in at most so many bins, each with the highest power of those it replaces."""
    if len(power_db) <= most:
        return power_db
    edges = np.arange(most) * len(power_db) // most
    return np.maximum.reduceat(power_db, edges)
