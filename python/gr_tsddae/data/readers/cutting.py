# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut recordings into windows and groups of neighbours, by arithmetic. No sample is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr_tsddae.data.dataset import DatasetError

GROUPINGS = ("block", "recording", "window")


@dataclass(frozen=True)
class Stretch:
    """Samples of one recording that windows are cut from. No window reaches over the ends.

    Attributes:
        file: number of the recording.
        first_sample: where it starts.
        sample_count: its length.
        label: index of the class, or `UNLABELLED`.
        level_db: labelled level in whole decibels.
    """

    file: int
    first_sample: int
    sample_count: int
    label: int
    level_db: int = 0


@dataclass(frozen=True)
class Cut:
    """All windows of a list of stretches, in the order of recordings and time.

    Attributes:
        file: int32 (N,).
        first_sample: int64 (N,).
        label: int64 (N,).
        level_db: int64 (N,).
        group: int64 (N,), by block, recording or window.
        straddling: windows left out because they lie in two blocks.
    """

    file: np.ndarray
    first_sample: np.ndarray
    label: np.ndarray
    level_db: np.ndarray
    group: np.ndarray
    straddling: int

    def only(self, keep: np.ndarray) -> Cut:
        """Take the windows with these numbers, int64 (n,) or bool (N,)."""
        columns = ("file", "first_sample", "label", "level_db", "group")
        return Cut(*(getattr(self, name)[keep] for name in columns), straddling=self.straddling)


def cut_into_windows(
    stretches: Sequence[Stretch],
    *,
    window_samples: int,
    hop_samples: int,
    blocks: int,
    group_by: str,
) -> Cut:
    """Cut stretches into windows, and say which belong together in a split.

    With `group_by="block"`, what a recording holds of one class is cut in time order into up to
    `blocks` blocks of about as many windows each; each block is a group, and an overlapping window
    that would lie in two of them is left out. Otherwise a recording, or a window, is a group.

    Raises:
        DatasetError: if a number or the grouping is out of range.
    """
    for name, value in (
        ("window_samples", window_samples),
        ("hop_samples", hop_samples),
        ("blocks", blocks),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DatasetError(f"{name} is {value!r}; give a whole number of at least 1")
    if group_by not in GROUPINGS:
        raise DatasetError(f"no grouping {group_by!r}; there are: {', '.join(GROUPINGS)}")
    # What is cut into blocks together: a recording's stretches of one class (and level), by time.
    together: dict[tuple[int, int, int], list[Stretch]] = {}
    for stretch in sorted(stretches, key=lambda each: (each.file, each.first_sample)):
        key = (stretch.file, stretch.label, stretch.level_db)
        together.setdefault(key, []).append(stretch)
    parts: list[Cut] = []
    group_count = 0
    for (file, label, level_db), members in together.items():
        first = _grid(members, window_samples, hop_samples)
        if group_by == "block":
            block, inside = _blocks(members, first, window_samples, hop_samples, blocks)
        else:
            block, inside = np.zeros(len(first), np.int64), np.ones(len(first), bool)
        count = int(inside.sum())
        parts.append(
            Cut(
                file=np.full(count, file, np.int32),
                first_sample=first[inside],
                label=np.full(count, label, np.int64),
                level_db=np.full(count, level_db, np.int64),
                group=group_count + block[inside],
                straddling=len(first) - count,
            )
        )
        group_count += blocks
    names = ("file", "first_sample", "label", "level_db", "group")
    empty = {name: np.zeros(0, np.int32 if name == "file" else np.int64) for name in names}
    columns = {
        name: np.concatenate([empty[name], *(getattr(part, name) for part in parts)])
        for name in names
    }
    if group_by == "recording":
        columns["group"] = columns["file"].astype(np.int64)
    elif group_by == "window":
        columns["group"] = np.arange(len(columns["file"]))
    return Cut(**columns, straddling=sum(part.straddling for part in parts))


def thin_out(label: np.ndarray, max_per_class: int) -> np.ndarray:
    """Choose at most `max_per_class` windows of each label, evenly spread over its windows.

    Args:
        label: int64 (N,).
        max_per_class: at least 1.

    Returns:
        int64 (n,), ascending.

    Raises:
        DatasetError: if `max_per_class` is less than 1.
    """
    if max_per_class < 1:
        raise DatasetError(f"max_windows_per_class is {max_per_class}; give at least 1, or none")
    kept = []
    for value in np.unique(label):
        which = np.flatnonzero(label == value)
        count = min(len(which), max_per_class)
        kept.append(which[np.arange(count) * len(which) // count])
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)


def _grid(stretches: Sequence[Stretch], window_samples: int, hop_samples: int) -> np.ndarray:
    """List the first samples of all windows that lie whole in a stretch: int64 (N,), by time."""
    starts = [
        np.arange(
            stretch.first_sample,
            stretch.first_sample + stretch.sample_count - window_samples + 1,
            hop_samples,
            dtype=np.int64,
        )
        for stretch in stretches
    ]
    return np.concatenate(starts) if starts else np.zeros(0, np.int64)


def _blocks(
    stretches: Sequence[Stretch],
    first: np.ndarray,
    window_samples: int,
    hop_samples: int,
    blocks: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Find each window's block, int64 (N,), and whether the window lies whole in it, bool (N,)."""
    # Blocks begin where a window begins if windows do not overlap, so then nothing is lost.
    slots = _grid(stretches, window_samples, max(hop_samples, window_samples))
    count = max(1, min(blocks, len(slots)))
    begins = slots[np.arange(1, count) * len(slots) // count]  # of all blocks but the first
    block = np.searchsorted(begins, first, side="right")
    return block, block == np.searchsorted(begins, first + window_samples - 1, side="right")
