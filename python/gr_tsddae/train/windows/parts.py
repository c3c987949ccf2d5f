# SPDX-License-Identifier: GPL-3.0-or-later
"""Which windows of recordings are learned from, which choose, and which measure."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

LEARN, CHOOSE, MEASURE, NEITHER = range(4)
BLOCKS = (LEARN, LEARN, LEARN, CHOOSE, MEASURE) * 2  # of a recording, in the order of time
MEASURED_SHARE = 1 / 3  # of the recordings of a class


def parts(
    label: np.ndarray,
    recording: np.ndarray,
    on: np.ndarray,
    at_s: np.ndarray,
    reach_s: np.ndarray,
    exact: np.ndarray,
    *,
    held_out: Sequence[int] | None,
    seed: int,
) -> tuple[np.ndarray, list[int]]:
    """Deal windows out to three parts.

    A class with several recordings is measured on some that it does not learn from, at least one. A
    single recording gives all three parts, which lie apart in time.

    Args:
        label: int64 (N,).
        recording: Number of a window's recording, int64 (N,).
        on: False in pauses, bool (N,).
        at_s: Where in it the window lies, (N,).
        reach_s: How far windows learned from must stay away from other parts, (N,).
        exact: Whether a window may choose or measure, bool (N,).
        held_out: Recordings that measure, where their class has others; None: they are drawn.
        seed: Of the draw.

    Returns:
        Part of each window, int64 (N,), and the recordings that none is learned from.
    """
    part = np.full(len(label), NEITHER)
    random, apart = np.random.default_rng(seed), []
    for value in np.unique(label):
        mine = np.unique(recording[label == value])
        count = max(1, int(len(mine) * MEASURED_SHARE))
        chosen = random.permutation(mine)[:count] if held_out is None else held_out
        chosen = [each for each in mine.tolist() if each in chosen]
        if len(mine) == 1 or len(chosen) == len(mine):
            chosen = []
        apart += chosen
        # Bursts and pauses are dealt out apart, so that each part has some of either.
        for each, state in itertools.product(mine.tolist(), (False, True)):
            here = (label == value) & (recording == each) & (on == state)
            if each in chosen or not here.any():
                part[here] = MEASURE
                continue
            blocks = np.array(BLOCKS)
            if chosen:
                blocks[blocks == MEASURE] = LEARN
            edges = np.quantile(at_s[here], np.linspace(0, 1, len(blocks) + 1)[1:-1])
            found, near = (
                blocks[np.searchsorted(edges, at_s[here] + side * reach_s[here], side="right")]
                for side in (0, 1)
            )
            before = blocks[np.searchsorted(edges, at_s[here] - reach_s[here], side="right")]
            # What is learned from with errors is longer or shorter, and may reach over an edge.
            torn = ~exact[here] & ((near != found) | (before != found))
            part[here] = np.where(torn, NEITHER, found)
    part[~exact & (part != LEARN)] = NEITHER
    return part, sorted(set(apart))


def spread(
    label: np.ndarray, recording: np.ndarray, most: int, most_of: Mapping[int, int] | None = None
) -> np.ndarray:
    """Choose windows, evenly spread over recordings as far as each has enough.

    Args:
        label: int64 (N,).
        recording: int64 (N,).
        most: Windows per label.
        most_of: Of labels with another limit.

    Returns:
        int64 (n,), ascending.
    """
    kept = []
    for value in np.unique(label):
        rest = (most_of or {}).get(int(value), most)
        of = [np.flatnonzero((label == value) & (recording == r)) for r in np.unique(recording)]
        of = sorted((which for which in of if len(which)), key=len)
        for number, which in enumerate(of):
            count = min(len(which), -(-rest // (len(of) - number)))
            kept.append(which[np.arange(count) * len(which) // max(1, count)])
            rest -= count
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)
