# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes of successive slabs become emissions, followed until they have been silent for a while."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gr_tsddae.survey.detection.box import SLICE_FRAMES, Box
from gr_tsddae.survey.detection.boxes import EDGE_SHARE, SWEEP_ERROR, SWEEP_FRAMES
from gr_tsddae.survey.detection.spectrum import LONG_RATIO, Grid
from gr_tsddae.survey.symbols.single_carrier import SymbolRate

HANG_S = 0.5  # silence that ends an emission
HANG_SLABS = 2.0  # or so many slabs, where these are longer
SAME_SHARE = 0.5  # of the bins of both, that a box and a track share when they are one
CENTRED_SHARE, CENTRED_OVERLAP = 0.25, 0.25  # the same, where their middles agree
PART_SHARE = 0.8  # of the narrower one, when it is a part of the other
MOST_CLOSED = 256  # tracks kept after their end, as neighbours of those that go on
LASTING = 32  # coarse frames that a box must last to widen a track
SPILT = 20.0  # how much denser an emission is than what it spills, or than flashes before it,
FLASH_FRAMES, FLASH_SHARE = 16, 0.3  # which last so long, for so much of the time
MOST_BURSTS = 4096  # of an emission that are kept, the latest; memory is bounded
SWEEP_MARGIN, SWEEP_GAP = 4, 0.1  # bins, and share of a box's width, that a sweep jumps,
SWEEP_CHANGE = 0.3  # and share of the pace by which this changes, from slab to slab
ALIKE_DB = 8.0  # how much the density of a part may differ from the whole's


