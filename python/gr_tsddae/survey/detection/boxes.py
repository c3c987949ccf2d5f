# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a slab of samples something is sent: boxes in time and frequency.

Tiles of many lengths and widths are compared with the floor, the finest first; what a finer tile
has found is taken out before a coarser one looks, so that a strong burst does not smear. Tiles that
touch are one component; a component is divided where its spectrum has gaps, and boxes whose powers
rise and fall together, or against each other, are joined: sidebands, and the tones of an FSK.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage, special

from gr_tsddae.survey.detection.spectrum import LONG_RATIO

FALSE_ALARM = 1e-10  # of a tile of pure noise
LEAST_RATIO = 1.4  # power over floor; the floor itself is not known better than this
SLICE_FRAMES = 4  # coarse frames per slice, the unit in which components are formed
GAP_BINS = 2  # coarse bins that components may be apart and still touch
ACTIVE_SHARE = 0.15  # of a component's time that a bin must be active to belong to it
BURST_QUANTILE = 0.9  # of the powers of a box's frames: the power while it is on,
PAUSE_RATIO = 4.0  # and power over the floor that no pause of strong bursts has
EDGE_SHARE = 0.005  # of an emission's power left out at either edge
SPLATTER_DB = 12.0  # how much denser an emission is than a flash that its keying spills
SPILT, SPILT_BY_CLIPPING = 20.0, 4.0  # and how many times as strong as any that it spills
PEAK_FRAMES = 8  # coarse frames that a peak of an emission's frequency lasts, close to it,
FLASH_FRAMES = 2  # and that of its envelope, further off
TOGETHER_FRAMES = 3  # coarse frames between begins, and ends, of the same burst
VALLEY = 10.0  # how far the spectrum falls between two emissions, against the weaker one's peak
VALLEY_SHARE = 0.08  # how wide the valley is, against the narrower one
VALLEY_CELLS = 64  # averaged, so that chance digs no valleys into a short burst
TOUCHING_SKIRT = 10.0  # how much denser an emission is than its skirt,
DETACHED_SKIRT = 100.0  # and than the side lobes beyond
SWEEP_BINS, SWEEP_FRAMES = 12, 32  # coarse, that a sweep crosses and lasts in a slab at least
SWEEP_ERROR = 0.02  # of the width, by which its frequency differs from a steady pace
LEAST_SIGMAS = 8.0  # of noise, that a box's power must exceed
LEAST_DC_BINS = 128  # of a band whose bins around 0 Hz may be left out
DC_FINE_BINS = 3  # around 0 Hz: the receiver's own
IMAGE_DB = 14.0  # how much stronger the original of a mirror image is, at least
IMAGE_COHERENCE = 0.6
SHORT_FRAMES = 24  # coarse frames of a burst that is too short to compare powers
TOGETHER = 0.45  # correlation of powers, of one emission's parts
TOGETHER_SIGMAS = 5.0
TONES_DB = 8.0  # how much the tones of an FSK may differ,
TONES_SWING = 0.4  # and how much less of its power one may swing than the other


@dataclass
class Box:
    """Something sent within one slab.

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
        return _runs(self.active, 0)

    @property
    def strength(self) -> float:
        """Mean power over the floor per bin while active."""
        return float(self.power[self.active].mean() / self.width) if self.active.any() else 0.0

    def excess(self, coarse: np.ndarray, floor: np.ndarray) -> np.ndarray:
        """Power of its bins over a floor (F,), summed over active frames of (T, F); at least 0."""
        span = slice(self.low, self.high)
        total = summed(coarse[:, span], self.active)
        return np.maximum(total / floor[span] - self.active.sum(), 0)


def summed(power: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Sum over the active frames of (T, F); no threads wait for such sums, as BLAS's would."""
    return np.einsum("t,tf->f", active.astype(np.float32), power)


@functools.cache
def threshold(cells: float) -> float:
    """Mean of `cells` independent noise powers (of mean 1) that a tile must exceed."""
    return max(LEAST_RATIO, float(special.gammainccinv(cells, FALSE_ALARM) / cells))


