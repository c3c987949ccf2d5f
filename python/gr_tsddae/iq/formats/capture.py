# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording of complex samples on disk, read slice by slice."""

from __future__ import annotations

import contextlib
import operator
import os
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gr_tsddae.iq.formats.capture_errors import (
    CaptureDamagedError,
    CaptureError,
    CaptureMissingError,
    CaptureRangeError,
)
from gr_tsddae.iq.formats.moments import decimals, unix_s
from gr_tsddae.iq.formats.sample_format import SampleFormat

HIGHEST_HZ = 1e12
"""Highest centre frequency and sample rate that are believed, as in SigMF."""


class Piece(NamedTuple):
    """Samples that follow each other in a file, from `first_sample` to the next piece."""

    first_sample: int
    byte: int  # of the file, where the first of them begins


@dataclass(frozen=True)
class Segment:
    """Samples recorded with one tuning, from `first_sample` to the next segment.

    Attributes:
        first_sample: Where the segment starts, counted from the start of the file.
        frequency_hz: Centre frequency, or None where it is not known.
        datetime: ISO 8601 time of `first_sample` (UTC), or None.
    """

    first_sample: int
    frequency_hz: float | None = None
    datetime: str | None = None


@dataclass(frozen=True)
class Annotation:
    """A label for some samples.

    Attributes:
        first_sample: Where it starts, counted from the start of the file.
        sample_count: How many samples it covers, never beyond the end of the file.
        label: The class.
        generator: The program that wrote it, or None; a person's own label mostly has none.
        band_hz: Lower and upper edge of the signal, as absolute as the centre frequency of its
            segment is, or None for the whole band.
    """

    first_sample: int
    sample_count: int
    label: str
    generator: str | None = None
    band_hz: tuple[float, float] | None = None