@dataclass(eq=False)
class Track:
    """An emission that may go on.

    Attributes:
        low: first coarse bin.
        high: one past the last.
        bursts: [start, stop) of the latest stretches, in coarse frames from the stream's begin.
        start: of the first stretch.
        coarse: float64 (F,), summed power over the active coarse frames.
        fine: float64 (8 F,), summed power over the fine frames that were active throughout.
        floor: float64 (F,), summed floor over the active coarse frames.
        power: energy so far, in units of a cell's noise.
        was_part: whether it was a part of another one when it was closed; None before.
        gaps: [start, stop) in coarse frames, of which nothing is known.
    """

    number: int
    bins: int
    low: int
    high: int
    gaps: list[tuple[int, int]] = field(default_factory=list, repr=False)
    bursts: list[list[int]] = field(default_factory=list)
    start: int = 1 << 62
    energy: np.ndarray = field(init=False, repr=False)
    coarse: np.ndarray = field(init=False, repr=False)
    fine: np.ndarray = field(init=False, repr=False)
    floor: np.ndarray = field(init=False, repr=False)
    power: float = 0.0
    was_part: bool | None = None
    frames: int = 0  # in which it was on
    coarse_frames: int = 0
    fine_frames: int = 0
    measured_until: int = 0  # coarse frame
    sweep: tuple[float, float, int] | None = None
    keying: tuple[SymbolRate | None, dict[str, Any]] | None = None  # measured so far
    keying_until: int = 0  # coarse frame up to which that was tried

    def __post_init__(self) -> None:
        self.energy = np.zeros(self.bins, np.float32)
        self.coarse, self.floor = np.zeros(self.bins), np.zeros(self.bins)
        self.fine = np.zeros(self.bins * LONG_RATIO)

    @property
    def stop(self) -> int:
        return self.bursts[-1][1]

    @property
    def width(self) -> int:
        return self.high - self.low

    @property
    def density(self) -> float:
        """Mean power over the floor per bin while it was on."""
        return self.power / max(1, self.frames) / self.width

    def known(self, start: int, stop: int) -> int:
        """How many frames of a stretch are no gap."""
        frames = stop - start
        for low, high in self.gaps:
            frames -= max(0, min(stop, high) - max(start, low))
        return frames

    def take(self, box: Box, excess: np.ndarray, first_frame: int) -> None:
        """Go on with a box; `excess` is its summed power over the floor per bin of it."""
        self.energy[box.low : box.high] += np.maximum(excess, 0)
        self._narrow()
        if box.sweep is not None:
            last_frame = first_frame + int(np.flatnonzero(box.active)[-1])
            self.sweep = _pace(box), box.sweep[1], last_frame
        # A burst that ended before may go on; those before it are as they are.
        kept = max(0, bisect_right(self.bursts, first_frame, key=lambda burst: burst[1]) - 1)
        self.frames -= sum(self.known(start, stop) for start, stop in self.bursts[kept:])
        self.bursts += [[first_frame + start, first_frame + stop] for start, stop in box.runs]
        self._tidy(kept)
        if len(self.bursts) > MOST_BURSTS:
            del self.bursts[: MOST_BURSTS // 2]

    def close(self, *, was_part: bool) -> None:
        """Keep only what its neighbours want to know."""
        self.was_part = was_part
        self.bursts = self.bursts[-1:]
        self.energy = self.coarse = self.fine = self.floor = np.zeros(0)

    def absorb(self, other: Track) -> None:
        """Become one with another track."""
        self.energy += other.energy
        self.coarse += other.coarse
        self.fine += other.fine
        self.floor += other.floor
        self.coarse_frames += other.coarse_frames
        self.fine_frames += other.fine_frames
        self.bursts += other.bursts
        self.frames = 0
        self.start = min(self.start, other.start)
        self._narrow()
        self._tidy(0)

    def _narrow(self) -> None:
        total = np.cumsum(self.energy, dtype=float)
        self.power = float(total[-1])
        self.low = int(np.searchsorted(total, EDGE_SHARE * total[-1]))
        self.high = int(np.searchsorted(total, (1 - EDGE_SHARE) * total[-1])) + 1

    def _tidy(self, kept: int) -> None:
        """Join bursts that touch, but for the first ones; count the frames of the others."""
        first, *others = sorted(self.bursts[kept:])
        tidy = [first]
        for start, stop in others:
            if self.known(tidy[-1][1], start) <= 2 * SLICE_FRAMES:
                tidy[-1][1] = max(tidy[-1][1], stop)
            else:
                tidy.append([start, stop])
        self.bursts[kept:] = tidy
        self.start = min(self.start, self.bursts[0][0])
        self.frames += sum(self.known(start, stop) for start, stop in tidy)


def _pace(box: Box) -> float:
    """Bins per frame by which a box sweeps."""
    on = np.flatnonzero(box.active)
    return (box.sweep[1] - box.sweep[0]) / max(1, int(on[-1] - on[0]))


def _sweeps_on(track: Track, box: Box, first_frame: int) -> bool:
    """Whether a box goes on with a sweep where it left the slab before, or repeats it."""
    if track.sweep is None:
        return False
    if box.sweep is None:
        on = first_frame + np.flatnonzero(box.active)
        short = len(on) < SWEEP_FRAMES
        return short and _is_of_sweep(track, box.low, box.high, int(on[0]), int(on[-1]) + 1)
    pace, last, _ = track.sweep
    margin = SWEEP_MARGIN + SWEEP_GAP * box.width
    near = abs(box.sweep[0] - last) < margin
    again = box.low > track.low - margin and box.high < track.high + margin
    return (near or again) and abs(_pace(box) - pace) < SWEEP_CHANGE * abs(pace)


def _is_of_sweep(sweep: Track, low: int, high: int, start: int, stop: int) -> bool:
    """Whether a box is a piece of a sweep, seen while the sweep was there."""
    pace, last, frame = sweep.sweep
    apart = (low + high) / 2 - last - pace * ((start + stop) / 2 - frame)
    again = round(apart / sweep.width)  # sweeps are repeated
    margin = SWEEP_MARGIN + high - low + SWEEP_ERROR * abs(again) * sweep.width
    longest = SWEEP_MARGIN + 2 * abs(pace) * (stop - start)
    return abs(apart - again * sweep.width) < margin and high - low < longest


def _is_flashes_before(track: Track, box: Box, density: float, begin: int) -> bool:
    """Whether a track only flashed where now something far denser lasts, which thus begins anew."""
    lasts = box.frames >= LASTING or box.active[-1]  # the next slab has the rest
    return (
        lasts
        and density >= SPILT * track.density
        and track.frames < FLASH_SHARE * track.known(track.start, begin)
    )


class Tracker:
    """Follows emissions from slab to slab."""

    def __init__(self, grid: Grid):
        self._grid = grid
        self._hang = round(
            max(HANG_S * grid.rate_hz, HANG_SLABS * grid.slab_samples) / grid.hop_samples
        )
        self._count = 0
        self.open: list[Track] = []
        self._closed: list[Track] = []
        self._replaced: dict[Track, int] = {}  # in this slab, from a frame on, by another
        self._gaps: list[tuple[int, int]] = []

    def skip(self, start: int, stop: int) -> None:
        """Nothing is known of [start, stop) in coarse frames: what was open may still last."""
        self._gaps.append((start, stop))

    def add(self, boxes: list[Box], ratio_sum: list[np.ndarray], first_frame: int) -> list[Track]:
        """Take in the boxes of a slab, strongest first.

        Args:
            boxes: of one slab.
            ratio_sum: for each box, power over the floor per bin of it, summed while active.
            first_frame: coarse frame with which the slab begins.

        Returns:
            The tracks that were heard in this slab.
        """
        heard: list[Track] = []
        order = sorted(range(len(boxes)), key=lambda k: -float(ratio_sum[k].sum()))
        for k in order:
            box, excess = boxes[k], ratio_sum[k]
            track = self._continued(box, float(excess.sum()), heard, first_frame)
            if track is None:
                self._count += 1
                track = Track(self._count, self._grid.coarse_samples, box.low, box.high, self._gaps)
                self.open.append(track)
            track.take(box, excess, first_frame)
            if track not in heard:
                heard.append(track)
        heard = [track for track in heard if track in self.open]
        self.open = [track for track in self.open if track not in self._replaced]
        return heard

    def _continued(
        self, box: Box, energy: float, heard: list[Track], first_frame: int
    ) -> Track | None:
        """The track that a box goes on with."""
        density = energy / max(1, box.frames) / box.width
        begin = first_frame + int(np.argmax(box.active))
        best, best_shared = None, 0.0
        for track in self.open:
            if _sweeps_on(track, box, first_frame):
                return track
        for track in list(self.open):
            shared = min(track.high, box.high) - max(track.low, box.low)
            union = max(track.high, box.high) - min(track.low, box.low)
            if shared <= 0:
                continue
            alike = abs(10 * math.log10(max(density, 1e-9) / max(track.density, 1e-9))) < ALIKE_DB
            # Short bursts of one emitter look more or less wide, but their middle stays.
            apart = abs(track.low + track.high - box.low - box.high) / 2
            centred = alike and apart <= CENTRED_SHARE * min(track.width, box.width)
            same = shared >= (CENTRED_OVERLAP if centred else SAME_SHARE) * union
            part = min(box.width, track.width)
            fragment = alike and shared >= PART_SHARE * part
            if box.width > 1.5 * track.width and (track in heard or box.frames < LASTING):
                fragment = False  # a flash over it
            if not (same or fragment):
                continue
            if same and track not in heard and _is_flashes_before(track, box, density, begin):
                self._replaced[track] = min(begin, self._replaced.get(track, begin))
            elif track in self._replaced:
                if begin < self._replaced[track]:
                    return track
            elif best is None:
                best, best_shared = track, shared / union
            elif fragment and track.width < box.width and track not in heard and best not in heard:
                best.absorb(track)  # both are parts of what the box shows whole
                self.open.remove(track)
            elif shared / union > best_shared:
                best, best_shared = track, shared / union
        return best

    def ended(self, frame: int, *, all_of_them: bool = False) -> list[Track]:
        """Take out the tracks that were replaced, or silent since long before `frame`."""
        over = [t for t in self.open if all_of_them or t.known(t.stop, frame) > self._hang]
        self.open = [t for t in self.open if t not in over]
        over += self._replaced
        self._replaced.clear()
        still = min((t.start for t in (*self.open, *over)), default=frame)
        self._closed = [t for t in self._closed if t.stop > still][-MOST_CLOSED:] + over
        self._gaps[:] = [gap for gap in self._gaps if gap[1] > still]
        return over

    def beside(self, track: Track) -> list[Track]:
        """The other tracks that were heard while this one was."""
        return [
            other
            for other in (*self.open, *self._closed)
            if other is not track and other.stop > track.start and other.start < track.stop
        ]

    def _is_spilt(self, track: Track, other: Track, margin: int) -> bool:
        """Whether a track is flashes beside another: what its peaks and its keying spill."""
        gap = max(other.low - track.high, track.low - other.high)
        if gap > margin or track.width > other.width or other.density < SPILT * track.density:
            return False
        length = track.stop - track.start
        longest = max(stop - start for start, stop in track.bursts)
        return (
            other.start <= track.start
            and other.stop >= track.stop
            and longest <= FLASH_FRAMES
            and track.frames < FLASH_SHARE * max(length, LASTING)
        )

    def is_part(self, track: Track) -> bool:
        """Whether a track is a fragment of another: within it, or a strip at its edge."""
        for other in self.beside(track):
            if other.sweep is not None and track.sweep is None:
                if _is_of_sweep(other, track.low, track.high, track.start, track.stop):
                    return True
                continue  # it only passes by
            margin = max(2, other.width // 8)
            if self._is_spilt(track, other, margin):
                return True
            shared = min(track.high, other.high + margin) - max(track.low, other.low - margin)
            together = min(track.stop, other.stop) - max(track.start, other.start)
            if (
                shared >= PART_SHARE * track.width
                and together >= PART_SHARE * (track.stop - track.start)
                and 3 * track.width < 2 * other.width
                and (other.power > track.power or other.stop - other.start > 4 * together)
            ):
                return True
        return False
