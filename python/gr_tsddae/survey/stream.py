# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of a stream: samples in pieces of any size, emissions out.

The stream is cut into slabs counted from its first sample, so that the same samples give the same
emissions however they arrive. Memory is bounded: a second of samples, and spectra of what is open.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.iq.formats.capture_errors import CaptureError
from gr_tsddae.survey import measurement
from gr_tsddae.survey.detection import filled
from gr_tsddae.survey.detection.box import Box, summed
from gr_tsddae.survey.detection.boxes import detect
from gr_tsddae.survey.detection.pulses import pulse_box, with_pulses
from gr_tsddae.survey.detection.slab import Slab
from gr_tsddae.survey.detection.spectrum import (
    LONG_RATIO,
    SLAB_FRAMES,
    Grid,
)
from gr_tsddae.survey.detection.tiles import LEAST_RATIO
from gr_tsddae.survey.detection.tracking import Track, Tracker
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.history import History
from gr_tsddae.survey.isolation import Isolator
from gr_tsddae.survey.symbols.single_carrier import MOST_SAMPLES

SAME_FLOOR = 0.2  # nepers of power between floors that show the same
TEST_S = 1.0  # between looks at whether the band is filled
DEEPEST_FLOOR_DB = -70.0  # under the strongest bin
ROUNDING_NOISE = 1 / 6  # of the converter's two components, in its steps squared
STOPBAND_DB = -10.0  # of the floor in the middle: beyond is the stopband of the receiver's filter
LEAST_SNR_DB = 0.0
EDGE_SHARE = 0.01  # of the band: where the receiver's filter falls
LEAST_EDGE_SNR_DB = 6.0  # of what touches the band's edge
LEAST_EVIDENCE = 20.0  # standard deviations of noise
RESOLVED_BINS = 4  # of the fine spectrum: what is narrower cannot be told from a carrier
OVERSAMPLING = 4.0  # of an isolated emission, against its bandwidth
KEYING_AGAIN = 2.0  # times as long must an emission have lasted to be tried anew, or so much longer
MOST_WAIT_S = 10.0
MOST_PIECES = 24  # bursts that are measured together
AHEAD_RATE_HZ = 500e3  # of slower streams no slab waits for what the next samples bring
BLOCK_SAMPLES = 1 << 20  # of a recording, read at once: several slabs, for two cores


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Threads that make spectra for all surveys: each new thread would keep memory of its own."""
    return ThreadPoolExecutor(2, "tsddae transform")


@dataclass(frozen=True)
class Event:
    """Something happened to an emission.

    `kind` is "begun", "updated" or "ended"; or "withdrawn", when what had begun turned out to be a
    part of another emission.
    """

    kind: str
    emission: Emission


class Survey:
    """Finds and measures the emissions of a stream.

    Args:
        rate_hz: samples per second.
        update_s: from the begin of an emission to its announcement, and how much longer it must
            last to be announced anew.
        on_frames: called with the coarse spectra of each slab, float32 (T, F) as `power_frames`
            gives them, and the number of the sample that they begin at.

    Attributes:
        samples_seen: pushed so far.
        not_finite: of these, NaN or infinite; they were taken for zeros.
        hurried: whether nothing is told anew of what lasts, which saves its measurement.
        updates_skipped: so often this was left out.
        cpu_elsewhere_s: CPU time that another thread has worked for this.
    """

    def __init__(
        self,
        rate_hz: float,
        *,
        update_s: float = 0.25,
        on_frames: Callable[[np.ndarray, int], None] | None = None,
    ):
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"a sample rate of {rate_hz} Hz: it must be above 0")
        self.rate_hz = float(rate_hz)
        self.samples_seen = 0
        self.not_finite = 0
        self.hurried = False
        self.updates_skipped = 0
        self.cpu_elsewhere_s = 0.0
        self._update_s = update_s
        self._on_frames = on_frames
        self._pieces: list[np.ndarray] = []
        self._waiting = 0
        self._ahead: deque[Future[Slab]] = deque()
        self._start(Grid.of(self.rate_hz))

    def _start(self, grid: Grid) -> None:
        self.grid = grid
        self._slab = 0
        self._level: np.ndarray | None = None  # of the latest slab
        self._latest: list[Box] = []  # of it, boxes that stood over the learned floor
        self._is_filled = self._seemed_filled = False  # by one emission
        self._update_frames = self._update_s * self.rate_hz / grid.hop_samples
        self._test_at = 0  # slab in which this is looked at next
        self._floor = np.ones(grid.coarse_samples, np.float32)
        self._tracker = Tracker(grid)
        self._history = History(self.rate_hz, grid.slab_samples)
        self._parts: dict[int, bool] = {}  # by track: whether it is a part of another
        self._ignored = 0  # samples to come, up to the next slab that is whole
        self._end = 0  # sample up to which slabs have been looked at
        self._over = False
        self._begun: dict[int, Emission] = {}  # by track, as they were announced last
        self._isolator = Isolator(self._history.read, self.rate_hz, max(4096, grid.slab_samples))

    def push(self, samples: np.ndarray) -> list[Event]:
        """Take samples, complex (n,); what happened by them."""
        return list(self.events(samples))

    def events(self, samples: np.ndarray) -> Iterator[Event]:
        """Take samples, complex (n,), and yield each thing that happened as soon as it is known.

        All must be asked for: what is measured next waits until then. What has begun comes first.
        """
        if self._over:
            self._start(Grid.of(self.rate_hz))
        samples = np.asarray(samples, np.complex64)
        self.samples_seen += len(samples)
        finite = np.isfinite(samples)
        if not finite.all():
            self.not_finite += int((~finite).sum())
            samples = np.where(finite, samples, np.complex64(0))
        ignored = min(self._ignored, len(samples))
        self._ignored -= ignored
        samples = samples[ignored:]
        self._pieces.append(samples)
        self._waiting += len(samples)
        need = self.grid.slab_samples + self.grid.lookahead_samples
        if self._waiting < need:
            yield from self._look_at_transformed()
            return
        line = np.concatenate(self._pieces)
        starts = range(0, len(line) - need + 1, self.grid.slab_samples)
        rest = starts[-1] + self.grid.slab_samples
        self._pieces, self._waiting = [line[rest:].copy()], len(line) - rest
        for start in starts:
            # A copy, for what is kept of a slab must not keep all of a long line.
            slab = line[start : start + need].copy()
            self._ahead.append(_pool().submit(self._transformed, slab, self._level_before()))
            yield from self._look_at_transformed()
        if self.rate_hz < AHEAD_RATE_HZ:
            yield from self._look_at_transformed(most_ahead=0)

    def skip(self, samples: int) -> list[Event]:
        """Samples are missing here: they were lost, and their number is known.

        What was there before and is there again behind goes on. Slabs that are not whole are not
        looked at.

        Returns:
            What happened by the samples before.
        """
        events = list(self._look_at_transformed(most_ahead=0))
        size = self.grid.slab_samples
        missing_to = self._slab * size + self._waiting + samples
        behind = -(-missing_to // size)
        self._ignored += behind * size - missing_to
        self._pieces, self._waiting = [], 0
        self._tracker.skip(self._slab * SLAB_FRAMES, behind * SLAB_FRAMES)
        self._history.forget()
        self._slab = behind
        return events

    def _level_before(self) -> Callable[[], np.ndarray | None]:
        """What gives the noise level of the newest slab, as soon as this is transformed."""
        if not self._ahead:
            level = self._level
            return lambda: level
        newest = self._ahead[-1]
        return lambda: newest.result().level

    def _transformed(
        self, samples: np.ndarray, level_before: Callable[[], np.ndarray | None]
    ) -> Slab:
        began_s = time.thread_time()
        slab = Slab.of(samples, SLAB_FRAMES, self.grid, level_before)
        self.cpu_elsewhere_s += time.thread_time() - began_s
        return slab

    def _look_at_transformed(self, *, most_ahead: int = 1) -> Iterator[Event]:
        """Look at slabs that are transformed; another core is up to one ahead."""
        while self._ahead and (len(self._ahead) > most_ahead or self._ahead[0].done()):
            yield from self._look(self._ahead.popleft().result())

    def flush(self) -> list[Event]:
        """The stream has ended, or was interrupted: look at the rest and end all emissions.

        The next sample pushed begins a new stream at 0 s.
        """
        line = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.complex64)
        events = list(self._look_at_transformed(most_ahead=0))
        if self._slab == 0 and len(line):
            self._start(Grid.of(self.rate_hz, len(line)))
        size, hop = self.grid.coarse_samples, self.grid.hop_samples
        while len(line):
            here = line[: self.grid.slab_samples + self.grid.lookahead_samples]
            frames = min(SLAB_FRAMES, (len(here) - size) // hop + 1)
            if frames < 1:
                if self._slab:  # less than a frame, after others
                    break
                frames, here = 1, np.pad(here, (0, size - len(here)))
            events += self._look(Slab.of(here, frames, self.grid, self._level_before()))
            line = line[self.grid.slab_samples :]
        frame = self._end // hop
        events += self._ended(frame, all_of_them=True)
        events += self._withdrawn()
        self._pieces, self._waiting = [], 0
        self._over = True
        return events

    @property
    def history(self) -> History:
        """The latest samples; after `flush` those before the end."""
        return self._history

    @property
    def open_count(self) -> int:
        """Emissions that have begun and not ended."""
        return len(self._begun)

    def _look(self, slab: Slab) -> Iterator[Event]:
        """One slab, and the lookahead behind it."""
        grid = self.grid
        first_frame = self._slab * SLAB_FRAMES
        self._history.keep(self._slab, slab.samples)
        self._level = slab.level
        coarse, fine = slab.coarse, slab.fine
        if self._on_frames is not None:
            self._on_frames(coarse, first_frame * grid.hop_samples)
        boxes = self._detect(slab)
        if slab.pulses is not None:
            boxes = with_pulses(boxes, pulse_box(slab.pulses, coarse, self._floor))
        sums = [box.excess(coarse, self._floor) for box in boxes]
        heard = self._tracker.add(boxes, sums, first_frame)
        known: dict[bytes, tuple[np.ndarray, np.ndarray, int]] = {}
        for track in heard:
            self._accumulate(track, coarse, fine, first_frame, known)
        self._slab += 1
        self._end = first_frame * grid.hop_samples + min(len(slab.samples), grid.slab_samples)
        yield from self._report()

    def _accumulate(
        self,
        track: Track,
        coarse: np.ndarray,
        fine: np.ndarray,
        first_frame: int,
        known: dict[bytes, tuple[np.ndarray, np.ndarray, int]],
    ) -> None:
        """Add this slab's spectra to those of a track; `known` keeps sums that others need, too."""
        active = np.zeros(len(coarse), bool)
        for start, stop in reversed(track.bursts):
            if stop <= first_frame:
                break
            active[max(0, start - first_frame) : max(0, stop - first_frame)] = True
        key = active.tobytes()
        if key not in known:
            known[key] = summed(coarse, active), *_summed_fine(fine, active)
        coarse_sum, fine_sum, fine_frames = known[key]
        track.coarse += coarse_sum
        track.floor += self._floor * active.sum()
        track.coarse_frames += int(active.sum())
        if fine_frames:
            track.fine += fine_sum
            track.fine_frames += fine_frames

    def _detect(self, slab: Slab) -> list[Box]:
        """Boxes over the floor; over a lower one, where the floor itself proves to be sent."""
        samples, coarse, step, noise = (
            slab.level_samples, slab.coarse, slab.step, slab.most_noise
        )  # fmt: skip
        self._least_floor = step**2 * ROUNDING_NOISE
        raw = slab.floor
        if float(raw.mean()) > filled.FLOOR_EXCESS * noise:
            floor = filled.shouldered_floor(slab.level)
            return self._boxes_over(floor * min(1.0, noise / float(floor.mean())), slab)
        # What stood over the floor in the slab before is supposed to go on.
        test = self._slab >= self._test_at
        before = None if test or self._is_filled else filled.beside(raw, self._latest)
        boxes = self._boxes_over(raw if before is None else before, slab)
        if test:
            seems = filled.is_filled(samples, coarse, boxes, self.rate_hz, step)
            # Once is enough at the begin, of which short recordings have no more.
            self._is_filled = seems and (self._seemed_filled or self._slab == 0)
            self._seemed_filled = seems
            wait = max(1, int(TEST_S * self.rate_hz / self.grid.slab_samples))
            self._test_at = self._slab + (wait if seems == self._is_filled else 1)
        if self._is_filled:
            return self._boxes_over(filled.shouldered_floor(slab.level), slab)
        # Only what stands over the floor as it was learned, else a floor set too low would stay.
        self._latest = [
            box for box in boxes if box.excess(coarse, raw).mean() > (LEAST_RATIO - 1) * box.frames
        ]
        beside = filled.beside(raw, boxes if before is None else self._latest)
        floors = [raw if floor is None else floor for floor in (before, beside)]
        if np.abs(np.log(floors[0] / floors[1])).max() < SAME_FLOOR:
            return boxes
        return self._boxes_over(floors[1], slab)

    def _boxes_over(self, floor: np.ndarray, slab: Slab) -> list[Box]:
        """Boxes over a floor, which goes no lower than a receiver's does.

        It shows only so many decibels at once, and where its filter takes the noise away, it takes
        all that is sent there, too: what remains are the filter's own lobes.
        """
        lowest = max(
            1e-28,
            self._least_floor,
            float(slab.coarse.mean(0).max()) * 10 ** (DEEPEST_FLOOR_DB / 10),
            float(np.median(floor)) * 10 ** (STOPBAND_DB / 10),
        )
        self._floor = np.maximum(floor, np.float32(lowest))
        return detect(
            slab.coarse, slab.fine, self._floor,
            dc_is_sent=slab.dc_is_sent, clipping=slab.clipping,
        )  # fmt: skip

    def _report(self) -> Iterator[Event]:
        frame = self._slab * SLAB_FRAMES
        self._parts.clear()
        for track in sorted(self._tracker.open, key=lambda track: track.number in self._begun):
            kind = "updated" if track.number in self._begun else "begun"
            # A short one is told of as soon as a longer one: its label need not wait for its end.
            until = frame if kind == "begun" and track.stop > track.measured_until else track.stop
            if until - max(track.start, track.measured_until) < self._update_frames:
                continue
            if kind == "updated" and self.hurried:
                self.updates_skipped += 1
            else:
                yield from self._say(kind, track)
            track.measured_until = track.stop
        yield from self._ended(frame)
        yield from self._withdrawn()

    def _ended(self, frame: int, *, all_of_them: bool = False) -> Iterator[Event]:
        over = self._tracker.ended(frame, all_of_them=all_of_them)
        self._parts.clear()
        for track in over:
            yield from self._say("ended", track)
        for track in over:
            track.close(was_part=self._is_part(track))

    def _withdrawn(self) -> Iterator[Event]:
        """Take back what was announced and is no emission of its own any more."""
        still = {track.number for track in self._tracker.open}
        gone = [number for number in self._begun if number not in still]
        for number in gone:
            yield Event("withdrawn", self._begun.pop(number))

    def _say(self, kind: str, track: Track) -> Iterator[Event]:
        emission = self._emission(track)
        if emission is None:
            return
        if kind != "ended":
            self._begun[track.number] = emission
        else:
            self._begun.pop(track.number, None)
        yield Event(kind, emission)

    def _emission(self, track: Track) -> Emission | None:
        """What is known of a track now; None where it may be noise, or a part of another."""
        if self._is_part(track):
            return None
        grid = self.grid
        limits = self._limits(track)
        floor = track.floor / track.coarse_frames
        band = measurement.occupied_band(
            track.coarse / track.coarse_frames / floor,
            track.coarse_frames, track.low, track.high, limits,
        )  # fmt: skip
        step_hz, middle = grid.coarse_hz, grid.coarse_samples // 2
        if track.fine_frames >= 2:
            at = (np.arange(grid.fine_samples) - grid.fine_samples // 2) / LONG_RATIO + middle
            fine_floor = np.interp(at, np.arange(len(floor)), floor)
            band = measurement.occupied_band(
                track.fine / track.fine_frames / fine_floor,
                track.fine_frames,
                track.low * LONG_RATIO - LONG_RATIO // 2,
                track.high * LONG_RATIO - LONG_RATIO // 2,
                (limits[0] * LONG_RATIO, limits[1] * LONG_RATIO),
            )
            step_hz, middle = grid.fine_hz, grid.fine_samples // 2
        cells = track.coarse_frames * max(1.0, (band.high - band.low) * step_hz / grid.coarse_hz)
        evidence = 10 ** (band.snr_db / 10) * np.sqrt(cells / 1.9)
        if band.snr_db < LEAST_SNR_DB or evidence < LEAST_EVIDENCE:
            return None
        margin = EDGE_SHARE * grid.coarse_samples
        at_edge = track.low < margin or track.high > grid.coarse_samples - margin
        if at_edge and band.snr_db < LEAST_EDGE_SNR_DB:
            return None
        frame_s = grid.hop_samples / self.rate_hz
        # A frame half of which holds the burst still shows it: a quarter of a frame on average.
        end_s = self._end / self.rate_hz
        bursts = [
            (
                max(0.0, (start + 0.5) * frame_s) if start else 0.0,
                min(end_s, (stop + 0.5) * frame_s),
            )
            for start, stop in track.bursts
        ]
        low_hz, high_hz = (band.low - middle) * step_hz, (band.high - middle) * step_hz
        if self._is_keying_due(track):
            track.keying_until = track.stop
            self._measure_keying(track, low_hz, high_hz, band.snr_db, frame_s)
        symbols, measured = track.keying or (None, {})
        return Emission(
            id=track.number,
            start_s=max(0.0, (track.start + 0.5) * frame_s) if track.start else 0.0,
            stop_s=bursts[-1][1],
            low_hz=low_hz,
            high_hz=high_hz,
            snr_db=band.snr_db,
            bursts=bursts,
            symbol_rate_hz=symbols.rate_hz if symbols else None,
            measured=measurement.burst_timing(bursts) | measured,
        )

    def _is_keying_due(self, track: Track) -> bool:
        """Whether to measure the keying: once is enough, and each failure doubles the wait."""
        tried, lasted = track.keying_until - track.start, track.stop - track.start
        if tried >= self._update_frames and (
            track.keying is not None and (track.keying[0] or "ofdm_prefix_s" in track.keying[1])
        ):
            return False
        most = round(MOST_WAIT_S * self.rate_hz / self.grid.hop_samples)
        over = track not in self._tracker.open
        return over or lasted >= min(KEYING_AGAIN * tried, tried + most)

    def _measure_keying(
        self, track: Track, low_hz: float, high_hz: float, snr_db: float, frame_s: float
    ) -> None:
        """Symbol rate and kin, measured on the latest bursts that are kept."""
        width_hz = high_hz - low_hz
        resolved_hz = RESOLVED_BINS * self.grid.fine_hz
        if width_hz <= resolved_hz:
            if track.keying is None:
                track.keying = None, {"narrower_than_hz": round(resolved_hz, 1)}
            return
        pieces, out_hz = self._isolated(track, low_hz, high_hz, frame_s)
        if pieces:
            found = measurement.keying(pieces, out_hz, width_hz, snr_db)
            before = {} if track.keying is None else track.keying[1]
            if (
                not before
                or "narrower_than_hz" in before
                or found[0] is not None
                or "ofdm_prefix_s" in found[1]
            ):
                track.keying = found

    def _isolated(
        self, track: Track, low_hz: float, high_hz: float, frame_s: float
    ) -> tuple[list[np.ndarray], float]:
        kept_from = self._history.first_sample
        wanted_s = MOST_SAMPLES / min(self.rate_hz, OVERSAMPLING * (high_hz - low_hz))
        pieces: list[np.ndarray] = []
        out_hz = 0.0
        for start, stop in reversed(track.bursts):
            first = max(kept_from, round((start + 0.5) * self.grid.hop_samples))
            last = min(self._end, round((stop + 0.5) * self.grid.hop_samples))
            first = max(first, last - round(wanted_s * self.rate_hz))
            if last - first < 64 or wanted_s <= 0 or len(pieces) >= MOST_PIECES:
                break
            piece, out_hz = self._isolator.cut(
                low_hz, high_hz, first, last, oversampling=OVERSAMPLING
            )
            pieces.append(piece)
            wanted_s -= (last - first) / self.rate_hz
        return pieces, out_hz

    def _is_part(self, track: Track) -> bool:
        if track.was_part is not None:
            return track.was_part
        if track.number not in self._parts:
            self._parts[track.number] = self._tracker.is_part(track)
        return self._parts[track.number]

    def _limits(self, track: Track) -> tuple[int, int]:
        """Bins half way to the neighbours that were heard at the same time."""
        low, high = 0, self.grid.coarse_samples
        for other in self._tracker.beside(track):
            if self._is_part(other):
                continue
            if other.high <= track.low + 1:
                low = max(low, (other.high + track.low) // 2)
            elif other.low >= track.high - 1:
                high = min(high, (other.low + track.high + 1) // 2)
        return min(low, track.low), max(high, track.high)


def _summed_fine(fine: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, int]:
    """Sum of the fine frames in which all coarse ones, bool (T,), are active, and how many."""
    span = 2 * LONG_RATIO - 1  # coarse frames within a fine one
    whole = np.zeros(len(fine), bool)
    if len(active) >= span:
        covered = np.lib.stride_tricks.sliding_window_view(active, span)[::LONG_RATIO].all(1)
        whole[: len(covered)] = covered[: len(fine)]
    return summed(fine, whole), int(np.count_nonzero(whole))


def survey_capture(
    capture: Capture,
    *,
    progress: Callable[[int], None] | None = None,
    not_finite: Callable[[int], None] | None = None,
) -> list[Emission]:
    """The emissions of a whole recording, in order of their start.

    Memory does not grow with the recording. A retune ends all emissions.

    Args:
        capture: open.
        progress: called with the number of samples of each piece read.
        not_finite: called with the number of samples of each tuning that were not finite.

    Raises:
        CaptureError: when the recording does not say its sample rate.
    """
    if capture.sample_rate_hz is None:
        raise CaptureError(f"{capture.path} does not say its sample rate: add --rate")
    found: list[Emission] = []
    starts = [segment.first_sample for segment in capture.segments]
    for segment, end in zip(capture.segments, [*starts[1:], capture.sample_count], strict=True):
        survey = Survey(capture.sample_rate_hz)
        events: list[Event] = []
        for first in range(segment.first_sample, end, BLOCK_SAMPLES):
            count = min(BLOCK_SAMPLES, end - first)
            events += _ended(survey.push(capture.read(first, count)))
            if progress is not None:
                progress(count)
        events += _ended(survey.flush())
        if not_finite is not None:
            not_finite(survey.not_finite)
        start_s = segment.first_sample / capture.sample_rate_hz
        for emission in sorted((e.emission for e in events), key=lambda e: e.start_s):
            found.append(
                replace(
                    emission,
                    id=len(found) + 1,
                    start_s=start_s + emission.start_s,
                    stop_s=start_s + emission.stop_s,
                    bursts=[(start_s + a, start_s + b) for a, b in emission.bursts],
                    band_center_hz=segment.frequency_hz,
                )
            )
    return found


def _ended(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == "ended"]
