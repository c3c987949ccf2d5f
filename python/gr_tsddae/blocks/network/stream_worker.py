# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker whose results leave as a stream, through the queue of a `ResultSource`."""

from typing import Any

import numpy as np

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.network.model_loader import Network
from gr_tsddae.blocks.network.result_source import Chunk, ResultQueue, Tag
from gr_tsddae.blocks.network.worker import WindowWorker


class StreamWorker(WindowWorker):
    """Ends its stream after the last window, and itself when nobody reads on.

    The backlog of a stopped flowgraph goes, whatever the policy: nobody could read its results.
    """

    def __init__(
        self, name: str, batcher: window_batcher, network: Network, queue: ResultQueue, **more: Any
    ):
        super().__init__(name, batcher, network, **more)
        self._queue = queue

    def start(self) -> bool:
        self._queue.begin()  # the reader may start later than the thread looks for it
        return super().start()

    def stop(self) -> bool:
        self._abandon.set()
        self._queue.abandon()
        return super().stop()

    def _deliver(self, items: np.ndarray, tags: tuple[Tag, ...] = ()) -> None:
        """Send items (n,) or (n, V) on their way; wait while the reader is slow."""
        if len(items):
            self._queue.put(Chunk(items, tags))

    def _run(self) -> None:
        try:
            super()._run()
        finally:
            self._queue.end()

    def _gives_up(self) -> bool:
        if self._queue.reader_left:
            self._batcher.close()  # so that what feeds it can end, too
            return True
        return self._abandon.is_set()

    def _nobody_listens(self) -> bool:
        return self._queue.reader_left
