# SPDX-License-Identifier: GPL-3.0-or-later
"""From a worker's thread back to a stream: a bounded queue, and a source that empties it.

A stream that is read slowly fills the queue, the worker waits, the ring of batches fills up, and
the overflow policy says what gives. Without a reader nothing is kept and nobody waits.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
import pmt
from gnuradio import gr

log = logging.getLogger(__name__)

CAPACITY_CHUNKS = 4
WAIT_S = 0.05  # work() returns so often, for the scheduler to stop it
ENDED = -1


@dataclass(frozen=True)
class Tag:
    """A stream tag on an item of a chunk, counted from the chunk's first."""

    item: int
    key: str
    value: pmt.pmt_base


@dataclass(frozen=True)
class Chunk:
    """Items of a stream, (n,) or (n, V), in the stream's own dtype, with their tags in order."""

    items: np.ndarray
    tags: tuple[Tag, ...] = ()


class ResultQueue:
    """Carries chunks from one writing thread to one reading thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: deque[Chunk] = deque()
        self._reading = False
        self._reader_left = False
        self._ended = False
        self._abandoned = False

    # --- the writer's side --------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a run, and forget the chunks of the run before.

        The writer calls this before it writes or asks for `reader_left`. The reader may have come
        already, or come later.
        """
        with self._changed:
            self._chunks.clear()
            self._reader_left = self._ended = self._abandoned = False

    @property
    def reader_left(self) -> bool:
        """Whether there was a reader in this run that wants no more."""
        return self._reader_left

    def put(self, chunk: Chunk) -> bool:
        """Append a chunk, waiting while the queue is full; False when nobody will read it."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._reading or self._abandoned or len(self._chunks) < CAPACITY_CHUNKS
            )
            if not self._reading or self._abandoned:
                return False
            self._chunks.append(chunk)
            self._changed.notify_all()
            return True

    def end(self) -> None:
        """End the stream; chunks that lie here can still be read."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Have the writer wait no more; for any thread."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    # --- the reader's side --------------------------------------------------------------------

    def open(self) -> None:
        """Note that there is a reader."""
        with self._changed:
            self._reading = True

    def close(self) -> None:
        """Note that the reader wants no more."""
        with self._changed:
            self._chunks.clear()
            self._reading, self._reader_left = False, True
            self._changed.notify_all()

    def read_into(self, out: np.ndarray) -> tuple[int, list[Tag]]:
        """Fill an array as far as there are items, waiting shortly when there is none.

        Returns:
            How many items, or `ENDED`, and the tags on them, counted from the array's first.
        """
        filled, tags = 0, []
        with self._changed:
            if not self._chunks and not self._ended:
                self._changed.wait(WAIT_S)
            if not self._chunks and self._ended:
                return ENDED, tags
            while self._chunks and filled < len(out):
                chunk = self._chunks.popleft()
                count = min(len(chunk.items), len(out) - filled)
                out[filled : filled + count] = chunk.items[:count]
                tags += [Tag(filled + t.item, t.key, t.value) for t in chunk.tags if t.item < count]
                if count < len(chunk.items):
                    rest = tuple(
                        Tag(t.item - count, t.key, t.value) for t in chunk.tags if t.item >= count
                    )
                    self._chunks.appendleft(Chunk(chunk.items[count:], rest))
                filled += count
            self._changed.notify_all()
        return filled, tags


class ResultSource(gr.sync_block):
    """Streams a worker's results from a queue; done when the worker is and the queue is empty.

    Args:
        name: Of the block.
        item: Numpy dtype of a stream item, or (dtype, length) for vectors.
        queue: Read by this block alone.
    """

    def __init__(self, name: str, item, queue: ResultQueue):
        gr.sync_block.__init__(self, name=f"{name}_source", in_sig=None, out_sig=[item])
        self._queue = queue

    def start(self) -> bool:
        self._queue.open()
        return True

    def stop(self) -> bool:
        self._queue.close()
        return True

    def work(self, input_items, output_items) -> int:
        try:
            count, tags = self._queue.read_into(output_items[0])
            for tag in tags:
                at = self.nitems_written(0) + tag.item
                self.add_item_tag(0, at, pmt.intern(tag.key), tag.value)
            return count
        except Exception:  # one that got out would hang the flowgraph
            log.exception("the output of %s ends", self.name())
            return ENDED
