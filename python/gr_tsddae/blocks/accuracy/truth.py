# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth of each sample of a stream, and how well a classifier agrees with it.

The truth is a step function of the sample number: a value holds until another is told. Label and
level are two such functions, so that a stretch may have one label and several levels.
"""

import json
import math
import threading
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gr_tsddae.iq.sigmf.metadata import annotated_samples
from gr_tsddae.iq.sigmf.opinion import is_opinion

# Values of a step function that are none: nothing was told, several are true, it was forgotten.
NOTHING, SEVERAL, FORGOTTEN = -(2**31), -(2**31) + 1, -(2**31) + 2
STEPS_KEPT = 1 << 17
NAMES_KEPT = 1000
OTHER_NAME = "(other)"
_LEVEL_LIMIT_DB = 200
_SAMPLE_LIMIT = 2**62  # no file is longer


class Steps:
    """Keep an integer for each sample, by its changes; the oldest changes are forgotten."""

    def __init__(self, limit: int = STEPS_KEPT):
        self._limit = limit
        self._starts = np.empty(2 * limit, np.int64)
        self._values = np.empty(2 * limit, np.int64)
        self._count = 0
        self._first = NOTHING  # the value before the first change

    def tell(self, sample: int, value: int) -> None:
        """Set the value from a sample on. Samples rise from call to call."""
        if value == (self._values[self._count - 1] if self._count else self._first):
            return
        if self._count == 2 * self._limit:
            for array in (self._starts, self._values):
                array[: self._limit] = array[self._limit :]
            self._count, self._first = self._limit, FORGOTTEN
        self._starts[self._count], self._values[self._count] = sample, value
        self._count += 1

    def over(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Give the value between two samples, both included; SEVERAL if it changes. int64 (n,)."""
        starts, values = self._starts[: self._count], self._values[: self._count]
        at, until = (np.searchsorted(starts, s, side="right") - 1 for s in (first, last))
        found = np.full(len(at), self._first)
        found[at >= 0] = values[at[at >= 0]]
        return np.where((at != until) & (found != FORGOTTEN), SEVERAL, found)


class Truth:
    """Keep label and level of each sample of a stream. Threads may share it.

    Args:
        limit: number of changes of label, and of level, that are kept.
        complete: whether all is known from the start, as from a file.
    """

    def __init__(self, limit: int = STEPS_KEPT, *, complete: bool = False):
        self._lock = threading.Lock()
        self._limit = limit
        self._complete = complete
        self.restart()

    def restart(self) -> None:
        """Forget everything, because a stream begins."""
        with self._lock:
            self._labels, self._levels = Steps(self._limit), Steps(self._limit)
            self.names: list[str] = []
            self._numbers: dict[str, int] = {}
            self.known_until = math.inf if self._complete else 0

    def tell(self, sample: int, label: str | None, level_db: float | None) -> None:
        """Set the truth from a sample on; None: unknown. Levels are rounded to whole dB."""
        with self._lock:
            self._labels.tell(sample, NOTHING if label is None else self._number(label))
            self._levels.tell(sample, _whole_db(level_db))

    def tell_several(self, sample: int) -> None:
        """Say that several things are true from a sample on."""
        with self._lock:
            self._labels.tell(sample, SEVERAL)
            self._levels.tell(sample, SEVERAL)

    def reached(self, sample: int) -> None:
        """Say that the truth of all samples before this one was told."""
        with self._lock:
            self.known_until = sample

    def over(self, first: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the truth that holds throughout `count` samples from each of `first`, int64 (n,).

        Returns:
            Numbers of `names`, and levels in dB, int64 (n,); or NOTHING, SEVERAL, FORGOTTEN.
        """
        with self._lock:
            last = first + count - 1
            return self._labels.over(first, last), self._levels.over(first, last)

    def _number(self, label: str) -> int:
        if label not in self._numbers:
            if len(self.names) >= NAMES_KEPT:  # a counter in a label must not fill the memory
                label = OTHER_NAME
            if label not in self._numbers:
                self._numbers[label] = len(self.names)
                self.names.append(label)
        return self._numbers[label]


def _whole_db(level_db: float | None) -> int:
    if level_db is None or not abs(level_db) <= _LEVEL_LIMIT_DB:
        return NOTHING
    return round(level_db)


class _Event(NamedTuple):
    sample: int
    change: int  # +1: it begins to be true, -1: it ends
    truth: tuple[str, float | None]


def read_annotations(path: Path) -> Truth:
    """Read the truth from a SigMF recording's annotations, but for those that a model wrote.

    Args:
        path: the .sigmf-meta file; the samples need not be there.

    Raises:
        ValueError: If the file cannot be read, or has no labelled annotation.
    """
    path = path.with_suffix(".sigmf-meta") if path.suffix == ".sigmf-data" else path
    try:
        metadata = json.loads(path.read_bytes())
        events = _events(metadata)
    except OSError as error:
        raise ValueError(f"truth {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"truth {path} is no SigMF metadata ({type(error).__name__}: {error}); "
            "run sigmf_validate on it"
        ) from error
    if not events:
        raise ValueError(f"truth {path} has no annotation with a label; label the recording first")
    truth = Truth(len(events), complete=True)
    active: Counter[tuple[str, float | None]] = Counter()
    for number, event in enumerate(events):
        active[event.truth] += event.change
        if not active[event.truth]:
            del active[event.truth]
        if number + 1 < len(events) and events[number + 1].sample == event.sample:
            continue
        if len(active) > 1:
            truth.tell_several(event.sample)
        else:
            truth.tell(event.sample, *next(iter(active), (None, None)))
    return truth


def _events(metadata: dict[str, Any]) -> list[_Event]:
    events = []
    for entry, first, end in annotated_samples(metadata, _SAMPLE_LIMIT):
        if "core:label" not in entry or is_opinion(entry.get("core:generator")):
            continue
        level = entry.get("tsddae:snr_db")
        truth = str(entry["core:label"]), None if level is None else float(level)
        events += [_Event(first, 1, truth), _Event(end, -1, truth)]
    return sorted(events, key=lambda event: event.sample)