def tiles_above(ratio: np.ndarray, widths: int) -> np.ndarray:
    """Cells of tiles above the floor.

    Args:
        ratio: power over floor, float32 (T, F), F a power of two.
        widths: tiles are 1, 4, 16, ... bins wide; how many of these.

    Returns:
        bool (T, F).
    """
    bins = ratio.shape[1]
    found = np.zeros(ratio.shape, bool)
    line = ratio.copy()
    length = 1
    while len(line):
        rows = len(line)
        cells = found[: rows * length].reshape(rows, length, bins)
        tiles, width = line, 1
        for _ in range(widths):
            # Neighbouring bins of a Hann window share power; so do frames half a frame apart.
            independent = length * (width / 1.9 if width > 1 else 1.0) / 1.06
            above = tiles > threshold(independent)
            if above.any():
                wide = np.repeat(above, width, axis=1) if width > 1 else above
                cells |= wide[:, None, :]
                np.copyto(line, 1.0, where=wide)
                np.copyto(tiles, 1.0, where=above)
            tiles = tiles[:, ::4] + tiles[:, 1::4] + tiles[:, 2::4] + tiles[:, 3::4]
            tiles *= np.float32(0.25)
            width *= 4
        line = (line[0 : rows - 1 : 2] + line[1:rows:2]) * np.float32(0.5)
        length *= 2
    return found


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
        mask = _active_cells(ratio, fine_ratio)
    else:
        clear = [
            power / (1 + added / beneath)
            for power, added, beneath in zip(
                (ratio, fine_ratio), clipping, (floor, _finer(floor)), strict=True
            )
        ]
        mask = _active_cells(*clear)
    spilt = SPILT if clipping is None else SPILT_BY_CLIPPING
    boxes = _join(_components(mask, ratio, spilt), ratio)
    return [box for box in boxes if not _is_image(box, boxes, ratio)]


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


