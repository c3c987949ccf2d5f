# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream sink that writes samples to a file on a thread of its own.

The stock File Sink writes inside `work()`: a slow disk holds up the radio, and a full disk ends the
block with an exception. Here a slow disk costs samples. They are counted, and the file has zeros
in their place, so that sample numbers stay those of the stream. With `wait`, a slow disk costs time
instead. A full disk ends the recording and nothing else.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

SAMPLE_BYTES = 8  # cf32_le
CAPACITY_BYTES = 128 << 20  # seven seconds at 2.4 MS/s
RECEIVER_KEYS = tuple(pmt.intern(key) for key in ("rx_time", "rx_freq", "rx_rate"))


class SampleWriter:
    """Write blocks of samples to a file, on a thread.

    Args:
        path: the file; it must not exist yet.
        wait: whether `put` waits for a slow disk instead of refusing.
        report: called once with what went wrong.

    Raises:
        OSError: If the file cannot be made.
    """

    def __init__(self, path: Path, *, wait: bool, report: Callable[[str, BaseException], None]):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._wait = wait
        self._report = report
        self._blocks: deque[tuple[int, np.ndarray]] = deque()
        self._changed = threading.Condition()
        self._pending_bytes = 0
        self._closing = False
        self.failed = False
        self.samples_written = 0
        self.end_sample = 0  # samples that the file holds, holes among them
        self._thread = threading.Thread(target=self._run, name="tsddae recorder", daemon=True)
        self._thread.start()

    @property
    def samples_pending(self) -> int:
        return self._pending_bytes // SAMPLE_BYTES

    def put(self, first_sample: int, iq: np.ndarray) -> bool:
        """Take a copy of samples, (N,) complex64, to write them; return whether there was room."""
        with self._changed:
            if self._wait:
                self._changed.wait_for(self._has_room)
            if self.failed or self._closing or not self._has_room():
                return False
            self._blocks.append((first_sample, iq.copy()))
            self._pending_bytes += iq.nbytes
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """Write what was taken, and close the file."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _has_room(self) -> bool:
        return self._pending_bytes < CAPACITY_BYTES or self.failed or self._closing

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._blocks or self._closing)
                if not self._blocks:
                    break
                first_sample, iq = self._blocks[0]
            if not self.failed:
                self._write(first_sample, iq)
            with self._changed:
                self._blocks.popleft()
                self._pending_bytes -= iq.nbytes
                self._changed.notify_all()
        try:
            os.ftruncate(self._file, self.end_sample * SAMPLE_BYTES)  # no half sample at the end
        except OSError as error:
            self._report("recording", error)
        os.close(self._file)

    def _write(self, first_sample: int, iq: np.ndarray) -> None:
        data, done = memoryview(iq).cast("B"), 0
        try:
            while done < len(data):  # a nearly full disk takes a part, and then refuses
                done += os.pwrite(self._file, data[done:], first_sample * SAMPLE_BYTES + done)
        except OSError as error:
            self.failed = True
            self._report("recording stopped", error)
        whole = done // SAMPLE_BYTES
        self.samples_written += whole
        if whole:
            self.end_sample = first_sample + whole


class Recorder(gr.sync_block):
    """Complex stream in. Give each block of samples to a writer, and tell of tags and losses.

    Args:
        open_writer: called at each start; returns a writer, or None when there can be none.
        on_tags: called with the rx_time, rx_freq and rx_rate tags of a block of samples.
        on_lost: called with first sample and count of a stretch that was not written.
        report: called with what went wrong.
    """

    def __init__(
        self,
        *,
        open_writer: Callable[[], SampleWriter | None],
        on_tags: Callable[[list[gr.tag_t]], None],
        on_lost: Callable[[int, int], None],
        report: Callable[[str, BaseException], None],
    ):
        gr.sync_block.__init__(self, "recorder", [np.complex64], None)
        self.message_port_register_out(pmt.intern("drain"))  # ties the annotator to the stream
        self._open_writer = open_writer
        self._on_tags = on_tags
        self._on_lost = on_lost
        self._report = report
        self.writer: SampleWriter | None = None
        self.samples_in = 0
        self._lost_from: int | None = None
        self.ended = threading.Event()

    def start(self) -> bool:
        self.samples_in = 0
        self._lost_from = None
        self.ended.clear()
        self.writer = self._open_writer()
        return True

    def stop(self) -> bool:
        if self.writer is not None:
            self.writer.close()
        self._tell_loss(self.samples_in)
        self.ended.set()
        return True

    def work(self, input_items, output_items):
        iq = input_items[0]
        try:
            self._take(self.nitems_read(0), iq)
        except Exception as error:  # raised here, it would hang the flowgraph
            self._report("recorder", error)
        self.samples_in += len(iq)
        return len(iq)

    def _take(self, first: int, iq: np.ndarray) -> None:
        writer = self.writer
        if writer is None or writer.failed:
            return
        try:
            # Chosen by key in C++: streams may hold many others.
            tags = [self.get_tags_in_window(0, 0, len(iq), key) for key in RECEIVER_KEYS]
            self._on_tags(list(chain(*tags)))
        except Exception as error:  # whatever a tag says, the samples are worth keeping
            self._report("tags not understood", error)
        if writer.put(first, iq):
            self._tell_loss(first)
        elif self._lost_from is None:
            self._lost_from = first

    def _tell_loss(self, end: int) -> None:
        """Tell of the stretch that was not written up to a sample, if there is one."""
        if self._lost_from is not None:
            self._on_lost(self._lost_from, end - self._lost_from)
            self._lost_from = None
