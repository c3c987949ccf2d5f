# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions along a time axis, in memory that does not grow.

The axis is the stream's own time: seconds of samples since the first decision, so that gaps and
drops appear as gaps however unevenly messages come. Decisions that are very short against the
visible span share a slot and are averaged, which bounds the slots there can be.
"""

from typing import Any

import numpy as np

from gr_tsddae.labels import UNKNOWN

SLOTS = 4096  # the visible span is never divided finer than this
CAPACITY = 4 * SLOTS

_SLOT = np.dtype(
    [
        ("start_s", "f8"),  # on the axis
        ("end_s", "f8"),
        ("first_sample", "i8"),
        ("end_sample", "i8"),
        ("utc_offset_s", "f8"),  # Unix time minus axis time, NaN when unknown
        ("best", "i4"),  # index into the classes
        ("known", "?"),  # the label is a class, not "unknown"
        ("decisions", "i4"),  # averaged in this slot
    ]
)
START, END, FIRST, END_SAMPLE, DECISIONS = 0, 1, 2, 3, 7  # places in a slot as a tuple


class History:
    """The last `span_s` seconds of decisions.

    Attributes:
        classes: Labels, in the model's order; another model's make the history begin anew.
        span_s: How much is kept; may be changed.
        edge_s: The newest moment on the axis.
    """

    def __init__(self, span_s: float):
        self.span_s = span_s
        self._begin(())

    def _begin(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.edge_s = 0.0
        self._count = 0
        self._slots = np.zeros(CAPACITY, _SLOT)
        self._probabilities = np.zeros((CAPACITY, len(classes)), np.float32)

    def __len__(self) -> int:
        return self._count

    def add(self, decision: dict[str, Any], now_s: float) -> None:
        """Append a decision.

        Args:
            decision: As in the message `decisions`, checked.
            now_s: A steady clock; places decisions whose sample rate is unknown.
        """
        classes = tuple(decision["probabilities"])
        if classes != self.classes:
            self._begin(classes)
        first, count = decision["first_sample"], decision["sample_count"]
        rate_hz = decision["sample_rate_hz"]
        last = self._slots[self._count - 1].item() if self._count else None  # a tuple: quick
        start_s = self.edge_s
        if rate_hz:
            duration_s = count / rate_hz
            if last is not None and first >= last[FIRST]:
                start_s = max(last[START], last[END] + (first - last[END_SAMPLE]) / rate_hz)
                if start_s < last[END]:  # windows of neighbours may overlap
                    self._slots["end_s"][self._count - 1] = start_s
        else:
            duration_s = now_s - self._now_s if last is not None else 0.0
        self._now_s = now_s
        end_s = start_s + max(duration_s, 1e-9)
        values = np.fromiter(decision["probabilities"].values(), np.float32, len(classes))
        decisions = 1
        if last is not None and end_s - last[START] < self.span_s / SLOTS:
            row = self._count - 1
            decisions += last[DECISIONS]
            start_s, first_of_slot = last[START], last[FIRST]
            self._probabilities[row] += (values - self._probabilities[row]) / decisions
        else:
            row, first_of_slot = self._new_row(), first
            self._probabilities[row] = values
        time_s = decision["time_s"]
        self._slots[row] = (
            start_s,
            end_s,
            first_of_slot,
            first + count,
            np.nan if time_s is None else time_s - end_s + max(duration_s, 1e-9),
            classes.index(decision["best"]),
            decision["label"] != UNKNOWN,
            decisions,
        )
        self.edge_s = end_s

    def quiet_until(self, edge_s: float) -> None:
        """Scroll on to here: the stream has gone on without a decision."""
        self.edge_s = max(self.edge_s, edge_s)

    def _new_row(self) -> int:
        if self._count == CAPACITY:  # forget what is out of sight
            slots = self._slots
            keep = int(np.searchsorted(slots["end_s"], self.edge_s - self.span_s))
            keep = max(keep, CAPACITY // 4)
            left = CAPACITY - keep
            slots[:left] = slots[keep:].copy()
            self._probabilities[:left] = self._probabilities[keep:].copy()
            self._count = left
        self._count += 1
        return self._count - 1

    @property
    def utc_offset_s(self) -> float | None:
        """Unix time minus axis time, of the newest decision; None when unknown."""
        offset = self._slots[self._count - 1]["utc_offset_s"] if self._count else np.nan
        return None if np.isnan(offset) else float(offset)

    def columns(self, column_count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut the visible span into columns of equal duration, the newest on the right.

        Columns begin at whole multiples of their duration, so that a picture made of them scrolls
        in whole pixels and never shimmers.

        Returns:
            probabilities: (K, columns) float32, means over the decisions that touch a column.
            known: (columns,) bool, the column's last label is a class.
            covered: (columns,) bool, a decision touches the column.
        """
        column_s = self.span_s / column_count
        right = np.ceil(self.edge_s / column_s)
        edges_s = (right - column_count + np.arange(column_count + 1)) * column_s
        slots = self._slots[: self._count]
        begin = int(np.searchsorted(slots["end_s"], edges_s[0], "right"))
        slots = slots[begin:]
        sums = np.zeros((len(slots) + 1, len(self.classes)))
        np.cumsum(self._probabilities[begin : self._count], axis=0, out=sums[1:])
        # A hair's breadth of tolerance: neighbours that only share an edge do not touch.
        hair_s = 1e-6 * column_s
        low = np.searchsorted(slots["end_s"], edges_s[:-1] + hair_s, "right")
        high = np.searchsorted(slots["start_s"], edges_s[1:] - hair_s, "left")
        covered = high > low
        mean = (sums[np.maximum(high, low)] - sums[low]) / np.maximum(high - low, 1)[:, None]
        last = np.minimum(np.maximum(high - 1, 0), max(len(slots) - 1, 0))
        known = slots["known"][last] & covered if len(slots) else covered
        return mean.T.astype(np.float32), known, covered

    def mean_probabilities(self) -> np.ndarray:
        """Compute the mean probabilities over the visible span, (K,)."""
        slots = self._slots[: self._count]
        begin = int(np.searchsorted(slots["end_s"], self.edge_s - self.span_s, "right"))
        return self._probabilities[begin : self._count].mean(0)

    def stretch_at(self, moment_s: float) -> dict[str, Any] | None:
        """Find the neighbouring decisions with one label around a moment on the axis.

        Returns:
            label, confidence (mean of the best class), first_sample, sample_count, time_s (Unix
            seconds or None), and start_s and end_s on the axis. None where there is no decision.
        """
        slots = self._slots[: self._count]
        at = int(np.searchsorted(slots["end_s"], moment_s, "right"))
        if at == len(slots) or slots["start_s"][at] > moment_s:
            return None

        def joined(left: int) -> bool:
            one, two = slots[left], slots[left + 1]
            length_s = min(one["end_s"] - one["start_s"], two["end_s"] - two["start_s"])
            return (
                one["known"] == two["known"]
                and (one["best"] == two["best"] or not one["known"])
                and one["first_sample"] < two["first_sample"]
                and two["start_s"] - one["end_s"] < length_s
            )

        low = high = at
        while low > 0 and joined(low - 1):
            low -= 1
        while high + 1 < len(slots) and joined(high):
            high += 1
        one, two = slots[low], slots[high]
        offset_s = float(one["utc_offset_s"])
        rows = np.arange(low, high + 1)
        return {
            "label": self.classes[one["best"]] if one["known"] else UNKNOWN,
            "confidence": float(self._probabilities[rows, slots["best"][rows]].mean()),
            "first_sample": int(one["first_sample"]),
            "sample_count": int(two["end_sample"] - one["first_sample"]),
            "time_s": None if np.isnan(offset_s) else offset_s + float(one["start_s"]),
            "start_s": float(one["start_s"]),
            "end_s": float(two["end_s"]),
        }