def _active_cells(ratio: np.ndarray, fine_ratio: np.ndarray) -> np.ndarray:
    """Coarse cells in which something is sent, bool (T, F)."""
    bins = ratio.shape[1]
    mask = tiles_above(ratio, max(1, min(4, int(np.log2(bins)) // 2 - 1)))
    step = LONG_RATIO  # coarse frames between two fine ones
    for row in range(len(fine_ratio)):
        known = mask[row * step : (row + 2) * step].any(0)
        known[1:-1] |= known[2:] | known[:-2]
        np.copyto(fine_ratio[row], 1.0, where=np.repeat(known, LONG_RATIO))
    found = tiles_above(fine_ratio, 2)
    # A fine bin k covers the coarse bin nearest to it: half of its group lies below.
    found = np.roll(found, LONG_RATIO // 2, axis=1).reshape(len(found), bins, LONG_RATIO).any(2)
    for row in np.flatnonzero(found.any(1)):
        start = row * step + step // 2
        mask[start : start + step] |= found[row]
        if row == 0:
            mask[:start] |= found[row]
        if row == len(found) - 1:
            mask[start:] |= found[row]
    return mask


def _components(mask: np.ndarray, ratio: np.ndarray, spilt: float) -> list[Box]:
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
                part = part.copy()
                part[:, low:high] = False
            rest[rows, columns] |= part
        cells = rest
    boxes = [box for box in boxes if _is_significant(box)]
    if not boxes:
        return []
    skirts = _skirts(boxes)
    kept = [
        b
        for b, skirt in zip(boxes, skirts, strict=True)
        if not (skirt or _is_splatter(b, boxes, spilt))
    ]
    return sorted(kept, key=lambda box: box.low)


def _columns(
    part: np.ndarray, ratio: np.ndarray, rows: slice, columns: slice
) -> list[tuple[int, int]]:
    """Runs of bins in which a component is active for a good part of its time."""
    active = part.sum(0)
    runs = _runs(active >= ACTIVE_SHARE * active.max(), GAP_BINS)
    frames = slice(rows.start * SLICE_FRAMES, rows.stop * SLICE_FRAMES)
    on = np.repeat(part.any(1), SLICE_FRAMES)[: len(ratio[frames])]
    excess = _excess(ratio[frames, columns], on)
    found = []
    for low, high in runs:
        found += _split(excess, low, high, int(on.sum()))
    return found


def _split(excess: np.ndarray, low: int, high: int, frames: int) -> list[tuple[int, int]]:
    """Divide a run of bins where its spectrum has a deep and wide valley."""
    smooth = max(3, -(-VALLEY_CELLS // frames)) | 1
    line = ndimage.uniform_filter1d(excess[low:high], smooth, mode="nearest")
    left, right = np.maximum.accumulate(line), np.maximum.accumulate(line[::-1])[::-1]
    deep = np.minimum(left, right) > VALLEY * line
    if high - low < 3 * smooth or not deep.any():
        return [(low, high)]
    pieces = []
    for start, stop in _runs(~deep, 0):
        if stop - start > 0:
            pieces.append([low + start, low + stop])
    # A valley counts where it is wide beside what it divides.
    joined = [pieces[0]]
    for start, stop in pieces[1:]:
        gap = start - joined[-1][1]
        narrower = min(joined[-1][1] - joined[-1][0], stop - start)
        if gap < max(smooth - 1, VALLEY_SHARE * narrower):
            joined[-1][1] = stop
        else:
            joined.append([start, stop])
    return [(start, stop) for start, stop in joined]


def _runs(flags: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """[start, stop) of runs of True; gaps of up to `gap` count as True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    runs: list[list[int]] = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if runs and start - runs[-1][1] <= gap:
            runs[-1][1] = int(stop)
        else:
            runs.append([int(start), int(stop)])
    return [(start, stop) for start, stop in runs]


def _box(ratio: np.ndarray, low: int, high: int, rows: slice, inside: np.ndarray) -> Box | None:
    """A box of some columns, active in the given slices; None when no power is left in it."""
    frames = len(ratio)
    active = np.zeros(-(-frames // SLICE_FRAMES) * SLICE_FRAMES, bool)
    active.reshape(-1, SLICE_FRAMES)[rows][inside] = True
    active = active[:frames]
    total = np.cumsum(_excess(ratio[:, low:high], active))
    if not total[-1] > 0:
        return None
    first = int(np.searchsorted(total, EDGE_SHARE * total[-1]))
    last = int(np.searchsorted(total, (1 - EDGE_SHARE) * total[-1]))
    low, high = low + first, low + last + 1
    power = ratio[:, low:high].sum(1) - (high - low)
    noise = np.sqrt(1.9 * (high - low))
    # Bursts may be a small part of what long tiles have shown, and an emission may have levels.
    typical, strong = np.quantile(power[active], (0.5, BURST_QUANTILE))
    if strong > 8 * noise:  # strong enough to see in single frames when it begins and ends
        pause = min(0.1 * strong, PAUSE_RATIO * (high - low))
        on = active & (power > max(0.1 * typical, pause, 4 * noise))
        active = np.zeros(frames, bool)
        for start, stop in _runs(on, 2 * SLICE_FRAMES):
            active[start:stop] = True
    return Box(low, high, active, power, _sweep(ratio, low, high, active))


def _sweep(
    ratio: np.ndarray, low: int, high: int, active: np.ndarray
) -> tuple[float, float] | None:
    """Bins at which a narrow line enters and leaves a box that it crosses at a steady pace."""
    on = np.flatnonzero(active)
    width = high - low
    if width < SWEEP_BINS or len(on) < SWEEP_FRAMES:
        return None
    line = ratio[on, low:high].argmax(1).astype(float)
    # Between medians of both halves: chance moves the highest bin of some frames anywhere.
    half = len(on) // 2
    pace = (np.median(line[half:]) - np.median(line[:half])) / (
        np.median(on[half:]) - np.median(on[:half])
    )
    begin = float(np.median(line - pace * on))
    apart = np.abs(line - begin - pace * on)
    if np.median(apart) > 1 + SWEEP_ERROR * width or abs(pace) * len(on) < 0.5 * width:
        return None
    return low + begin + pace * on[0], low + begin + pace * on[-1]


def _excess(ratio: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Mean power over the floor of each bin of (T, F), in the active frames."""
    return np.maximum(summed(ratio, active) / active.sum() - 1, 0)


def _is_splatter(box: Box, boxes: list[Box], spilt: float) -> bool:
    """Whether flashes are what the keying, peaks or clipping of a stronger emission spill."""
    flashes = box.runs
    longest = max(stop - start for start, stop in flashes)
    near = np.convolve(box.active, np.ones(2 * SLICE_FRAMES + 1), "same") > 0
    power = box.power[box.active].max()
    tops = np.array([other.power for other in boxes])[:, near].max(1)
    for other, top in zip(boxes, tops, strict=True):
        if other is box or top < spilt * power:
            continue
        # Two transmitters hardly ever begin and end all their bursts together.
        if _coincide(flashes, other, len(box.active)):
            return True
        gap = max(other.low - box.high, box.low - other.high)
        near_by = gap <= max(GAP_BINS, other.width // 4)
        if (
            longest <= (PEAK_FRAMES if near_by else FLASH_FRAMES)
            and gap <= max(GAP_BINS, other.width)
            and other.width >= box.width
        ):
            return True
        if top / other.width < 10 ** (SPLATTER_DB / 10) * power / box.width:
            continue
        if longest <= 2 * SLICE_FRAMES and all(_is_keyed(other, *flash) for flash in flashes):
            return True
    return False


def _is_keyed(other: Box, start: int, stop: int) -> bool:
    """Whether a box goes on or off at a flash."""
    before, after = other.power[max(0, start - 4) : start], other.power[stop : stop + 4]
    if not (len(before) and len(after)):
        return False
    low, high = sorted((float(np.median(before)), float(np.median(after))))
    return low < 0.3 * high


def _coincide(bursts: list[tuple[int, int]], other: Box, frames: int) -> bool:
    """Whether each burst begins and ends with one of another box; one that lasts says nothing."""
    whole = [run for run in bursts if run[0] > 0 and run[1] < frames]
    if not whole:
        return False
    runs = other.runs
    return all(
        any(max(abs(start - a), abs(stop - b)) <= TOGETHER_FRAMES for a, b in runs)
        for start, stop in whole
    )


def _skirts(boxes: list[Box]) -> np.ndarray:
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


def _is_significant(box: Box) -> bool:
    cells = box.width * max(1, int(box.active.sum()))
    return box.strength * np.sqrt(cells / 1.9) > LEAST_SIGMAS


def _join(boxes: list[Box], ratio: np.ndarray) -> list[Box]:
    """Join neighbours whose powers move together or against each other."""
    boxes = list(boxes)
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
    if _coincide(one.runs, other, len(one.active)):
        return True
    both = one.active & other.active
    count = int(both.sum())
    if count < SHORT_FRAMES or count < 0.5 * min(one.active.sum(), other.active.sum()):
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
    total = np.cumsum(_excess(ratio[:, low:high], active))
    first = int(np.searchsorted(total, EDGE_SHARE * total[-1]))
    last = int(np.searchsorted(total, (1 - EDGE_SHARE) * total[-1]))
    low, high = low + first, low + last + 1
    return Box(low, high, active, ratio[:, low:high].sum(1) - (high - low))


def _is_image(box: Box, boxes: list[Box], ratio: np.ndarray) -> bool:
    """Whether a box is the mirror image, at the other side of 0 Hz, of a stronger one."""
    bins = ratio.shape[1]
    low, high = bins - box.high + 1, bins - box.low + 1  # bin k lies at k - bins / 2
    for other in boxes:
        if other is box or other.low >= high or other.high <= low:
            continue
        both = box.active & other.active
        if both.sum() < 0.7 * box.active.sum():
            continue
        span = slice(max(low, 1), min(high, bins))
        here = ratio[both][:, bins - np.arange(span.start, span.stop)]
        there = ratio[both][:, span]
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
