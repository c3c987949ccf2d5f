# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a slab of samples something is sent: boxes in time and frequency.

Cells in which tiles stand over the floor, and which touch, are one component; a component is
divided where its spectrum has gaps, and boxes whose powers rise and fall together, or against each
other, are joined: sidebands, and the tones of an FSK.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from gr_tsddae.survey.detection import short
from gr_tsddae.survey.detection.box import GAP_BINS, SLICE_FRAMES, Box, mean_excess
from gr_tsddae.survey.detection.spectrum import LONG_RATIO
from gr_tsddae.survey.detection.spilt import coincide, is_image, without_spilt
from gr_tsddae.survey.detection.tiles import active_cells

ACTIVE_SHARE = 0.15  # of a component's time that a bin must be active to belong to it
BURST_QUANTILE = 0.9  # of the powers of a box's frames: the power while it is on,
PAUSE_RATIO = 4.0  # and power over the floor that no pause of strong bursts has
EDGE_SHARE = 0.005  # of an emission's power left out at either edge
SPILT, SPILT_BY_CLIPPING = 20.0, 4.0  # how many times as strong an emission is as what it spills
VALLEY = 10.0  # how far the spectrum falls between two emissions, against the weaker one's peak
VALLEY_SHARE = 0.08  # how wide the valley is, against the narrower one
VALLEY_CELLS = 64  # averaged, so that chance digs no valleys into a short burst
SWEEP_BINS, SWEEP_FRAMES = 12, 32  # coarse, that a sweep crosses and lasts in a slab at least
SWEEP_ERROR = 0.02  # of the width, by which its frequency differs from a steady pace
LEAST_SIGMAS = 8.0  # of noise, that a box's power must exceed
LEAST_DC_BINS = 128  # of a band whose bins around 0 Hz may be left out
DC_FINE_BINS = 3  # around 0 Hz: the receiver's own
SHORT_FRAMES = 24  # coarse frames of a burst that is too short to compare powers
TOGETHER = 0.45  # correlation of powers, of one emission's parts
TOGETHER_SIGMAS = 5.0
TONES_DB = 8.0  # how much the tones of an FSK may differ,
TONES_SWING = 0.4  # and how much less of its power one may swing than the other


