# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples that another program sends through a pipe, such as `rtl_sdr -`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gr_tsddae.iq.formats.capture import Capture, Segment
from gr_tsddae.iq.formats.capture_errors import CaptureFormatError
from gr_tsddae.iq.formats.sample_format import NAMES, SampleFormat

STANDARD_INPUT = "-"
_ENDLESS_SAMPLES = 1 << 62
_HEADS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff\x2e\x91", b"\x93NUMPY")  # WAV, W64, .npy
_HEAD_BYTES = 8


class LiveCapture(Capture):
    """A capture whose samples come once, in order; `open_standard_input` makes it.

    Its `sample_count` is a number that no stream reaches.
    """

    _left_over = b""  # bytes of a sample that has not come whole
    _came = False  # a sample

    def faults_at_end(self) -> tuple[str, ...]:
        """Return what was wrong with a stream that has ended, as `Capture.faults` does."""
        if self._left_over:
            return (
                f"the stream ends inside a sample: {len(self._left_over)} bytes are left out, "
                f"where a {self.sample_format.name} sample has "
                f"{self.sample_format.bytes_per_sample}; is dtype= right?",
            )
        return () if self._came else ("the stream held no sample; does its sender run?",)

    def read(self, first_sample: int, count: int) -> np.ndarray:
        """Wait for samples; return at most `count` of them, and none at the end of the stream."""
        sample_bytes = self.sample_format.bytes_per_sample
        held = self._left_over
        fewest_bytes = sample_bytes if self._came else max(sample_bytes, _HEAD_BYTES)
        while len(held) < fewest_bytes:
            came = os.read(sys.stdin.fileno(), max(count * sample_bytes, fewest_bytes) - len(held))
            if not came:
                break
            held += came
        if not self._came and held.startswith(_HEADS):
            raise CaptureFormatError(
                "the standard input begins like a file with a header, and is read as samples "
                "alone; give the name of the file"
            )
        if len(held) < sample_bytes:
            self._left_over = held
            return np.zeros(0, np.complex64)
        self._came = True
        whole = min(len(held) // sample_bytes, count) * sample_bytes
        self._left_over = held[whole:]
        stored = np.frombuffer(bytearray(held[:whole]), self.sample_format.component)
        return self.sample_format.to_complex64(stored.reshape(-1, 2))

    def blocks(self, block_samples: int) -> Iterator[tuple[int, np.ndarray]]:
        """Go through the stream as it comes, until it ends; see `Capture.blocks`."""
        first = 0
        while len(iq := self.read(first, block_samples)):
            yield first, iq
            first += len(iq)


@contextlib.contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the standard input, so that what came before is told of; the second kills."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, sys.stdin.fileno())  # a read that waits goes on here
        os.close(nothing)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def open_standard_input(
    dtype: str | None, sample_rate_hz: float | None, center_frequency_hz: float | None
) -> Capture:
    """Take the standard input for raw IQ.

    Raises:
        CaptureFormatError: If `dtype` does not say how samples are stored, or says real ones.
        CaptureError: If the rate or the frequency is not possible.
    """
    if dtype is None:
        raise CaptureFormatError(
            f"the standard input does not say how its samples are stored; give dtype= one of "
            f"{', '.join(NAMES)}"
        )
    sample_format = SampleFormat.parse(dtype)
    if sample_format.is_real:
        raise CaptureFormatError(f"the standard input must be complex IQ, and {dtype} is real")
    capture = LiveCapture(
        path=Path(STANDARD_INPUT),
        data_path=Path(STANDARD_INPUT),
        format=sample_format.name,
        sample_format=sample_format,
        sample_count=_ENDLESS_SAMPLES,
        segments=(Segment(0),),
    )
    return capture.told(sample_rate_hz=sample_rate_hz, center_frequency_hz=center_frequency_hz)
