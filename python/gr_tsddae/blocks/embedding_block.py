# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Embedding block: a complex stream in, feature vectors out."""

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.bindings import DEFAULT_GATE_DBFS, window_batcher
from gr_tsddae.blocks.network.block import WindowBlock
from gr_tsddae.blocks.network.result_source import ResultQueue, ResultSource, Tag
from gr_tsddae.blocks.network.shared_recognizer import SharedRecognizer
from gr_tsddae.blocks.network.stream_worker import StreamWorker


class embedding(WindowBlock):
    """Complex stream and message `control` in; vectors of floats and message `status` out.

    A vector is the embedding of a window by a classifier's network, for clustering of one's own.

    Vectors are float32 and carry the tag `first_sample` (uint64), the absolute number of their
    window's first sample. Windows that were dropped or gated have no vector.

    grc/tsddae_embedding.block.yml gives the messages' formats.

    The arguments that are not listed here are those of `WindowBlock`.

    Args:
        model: Name or folder of a classifier.
        embedding_size: Length of the vectors; must be the model's.

    Raises:
        gr_tsddae.zoo.ModelError: If the model cannot be loaded.
        ValueError: If an argument is out of its range, or `embedding_size` is not the model's.
    """

    def __init__(
        self,
        model: str = "amc-nano",
        embedding_size: int = 128,
        hop_samples: int = 0,
        batch_windows: int = 0,
        max_wait_s: float = 0.1,
        capacity_batches: int = 8,
        overflow: str = "drop_oldest",
        gate_dbfs: float = DEFAULT_GATE_DBFS,
        device: str = "auto",
        precision: str = "auto",
    ):
        recognizer = SharedRecognizer(
            model, device=device, precision=precision, batch_windows=batch_windows or None
        )
        _check_embedding_size(recognizer, embedding_size)
        super().__init__(
            "TS-DDAE Embedding",
            recognizer,
            hop_samples=hop_samples,
            capacity_batches=capacity_batches,
            overflow=overflow,
            gate_dbfs=gate_dbfs,
            max_wait_s=max_wait_s,
            output_bytes=embedding_size * gr.sizeof_float,
        )
        queue = ResultQueue()
        source = ResultSource("embedding", (np.float32, embedding_size), queue)
        self._connect(
            EmbeddingWorker(self.batcher, recognizer, queue), ports=("status",), source=source
        )


class EmbeddingWorker(StreamWorker):
    """Sends the embeddings of all windows that it gets, each tagged with its first sample."""

    def __init__(self, batcher: window_batcher, recognizer: SharedRecognizer, queue: ResultQueue):
        super().__init__("embedding", batcher, recognizer, queue)

    def _process(self, windows: np.ndarray, info: np.ndarray) -> None:
        vectors = self._network.embed(windows)  # (B, E)
        firsts = info["first_sample"].tolist()
        tags = (Tag(at, "first_sample", pmt.from_uint64(n)) for at, n in enumerate(firsts))
        self._deliver(vectors, tuple(tags))

    def _check_model(self, network: SharedRecognizer) -> None:
        _check_embedding_size(network, self._network.embedding_size)


def _check_embedding_size(recognizer: SharedRecognizer, size: int) -> None:
    """Raise ValueError when a model's embeddings are of another size than the stream's vectors."""
    if recognizer.embedding_size != size:
        raise ValueError(
            f"embedding_size is {size}: {recognizer.card.name} gives vectors of "
            f"{recognizer.embedding_size}, so set it to that, here and in the blocks behind"
        )
