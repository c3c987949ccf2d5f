# SPDX-License-Identifier: GPL-3.0-or-later
"""What the embedding block does on its thread: one vector per window."""

from __future__ import annotations

import numpy as np
import pmt

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.network.result_source import ResultQueue, Tag
from gr_tsddae.blocks.network.stream_worker import StreamWorker
from gr_tsddae.inference.recognizer import Recognizer


class EmbeddingWorker(StreamWorker):
    """Sends the embeddings of all windows that it gets, each tagged with its first sample."""

    def __init__(self, batcher: window_batcher, recognizer: Recognizer, queue: ResultQueue):
        super().__init__("embedding", batcher, recognizer, queue)

    def _process(self, windows: np.ndarray, info: np.ndarray) -> None:
        vectors = self._network.embed(windows)  # (B, E)
        firsts = info["first_sample"].tolist()
        tags = (Tag(at, "first_sample", pmt.from_uint64(n)) for at, n in enumerate(firsts))
        self._deliver(vectors, tuple(tags))

    def _check_model(self, network: Recognizer) -> None:
        check_embedding_size(network, self._network.embedding_size)


def check_embedding_size(recognizer: Recognizer, size: int) -> None:
    """Raises ValueError when a model's embeddings are of another size than the stream's vectors."""
    if recognizer.embedding_size != size:
        raise ValueError(
            f"embedding_size is {size}: {recognizer.card.name} gives vectors of "
            f"{recognizer.embedding_size}, so set it to that, here and in the blocks behind"
        )
