# SPDX-License-Identifier: GPL-3.0-or-later
"""The `Dataset` that every reader returns: windows, and what is known about each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

UNLABELLED = -1


class DatasetError(ValueError):
    """A dataset cannot be used; the message names the file, what is wrong, and what to do."""


class WindowStore(Protocol):
    """A place that holds windows: memory, or files that are read by slices.

    Attributes:
        shape: (N, 2, L).
    """

    shape: tuple[int, int, int]

    def read(self, index: np.ndarray) -> np.ndarray:
        """Read windows by number: int64 (n,), any order, repeats allowed -> float32 (n, 2, L).

        Unscaled, as in the file. A store on files reads only what is asked for.
        """
        ...


class MemoryStore:
    """Windows that are all in memory, or in one memory-mapped array.

    Args:
        rows: floating-point (N, 2, L); kept as it is, never copied whole.
    """

    def __init__(self, rows: np.ndarray):
        if rows.ndim != 3 or rows.shape[1] != 2:
            raise DatasetError(f"windows have the shape {rows.shape}; it must be (N, 2, L)")
        self.rows = rows
        self.shape = rows.shape

    def read(self, index: np.ndarray) -> np.ndarray:
        return self.rows[index].astype(np.float32, copy=False)


class ChunkedStore:
    """Windows in several arrays in memory, numbered through. The arrays are never copied whole.

    Args:
        chunks: at least one; each floating-point (n, 2, L) with the same L.
    """

    def __init__(self, chunks: Sequence[np.ndarray]):
        if len(shapes := {chunk.shape[1:] for chunk in chunks}) != 1:
            raise DatasetError(f"windows have the shapes {sorted(shapes)}; they must be alike")
        self.chunks = tuple(chunks)
        self._ends = np.cumsum([len(chunk) for chunk in chunks])
        self.shape = (int(self._ends[-1]), *chunks[0].shape[1:])

    def read(self, index: np.ndarray) -> np.ndarray:
        rows = np.empty((len(index), *self.shape[1:]), np.float32)
        chunk = np.searchsorted(self._ends, index, side="right")
        for number in np.unique(chunk):
            here = np.flatnonzero(chunk == number)
            start = self._ends[number] - len(self.chunks[number])
            rows[here] = self.chunks[number][index[here] - start]
        return rows


def usable(rows: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Find the windows that a network can learn from: finite as float32, and not all zero.

    Args:
        rows: floating-point (N, 2, L).

    Returns:
        Bool (N,), and for `Dataset.skipped` how many are not, by reason.
    """
    with np.errstate(over="ignore"):
        finite = np.isfinite(rows.astype(np.float32, copy=False)).all((1, 2))
    silent = ~rows.any((1, 2))
    counts = {"not finite": int((~finite).sum()), "all zero": int(silent.sum())}
    return finite & ~silent, {reason: count for reason, count in counts.items() if count}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Windows and what is known about each.

    Attributes:
        kind: one of `data.kinds()`.
        path: where it was read from, for messages and cards.
        store: the windows; `index` says which of them belong to this dataset, in this order.
        index: int64 (N,), rows of `store`.
        label: int64 (N,), indices into `classes`, or `UNLABELLED`.
        level_db: int64 (N,), labelled level in whole decibels; all 0 when `level_name` is None.
        classes: names, in the order of the labels; empty when nothing is labelled.
        level_name: "SNR", "SIR", or None for recordings, whose level nobody knows.
        group: int64 (N,), the recording or stretch of time a window is from; windows of one group
            never end up on both sides of a split. None when windows are independent.
        task: "amc", "wtc" or "anomaly".
        samples_per_symbol: of the signals, where that has a meaning and is known.
        bandwidth_multiple: the sample rate over the signals' occupied bandwidth, likewise.
        sample_rate_hz: of the recordings, when all share one and it is known.
        licence: of the data.
        skipped: reason -> number of windows that were left out, e.g. {"not finite": 3}.
    """

    kind: str
    path: str
    store: WindowStore
    index: np.ndarray
    label: np.ndarray
    level_db: np.ndarray
    classes: tuple[str, ...]
    level_name: str | None = "SNR"
    group: np.ndarray | None = None
    task: str = "amc"
    samples_per_symbol: float | None = None
    bandwidth_multiple: float | None = None
    sample_rate_hz: float | None = None
    licence: str = "unknown"
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.index)
        for name in ("label", "level_db", "group"):
            values = getattr(self, name)
            if values is not None and values.shape != (count,):
                raise DatasetError(f"{name} has the shape {values.shape}; {count} windows need one")
        if count and not UNLABELLED <= self.label.min() <= self.label.max() < len(self.classes):
            raise DatasetError(
                f"{self.path}: labels span {self.label.min()}..{self.label.max()}; "
                f"there are {len(self.classes)} classes"
            )

    def __len__(self) -> int:
        return len(self.index)

    @property
    def window_samples(self) -> int:
        """L, complex samples per window."""
        return self.store.shape[2]

    def rows(self, which: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Read unscaled windows of this dataset, all or by number: float32 (n, 2, L)."""
        return self.store.read(self.index[which])

    def select(self, which: np.ndarray) -> Dataset:
        """Take the windows with these numbers, int64 (n,) or bool (N,); read no window."""
        return dataclasses.replace(
            self,
            index=self.index[which],
            label=self.label[which],
            level_db=self.level_db[which],
            group=None if self.group is None else self.group[which],
        )

    def summary(self) -> dict[str, Any]:
        """Count windows per class and level, as plain numbers and text."""
        counts = np.unique(self.level_db, return_counts=True)
        levels = {int(v): int(n) for v, n in zip(*counts, strict=True)}
        named = {name: int((self.label == i).sum()) for i, name in enumerate(self.classes)}
        return {
            "kind": self.kind,
            "path": self.path,
            "task": self.task,
            "windows": len(self),
            "window_samples": self.window_samples,
            "samples_per_symbol": self.samples_per_symbol,
            "sample_rate_hz": self.sample_rate_hz,
            "classes": named,
            "unlabelled": int((self.label == UNLABELLED).sum()),
            "levels_db": levels if self.level_name else {},
            "level_name": self.level_name,
            "groups": 0 if self.group is None else len(np.unique(self.group)),
            "skipped": dict(self.skipped),
            "licence": self.licence,
        }
