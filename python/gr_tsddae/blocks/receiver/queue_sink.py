# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream sink whose samples a Python loop takes."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import numpy as np
from gnuradio import gr

_BLOCKS_AHEAD = 256  # then the stream waits


class QueueSink(gr.sync_block):
    """Complex stream in; `blocks` gives its samples to another thread."""

    def __init__(self):
        gr.sync_block.__init__(self, name="Queue Sink", in_sig=[np.complex64], out_sig=None)
        self._queue: queue.Queue[np.ndarray | None] = queue.Queue(_BLOCKS_AHEAD)
        self._closed = False

    def work(self, input_items, output_items):
        iq = input_items[0].copy()
        while not self._closed:
            try:
                self._queue.put(iq, timeout=0.1)
                return len(iq)
            except queue.Full:
                continue
        return len(iq)

    def stop(self) -> bool:
        while not self._closed:
            try:
                self._queue.put(None, timeout=0.1)
                break
            except queue.Full:
                continue
        return True

    def close(self) -> None:
        """Drop what still comes, so that the stream can end."""
        self._closed = True

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield samples as they come, complex64 (n,), until the stream ends."""
        while (iq := self._queue.get()) is not None:
            yield iq
