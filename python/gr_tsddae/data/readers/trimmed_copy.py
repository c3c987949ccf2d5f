# SPDX-License-Identifier: GPL-3.0-or-later
"""Find recordings whose samples are a stretch of another recording: copies that were trimmed.

A mark is a hash of some samples that follow each other. Of a recording, marks are taken at regular
places. Of a shorter one, the marks of every sample in some blocks are looked up among them: a block
is longer than the distance of two regular places, so one of them lies in it, wherever the copy was
cut. All samples are read once.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np

from gr_tsddae.iq.captures import Capture

_MARK_SAMPLES = 32
_FEWEST_CHANGES = 8  # from sample to sample in a mark; silence is alike everywhere
_SPACING_SAMPLES = (256, 4096)  # of marks, in short recordings and in long ones
_MOST_MARKS = 1 << 17  # until the spacing is the longest
_READ_SAMPLES = 1 << 18
_BLOCKS = 16
_BLOCK_SAMPLES = _SPACING_SAMPLES[1] + _MARK_SAMPLES
_PLACES_TRIED = 4
_FACTORS = np.random.default_rng(0).integers(2**63, size=_MARK_SAMPLES, dtype=np.uint64) | 1


def holders(captures: Sequence[Capture]) -> dict[int, tuple[int, int]]:
    """Find the recordings that are a stretch of a longer one.

    Samples are compared as they are read: a copy at another level is not found.

    Returns:
        Number of the shorter recording -> number of the longest that holds it, and its first
        sample there.
    """
    order = sorted(range(len(captures)), key=lambda each: -captures[each].sample_count)
    if not order or captures[order[0]].sample_count == captures[order[-1]].sample_count:
        return {}
    regular = [_regular_marks(captures[each]) for each in order]
    marks = np.concatenate([each for each, _ in regular])
    places = np.concatenate([each for _, each in regular])
    owner = np.repeat(np.arange(len(order)), [len(each) for each, _ in regular])
    by_mark = np.argsort(marks, kind="stable")  # of equal marks, those of longer recordings first
    marks, places, owner = marks[by_mark], places[by_mark], owner[by_mark]
    found = {}
    for rank, number in enumerate(order):
        inside = captures[number]
        offsets: Counter[tuple[int, int]] = Counter()
        for first, every in _blocks(inside):
            at = np.searchsorted(marks, every)
            at[at == len(marks)] = 0
            hit = np.flatnonzero((marks[at] == every) & (owner[at] < rank))
            offsets.update(zip(owner[at[hit]], places[at[hit]] - first - hit, strict=True))
        for (other, offset), _ in offsets.most_common(_PLACES_TRIED):
            holder = captures[order[other]]
            if inside.sample_count < holder.sample_count and _holds(holder, int(offset), inside):
                found[number] = order[other], int(offset)
                break
    return found


def _regular_marks(capture: Capture) -> tuple[np.ndarray, np.ndarray]:
    """Return marks of a recording at regular places, and these places."""
    spacing = int(np.clip(capture.sample_count // _MOST_MARKS, *_SPACING_SAMPLES))
    step = _READ_SAMPLES // spacing * spacing
    marks, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    with copy(capture) as opened:
        for first in range(0, capture.sample_count - _MARK_SAMPLES + 1, step):
            numbers = _numbers(opened, first, step - spacing + _MARK_SAMPLES)
            of_read, is_usable = _marks(numbers, spacing)
            marks.append(of_read[is_usable])
            places.append(first + spacing * np.flatnonzero(is_usable))
    return np.concatenate(marks), np.concatenate(places)


def _blocks(capture: Capture) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks all over a recording: first sample, and a mark for each sample; 0 for none."""
    if capture.sample_count < _MARK_SAMPLES:
        return
    with copy(capture) as opened:
        for first in _begins(capture):
            marks, is_usable = _marks(_numbers(opened, first, _BLOCK_SAMPLES))
            yield first, np.where(is_usable, marks, 0)


def _marks(numbers: np.ndarray, spacing: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Hash the samples from every `spacing`-th on, and tell where they change enough to be told."""
    windows = np.lib.stride_tricks.sliding_window_view(numbers, _MARK_SAMPLES)[::spacing]
    changes = np.count_nonzero(windows[:, 1:] != windows[:, :-1], axis=1)
    return windows @ _FACTORS, changes >= _FEWEST_CHANGES


def _numbers(capture: Capture, first: int, count: int) -> np.ndarray:
    """Read samples, as far as there are, as one whole number each."""
    iq = capture.read(first, min(count, capture.sample_count - first))
    # The imaginary part of an analytic signal depends on what was read with it.
    if capture.sample_format.is_real:
        return np.ascontiguousarray(iq.real).view(np.uint32).astype(np.uint64)
    return iq.view(np.uint64)


def _holds(holder: Capture, offset: int, inside: Capture) -> bool:
    """Compare blocks all over a recording with another one from `offset` on."""
    if not 0 <= offset <= holder.sample_count - inside.sample_count:
        return False
    with copy(holder) as long, copy(inside) as short:
        return all(
            np.array_equal(
                _numbers(short, first, _BLOCK_SAMPLES),
                _numbers(long, offset + first, min(_BLOCK_SAMPLES, inside.sample_count - first)),
            )
            for first in _begins(inside)
        )


def _begins(capture: Capture) -> list[int]:
    """Return where the blocks of a recording begin: all of a short one is in them."""
    count = min(_BLOCKS, -(-capture.sample_count // _BLOCK_SAMPLES))
    last = max(0, capture.sample_count - _BLOCK_SAMPLES)
    return [last * number // max(1, count - 1) for number in range(count)]