def detect(
    coarse: np.ndarray,
    fine: np.ndarray,
    floor: np.ndarray,
    *,
    dc_is_sent: bool = False,
    clipping: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[Box]:
    """Find what is sent in a slab.

    Args:
        coarse: power frames (T, F), half a frame apart.
        fine: power frames (T2, LONG_RATIO * F), half a frame apart, of the same samples.
        floor: noise power per coarse bin, (F,).
        dc_is_sent: whether what lies at 0 Hz is a carrier, and not the receiver's own.
        clipping: as `coarse` and `fine`, what the converter's clipping may have added.

    Returns:
        Boxes, lowest frequency first.
    """
    ratio = coarse / floor
    fine_ratio = fine / _finer(floor)
    if not dc_is_sent:
        _hide_dc(ratio, 1)
        _hide_dc(fine_ratio, DC_FINE_BINS)
    if clipping is None:
        mask = active_cells(ratio, fine_ratio)
    else:
        clear = [
            power / (1 + added / beneath)
            for power, added, beneath in zip(
                (ratio, fine_ratio), clipping, (floor, _finer(floor)), strict=True
            )
        ]
        mask = active_cells(*clear)
    spilt = SPILT if clipping is None else SPILT_BY_CLIPPING
    boxes = _join(without_spilt(_components(mask, ratio), spilt), ratio)
    return [box for box in boxes if not is_image(box, boxes, ratio)]


def _finer(floor: np.ndarray) -> np.ndarray:
    """The floor at the bins of the fine spectrum."""
    bins = len(floor)
    at = (np.arange(bins * LONG_RATIO) - bins * LONG_RATIO // 2) / LONG_RATIO + bins // 2
    return np.interp(at, np.arange(bins), floor).astype(np.float32)


def _hide_dc(ratio: np.ndarray, reach: int) -> None:
    """Replace the bins around 0 Hz by those beside them, where they stand out."""
    middle = ratio.shape[1] // 2
    if middle < LEAST_DC_BINS / 2 * reach:  # bins so wide hold more than DC
        return
    beside = np.r_[
        middle - 2 * reach - 1 : middle - reach, middle + reach + 1 : middle + 2 * reach + 2
    ]
    around = ratio[:, beside].mean(1, keepdims=True)
    part = ratio[:, middle - reach : middle + reach + 1]
    np.minimum(part, around, out=part)


def _components(mask: np.ndarray, ratio: np.ndarray) -> list[Box]:
    """Boxes of the cells that touch: what is active for a good part of a component, then the rest.

    Args:
        mask: bool (T, F), cells in which something is sent.
        ratio: power over floor, float32 (T, F).
    """
    frames, bins = mask.shape
    slices = -(-frames // SLICE_FRAMES)
    padded = np.zeros((slices * SLICE_FRAMES, bins), bool)
    padded[:frames] = mask
    cells = padded.reshape(slices, SLICE_FRAMES, bins).any(1)
    # By Cauchy and Schwarz, no part of a component exceeds the root of its sum of squares.
    whole = frames // SLICE_FRAMES * SLICE_FRAMES
    excess = ratio[:whole].reshape(-1, SLICE_FRAMES, bins).sum(1) - SLICE_FRAMES
    squares = np.square(excess) / (1.9 * SLICE_FRAMES)
    boxes: list[Box] = []
    for _ in range(2):
        rest = np.zeros_like(cells)
        close = cells.copy()
        for shift in range(1, GAP_BINS // 2 + 1):
            close[:, shift:] |= cells[:, :-shift]
            close[:, :-shift] |= cells[:, shift:]
        labels, _ = ndimage.label(close, np.ones((3, 3), int))
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
            if rows.stop <= len(squares) and squares[rows, columns].sum() < LEAST_SIGMAS**2:
                continue
            part = (labels[rows, columns] == number) & cells[rows, columns]
            for low, high in _columns(part, ratio, rows, columns):
                inside = part[:, low:high].any(1)
                box = _box(ratio, columns.start + low, columns.start + high, rows, inside)
                if box is None:
                    continue
                boxes.append(box)
                part[:, low:high] = False
            rest[rows, columns] |= part
        cells = rest
    return [box for box in boxes if _is_significant(box)]


def _columns(
    part: np.ndarray, ratio: np.ndarray, rows: slice, columns: slice
) -> list[tuple[int, int]]:
    """Runs of bins in which a component is active for a good part of its time."""
    active = part.sum(0)
    runs = short.runs(active >= ACTIVE_SHARE * active.max(), GAP_BINS)
    frames = slice(rows.start * SLICE_FRAMES, rows.stop * SLICE_FRAMES)
    on = np.repeat(part.any(1), SLICE_FRAMES)[: len(ratio[frames])]
    smooth = max(3, -(-VALLEY_CELLS // int(np.count_nonzero(on)))) | 1
    if all(high - low < 3 * smooth for low, high in runs):  # too narrow to be divided
        return runs
    excess = mean_excess(ratio[frames, columns], on)
    return [piece for run in runs for piece in _split(excess, *run, smooth)]


def _split(excess: np.ndarray, low: int, high: int, smooth: int) -> list[tuple[int, int]]:
    """Divide a run of bins where its spectrum, smoothed, has a deep and wide valley."""
    if high - low < 3 * smooth:
        return [(low, high)]
    line = ndimage.uniform_filter1d(excess[low:high], smooth, mode="nearest")
    left, right = np.maximum.accumulate(line), np.maximum.accumulate(line[::-1])[::-1]
    deep = np.minimum(left, right) > VALLEY * line
    if not deep.any():
        return [(low, high)]
    # A valley counts where it is wide beside what it divides.
    first, *others = [[low + start, low + stop] for start, stop in short.runs(~deep)]
    joined = [first]
    for start, stop in others:
        gap = start - joined[-1][1]
        narrower = min(joined[-1][1] - joined[-1][0], stop - start)
        if gap < max(smooth - 1, VALLEY_SHARE * narrower):
            joined[-1][1] = stop
        else:
            joined.append([start, stop])
    return [(start, stop) for start, stop in joined]


def _box(ratio: np.ndarray, low: int, high: int, rows: slice, inside: np.ndarray) -> Box | None:
    """A box of some columns, active in the given slices; None when no power is left in it."""
    frames = len(ratio)
    first = rows.start * SLICE_FRAMES
    on = np.repeat(inside, SLICE_FRAMES)[: frames - first]
    edges = _edges(mean_excess(ratio[first : first + len(on), low:high], on))
    if edges is None:
        return None
    low, high = low + edges[0], low + edges[1]
    power = ratio[:, low:high].sum(1) - (high - low)
    active = np.zeros(frames, bool)
    active[first : first + len(on)] = on
    noise = np.sqrt(1.9 * (high - low))
    # Bursts may be a small part of what long tiles have shown, and an emission may have levels.
    typical, strong = short.quantiles(power[active], 0.5, BURST_QUANTILE)
    if strong > 8 * noise:  # strong enough to see in single frames when it begins and ends
        pause = min(0.1 * strong, PAUSE_RATIO * (high - low))
        loud = active & (power > max(0.1 * typical, pause, 4 * noise))
        active = np.zeros(frames, bool)
        for start, stop in short.runs(loud, 2 * SLICE_FRAMES):
            active[start:stop] = True
    return Box(low, high, active, power, _sweep(ratio, low, high, active))


def _edges(excess: np.ndarray) -> tuple[int, int] | None:
    """First bin, and one past the last, of what has nearly all the power; None where none is."""
    total = np.cumsum(excess)
    if not total[-1] > 0:
        return None
    low, high = np.searchsorted(total, (EDGE_SHARE * total[-1], (1 - EDGE_SHARE) * total[-1]))
    return int(low), int(high) + 1


def _sweep(
    ratio: np.ndarray, low: int, high: int, active: np.ndarray
) -> tuple[float, float] | None:
    """Bins at which a narrow line enters and leaves a box that it crosses at a steady pace."""
    on = np.flatnonzero(active)
    width = high - low
    if width < SWEEP_BINS or len(on) < SWEEP_FRAMES:
        return None
    line = ratio[active, low:high].argmax(1).astype(float)
    # Between medians of both halves: chance moves the highest bin of some frames anywhere.
    half = len(on) // 2
    pace = (short.median(line[half:]) - short.median(line[:half])) / (
        short.median(on[half:]) - short.median(on[:half])
    )
    if abs(pace) * len(on) < 0.5 * width:
        return None
    begin = short.median(line - pace * on)
    if short.median(np.abs(line - begin - pace * on)) > 1 + SWEEP_ERROR * width:
        return None
    return low + begin + pace * on[0], low + begin + pace * on[-1]


def _is_significant(box: Box) -> bool:
    cells = box.width * max(1, box.frames)
    return box.strength * np.sqrt(cells / 1.9) > LEAST_SIGMAS


def _join(boxes: list[Box], ratio: np.ndarray) -> list[Box]:
    """Join neighbours whose powers move together or against each other."""
    boxes = sorted(boxes, key=lambda box: box.low)
    at = 0
    while at < len(boxes) - 1:
        for other in range(at + 1, min(at + 6, len(boxes))):
            if _belong_together(boxes[at], boxes[other]):
                boxes[at] = _union(boxes[at], boxes[other], ratio)
                del boxes[other]
                at = max(0, at - 2)
                break
        else:
            at += 1
    return boxes


def _belong_together(one: Box, other: Box) -> bool:
    gap = other.low - one.high
    narrower, wider = sorted((one.width, other.width))
    if gap > 2 * wider + 4 * GAP_BINS:
        return False
    if coincide(one, other):
        return True
    both = one.active & other.active
    count = int(np.count_nonzero(both))
    if count < SHORT_FRAMES or count < 0.5 * min(one.frames, other.frames):
        return False
    touching = gap <= max(2 * GAP_BINS, 2 * narrower)
    unlike_db = abs(10 * np.log10(max(one.strength, 1e-9) / max(other.strength, 1e-9)))
    alike = unlike_db < TONES_DB and wider <= 3 * narrower + 2
    if not (touching or alike):
        return False
    # Without what moves slowly: two that fade, fade together by chance.
    first, second = (_quick(box.power[both]) for box in (one, other))
    if first.std() == 0 or second.std() == 0:
        return False
    together = float(np.corrcoef(first, second)[0, 1])
    if abs(together) < max(TOGETHER, TOGETHER_SIGMAS / np.sqrt(count)):
        return False
    if together > 0:  # sidebands and lobes
        return touching
    # Tones take turns, and are as strong and wide as each other. Where a strong burst drives the
    # receiver into clipping, its neighbours lose power too, but only a little of it.
    swings = sorted(
        quick.std() / box.power[both].mean() for quick, box in ((first, one), (second, other))
    )
    return alike and swings[0] > TONES_SWING * swings[1]


def _quick(power: np.ndarray) -> np.ndarray:
    return power - ndimage.uniform_filter1d(power, 17, mode="nearest")


def _union(one: Box, other: Box, ratio: np.ndarray) -> Box:
    active = one.active | other.active
    low, high = min(one.low, other.low), max(one.high, other.high)
    first, last = _edges(mean_excess(ratio[:, low:high], active)) or (0, high - low)
    low, high = low + first, low + last
    return Box(low, high, active, ratio[:, low:high].sum(1) - (high - low))