@dataclass
class Capture:
    """One channel of complex samples in a file; `gr_tsddae.iq.captures.open_capture` makes it.

    Only the slices that are asked for are read from the file. Any thread may read. Use a capture as
    a context manager, or call `close` when no thread reads.

    Attributes:
        path: The file as it was asked for.
        data_path: The file that holds the samples.
        format: For people: `cf32`, `sigmf ci16`, `wav pcm16`.
        sample_format: How one sample is stored.
        sample_count: Complex samples in the capture.
        sample_rate_hz: Samples per second, or None where nothing says it.
        header_bytes: Bytes of `data_path` before the first sample.
        trailing_bytes: Bytes of `data_path` after the last sample.
        segments: At least one; a retune inside the file starts another.
        annotations: Labels that came with the capture, in order of their start.
        metadata: The SigMF `global` object; empty for other formats.
        pieces: Where the samples lie in `data_path` when other bytes lie among them, by
            `first_sample`; empty when one piece holds them all, behind `header_bytes`.
        q_offset_bytes: From the I of a sample to its Q, where all I lie before all Q; 0 where they
            alternate.
        notes: Sentences on what was taken for granted, such as a rate from the file's name.
        faults: Sentences on what is wrong with the file and was passed over.
    """

    path: Path
    data_path: Path
    format: str
    sample_format: SampleFormat
    sample_count: int
    sample_rate_hz: float | None = None
    header_bytes: int = 0
    trailing_bytes: int = 0
    segments: tuple[Segment, ...] = (Segment(0),)
    annotations: tuple[Annotation, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    q_offset_bytes: int = 0
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sample_rate_hz is not None:
            check_sample_rate(self.sample_rate_hz, self.path)
        self._file: int | None = None  # descriptor, from the first read on
        self._let_go: Callable[[], None] | None = (
            None  # closes it, when the capture is deleted, too
        )
        self._closed = False

    @property
    def center_frequency_hz(self) -> float | None:
        """Centre frequency of the first segment; see `center_frequency_at` for the others."""
        return self.segments[0].frequency_hz

    @property
    def start_time(self) -> str | None:
        """ISO 8601 time of the first segment (UTC), or None."""
        return self.segments[0].datetime

    @property
    def duration_s(self) -> float | None:
        """Length in seconds, or None where the sample rate is not known."""
        return None if self.sample_rate_hz is None else self.sample_count / self.sample_rate_hz

    def segment_at(self, sample: int) -> Segment | None:
        """Return the segment that covers `sample`, or None before the first one."""
        covering = [segment for segment in self.segments if segment.first_sample <= sample]
        return covering[-1] if covering else None

    def center_frequency_at(self, sample: int) -> float | None:
        """Return the centre frequency in Hz at `sample`, or None where it is not known."""
        segment = self.segment_at(sample)
        return None if segment is None else segment.frequency_hz

    def time_at(self, sample: int) -> float | None:
        """Return the Unix time of `sample` in seconds; None without a time or a sample rate."""
        segment = self.segment_at(sample)
        if segment is None or segment.datetime is None or self.sample_rate_hz is None:
            return None
        start_s = unix_s(segment.datetime)
        if start_s is None:
            return None
        return start_s + (sample - segment.first_sample) / self.sample_rate_hz

    def read(self, first_sample: int, count: int) -> np.ndarray:
        """Read `count` samples from `first_sample` on.

        Returns:
            (count,) complex64 with a full scale of 1.0. NaN and infinity come as they are stored.

        Raises:
            CaptureRangeError: If the capture does not hold all of these samples.
            CaptureError: If the capture is closed, or its file shrank meanwhile.
        """
        first_sample, count = self._checked(first_sample, count)
        if not self.sample_format.is_real:
            return self.sample_format.to_complex64(self._stored(first_sample, count))
        from gr_tsddae.iq.formats.analytic import MARGIN_SAMPLES, analytic

        before = min(first_sample, MARGIN_SAMPLES)
        after = min(self.sample_count - first_sample - count, MARGIN_SAMPLES)
        stored = self._stored(first_sample - before, before + count + after)
        missing = (MARGIN_SAMPLES - before, MARGIN_SAMPLES - after)
        return analytic(np.pad(self.sample_format.to_float32(stored)[:, 0], missing))

    def _checked(self, first_sample: int, count: int) -> tuple[int, int]:
        first_sample, count = operator.index(first_sample), operator.index(count)
        if first_sample < 0 or count < 0 or first_sample + count > self.sample_count:
            raise CaptureRangeError(
                f"{self.path} holds samples 0 to {self.sample_count - 1}, so {count} samples from "
                f"{first_sample} on cannot be read; ask for fewer, or start elsewhere"
            )
        return first_sample, count

    @property
    def is_contiguous(self) -> bool:
        """Whether samples that follow each other do so in `data_path`, as they are read."""
        return not (self.pieces or self.q_offset_bytes or self.sample_format.is_real)

    def tunings(self) -> Iterator[tuple[Segment, int]]:
        """Yield the stretches that a window may lie in: the first segment of each, and its end.

        Segments of one frequency are one stretch unless their times say that samples are missing
        between them.
        """
        joints = [
            after
            for before, after in pairwise(self.segments)
            if not self._goes_on(before, after) and after.first_sample > before.first_sample
        ]
        ends = [*(segment.first_sample for segment in joints), self.sample_count]
        yield from zip([self.segments[0], *joints], ends, strict=True)

    def _goes_on(self, before: Segment, after: Segment) -> bool:
        """Return whether `after` is the tuning of `before`, and no time tells of a gap."""
        if after.frequency_hz != before.frequency_hz:
            return False
        if after.datetime is None:
            return True
        expected_s, told_s = unix_s(before.datetime), unix_s(after.datetime)
        if expected_s is None or told_s is None or self.sample_rate_hz is None:
            return False
        expected_s += (after.first_sample - before.first_sample) / self.sample_rate_hz
        digits = min(decimals(segment.datetime) for segment in (before, after))
        return abs(told_s - expected_s) <= min(1.5 * 10**-digits, 2e-3)

    def blocks(self, block_samples: int) -> Iterator[tuple[int, np.ndarray]]:
        """Go through the capture once.

        Yields:
            The number of the block's first sample, and the block: (<= block_samples,) complex64.

        Raises:
            CaptureRangeError: If `block_samples` is less than 1.
        """
        block_samples = operator.index(block_samples)
        if block_samples < 1:
            raise CaptureRangeError(f"a block needs at least 1 sample, not {block_samples}")
        return (
            (first, self.read(first, min(block_samples, self.sample_count - first)))
            for first in range(0, self.sample_count, block_samples)
        )

    def sample_byte(self, sample: np.ndarray) -> np.ndarray:
        """Return the byte of `data_path` at which each sample begins: int64 (n,) -> int64 (n,).

        The samples of one piece follow each other in the file. Where I and Q lie apart, there is
        no such byte.
        """
        sample_bytes = self.sample_format.bytes_per_sample
        if not self.pieces:
            return self.header_bytes + sample * sample_bytes
        firsts, begins = np.array(self.pieces).T
        number = np.searchsorted(firsts, sample, side="right") - 1
        return begins[number] + (sample - firsts[number]) * sample_bytes

    def close(self) -> None:
        """Let go of the file; reading afterwards is an error, closing again is not."""
        self._closed = True
        if self._let_go is not None:
            self._let_go()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def told(
        self, *, sample_rate_hz: float | None = None, center_frequency_hz: float | None = None
    ) -> Capture:
        """Return this capture with a rate or centre of the user, which holds for the whole file.

        Raises:
            CaptureError: If the rate is not positive or a value is not finite.
        """
        changes: dict[str, Any] = {}
        if sample_rate_hz is not None:
            changes["sample_rate_hz"] = float(sample_rate_hz)
        if center_frequency_hz is not None:
            frequency_hz = float(center_frequency_hz)
            if not abs(frequency_hz) <= HIGHEST_HZ:
                raise CaptureError(
                    f"{self.path} cannot have a centre frequency of {frequency_hz} Hz; "
                    f"give one up to {HIGHEST_HZ:g}, or none"
                )
            changes["segments"] = tuple(
                replace(segment, frequency_hz=frequency_hz) for segment in self.segments
            )
        return replace(self, **changes)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None, "_let_go": None}  # another process opens it anew

    def _stored(self, first_sample: int, count: int) -> np.ndarray:
        """Read numbers as they are stored: (count, components) of `sample_format.component`."""
        form, end_sample = self.sample_format, first_sample + count
        stored = np.empty((count, form.components), form.component)
        file, at = self._opened(), first_sample
        if self.q_offset_bytes:
            begin = self.header_bytes + first_sample * form.component.itemsize
            for number in range(2):
                plane = np.empty(count, form.component)
                self._fill(file, begin + number * self.q_offset_bytes, plane)
                stored[:, number] = plane
            return stored
        pieces = self.pieces or (Piece(0, self.header_bytes),)
        number = bisect_right(pieces, at, key=lambda each: each.first_sample) - 1
        while at < end_sample:
            piece = pieces[number]
            number += 1
            end = pieces[number].first_sample if number < len(pieces) else end_sample
            end = min(end, end_sample)
            begin = piece.byte + (at - piece.first_sample) * form.bytes_per_sample
            self._fill(file, begin, stored[at - first_sample : end - first_sample])
            at = end
        return stored

    def _opened(self) -> int:
        if self._closed:
            raise CaptureError(f"{self.path} is closed; open it again to read it")
        if self._file is None:
            try:
                file = os.open(self.data_path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise CaptureMissingError(
                    f"{self.data_path} cannot be read any more ({error.strerror}); "
                    "was it moved or cut?"
                ) from error
            self._file, self._let_go = file, weakref.finalize(self, os.close, file)
            if os.fstat(file).st_size < self._end_byte():
                raise CaptureMissingError(
                    f"{self.data_path} cannot be read any more (it has become shorter); "
                    "was it moved or cut?"
                )
        return self._file

    def _end_byte(self) -> int:
        if self.q_offset_bytes:
            plane_bytes = self.sample_count * self.sample_format.component.itemsize
            return self.header_bytes + self.q_offset_bytes + plane_bytes
        last = self.sample_byte(np.array([self.sample_count - 1]))[0]
        return int(last) + self.sample_format.bytes_per_sample

    def _fill(self, file: int, begin: int, stored: np.ndarray) -> None:
        """Read one stretch. A mapped file would end the process where its pages are gone."""
        room = stored.reshape(-1).view(np.uint8)
        while len(room):
            try:
                got = os.preadv(file, [room], begin)
            except OSError as error:
                raise CaptureMissingError(
                    f"{self.data_path} cannot be read ({error.strerror}); read a copy"
                ) from error
            if not got:
                raise CaptureMissingError(
                    f"{self.data_path} was cut to {os.fstat(file).st_size} bytes while it was "
                    "being read; let its writer finish, or read a copy"
                )
            room, begin = room[got:], begin + got


def check_sample_rate(sample_rate_hz: float, path: Path) -> None:
    """Raise CaptureError unless the rate is above 0 and at most `HIGHEST_HZ`."""
    if not 0 < sample_rate_hz <= HIGHEST_HZ:
        raise CaptureError(
            f"{path} cannot have a sample rate of {sample_rate_hz} Hz; "
            f"give one above 0 and up to {HIGHEST_HZ:g}, or none if it is not known"
        )


def beside(path: Path, suffix: str) -> Path | None:
    """Find the file of this suffix beside `path`, in upper or lower case; None without one."""
    if (usual := path.with_suffix(suffix)).is_file():
        return usual
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if name.lower() == usual.name.lower() and (path.parent / name).is_file():
                return path.parent / name
    return None


def check_file(path: Path) -> int:
    """Return the size of a readable regular file in bytes.

    Raises:
        CaptureMissingError: If there is no such file, or it may not be read.
    """
    if os.path.isdir(path):
        raise CaptureMissingError(f"{path} is a directory; name one recording inside it")
    if not os.path.exists(path):
        raise CaptureMissingError(f"{path} does not exist; check the path")
    if not os.path.isfile(path):
        raise CaptureMissingError(f"{path} is not a regular file; record it to one first")
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise CaptureMissingError(
            f"{path} cannot be opened ({error.strerror}); check its permissions"
        ) from error


def count_samples(
    path: Path, sample_format: SampleFormat, *sizes: int
) -> tuple[list[int], tuple[str, ...]]:
    """Count the whole samples in pieces of so many bytes.

    Returns:
        The count of each piece, and a fault where bytes are left over.

    Raises:
        CaptureDamagedError: If there is no sample at all.
    """
    sample_bytes = sample_format.bytes_per_sample
    counts = [size // sample_bytes for size in sizes]
    if not any(counts):
        raise CaptureDamagedError(f"{path} holds no samples; record it again")
    left_over_bytes = sum(size % sample_bytes for size in sizes)
    if not left_over_bytes:
        return counts, ()
    return counts, (
        f"{path} ends inside a sample: {left_over_bytes} bytes are left out, where a "
        f"{sample_format.name} sample has {sample_bytes}; is dtype= right?",
    )
