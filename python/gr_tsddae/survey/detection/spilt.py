# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes of what nobody sends: a stronger emission's splatter, its skirts, and its mirror image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gr_tsddae.survey.detection import short
from gr_tsddae.survey.detection.box import GAP_BINS, SLICE_FRAMES, Box

SPLATTER_DB = 12.0  # how much denser an emission is than a flash that its keying spills
PEAK_FRAMES = 8  # coarse frames that a peak of an emission's frequency lasts, close to it,
FLASH_FRAMES = 2  # and that of its envelope, further off
TOGETHER_FRAMES = 3  # coarse frames between begins, and ends, of the same burst
TOUCHING_SKIRT = 10.0  # how much denser an emission is than its skirt,
DETACHED_SKIRT = 100.0  # and than the side lobes beyond
IMAGE_DB = 14.0  # how much stronger the original of a mirror image is, at least
IMAGE_COHERENCE = 0.6


def without_spilt(boxes: Sequence[Box], times: float) -> list[Box]:
    """Leave out skirts and splatter.

    Args:
        boxes: of one slab.
        times: how much stronger than splatter the emission is that spills it.
    """
    if not boxes:
        return []
    powers = np.array([box.power for box in boxes])
    highest = powers.max(1)
    kept = []
    for number, (box, is_skirt) in enumerate(zip(boxes, _skirts(boxes), strict=True)):
        if is_skirt:
            continue
        peak = box.power[box.active].max()
        stronger = highest >= times * peak
        stronger[number] = False
        if stronger.any():
            at = np.flatnonzero(stronger)
            near = np.convolve(box.active, np.ones(2 * SLICE_FRAMES + 1), "same") > 0
            tops = powers[at][:, near].max(1)
            at, tops = at[tops >= times * peak], tops[tops >= times * peak]
            if len(at) and _is_splatter(box, peak, [boxes[k] for k in at], tops):
                continue
        kept.append(box)
    return kept


def _is_splatter(box: Box, peak: float, others: Sequence[Box], tops: np.ndarray) -> bool:
    """Whether a box is flashes that another's keying, peaks or clipping spill.

    Args:
        box: the weaker one.
        peak: its highest power.
        others: much stronger ones.
        tops: their highest powers while the box was on.
    """
    longest = max(stop - start for start, stop in box.runs)
    low, high = np.array([(other.low, other.high) for other in others]).T
    width = high - low
    gap = np.maximum(low - box.high, box.low - high)
    reach = np.where(gap <= np.maximum(GAP_BINS, width // 4), PEAK_FRAMES, FLASH_FRAMES)
    beside = (longest <= reach) & (gap <= np.maximum(GAP_BINS, width)) & (width >= box.width)
    # Two transmitters hardly ever begin and end all their bursts together.
    if beside.any() or any(coincide(box, other) for other in others):
        return True
    if longest > 2 * SLICE_FRAMES:
        return False
    denser = tops / width >= 10 ** (SPLATTER_DB / 10) * peak / box.width
    return any(
        all(_is_keyed(others[k], *flash) for flash in box.runs) for k in np.flatnonzero(denser)
    )


def _is_keyed(other: Box, start: int, stop: int) -> bool:
    """Whether a box goes on or off at a flash."""
    before, after = other.power[max(0, start - 4) : start], other.power[stop : stop + 4]
    if not (len(before) and len(after)):
        return False
    low, high = sorted((short.median(before), short.median(after)))
    return low < 0.3 * high


def coincide(box: Box, other: Box) -> bool:
    """Whether each burst begins and ends with one of another box; one that lasts says nothing."""
    whole = [run for run in box.runs if run[0] > 0 and run[1] < len(box.active)]
    return bool(whole) and all(
        any(
            abs(start - a) <= TOGETHER_FRAMES and abs(stop - b) <= TOGETHER_FRAMES
            for a, b in other.runs
        )
        for start, stop in whole
    )


def _skirts(boxes: Sequence[Box]) -> np.ndarray:
    """Which boxes are what a much stronger emission spills beside itself while it is on, bool."""
    low, high = np.array([[box.low, box.high] for box in boxes]).reshape(-1, 2).T
    width = high - low
    active = np.array([box.active for box in boxes], np.float32)
    power = active * [box.power for box in boxes] / width[:, None]
    both = active @ active.T  # frames; row: the box, column: the other
    here, there = power @ active.T, active @ power.T
    gap = np.maximum(low[None] - high[:, None], low[:, None] - high[None])
    times = np.where(gap <= GAP_BINS, TOUCHING_SKIRT, DETACHED_SKIRT)
    spilt = (both > 0) & (both >= 0.5 * active.sum(1)[:, None]) & (there > times * here)
    spilt &= gap <= np.maximum(GAP_BINS, width[None])
    np.fill_diagonal(spilt, False)
    return spilt.any(1)


def is_image(box: Box, boxes: Sequence[Box], ratio: np.ndarray) -> bool:
    """Whether a box is the mirror image, at the other side of 0 Hz, of a stronger one.

    Args:
        box: one of the boxes.
        boxes: of a slab.
        ratio: power over floor, float32 (T, F).
    """
    bins = ratio.shape[1]
    low, high = bins - box.high + 1, bins - box.low + 1  # bin k lies at k - bins / 2
    for other in boxes:
        if other is box or other.low >= high or other.high <= low:
            continue
        both = box.active & other.active
        count = np.count_nonzero(both)
        if count < 0.7 * box.frames:
            continue
        first, stop = max(low, 1), min(high, bins)
        there = ratio[:, first:stop][both]
        here = ratio[:, bins - stop + 1 : bins - first + 1][both, ::-1]
        stronger_db = 10 * np.log10(max((there.mean() - 1), 1e-9) / max(here.mean() - 1, 1e-9))
        if stronger_db < IMAGE_DB:
            continue
        if stronger_db > 30 or here.size < 16:
            return True
        coherence = np.corrcoef(np.log(here.ravel() + 0.1), np.log(there.ravel() + 0.1))[0, 1]
        spread = there.std() / there.mean()
        if coherence > IMAGE_COHERENCE * min(1.0, here.mean() / 4) or spread < 0.3:
            return True
    return False
