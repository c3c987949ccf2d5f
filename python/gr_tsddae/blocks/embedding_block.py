# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Embedding block: a complex stream in, feature vectors out."""

from __future__ import annotations

import math

import numpy as np
from gnuradio import gr

from gr_tsddae.blocks.embedding_worker import EmbeddingWorker, check_embedding_size
from gr_tsddae.blocks.network.block import WindowBlock
from gr_tsddae.blocks.network.result_source import ResultQueue, ResultSource
from gr_tsddae.inference.recognizer import Recognizer


class embedding(WindowBlock):
    """Streams what a classifier's network sees of each window, for clustering of one's own.

    Vectors are float32 and carry the tag `first_sample` (uint64), the absolute number of their
    window's first sample. Windows that were dropped or gated have no vector.

    Message ports: `status` out, `control` in; see grc/tsddae_embedding.block.yml.

    Args:
        model: name or folder of a classifier.
        embedding_size: length of the vectors; must be the model's.
        hop_samples: from one window's start to the next; 0 takes the window length.
        batch_windows: most windows per pass through the network; 0 takes what suits the model.
        max_wait_s: a batch that is not full goes to the network after this time.
        capacity_batches: batches that may exist at once, waiting or worked on.
        overflow: what gives when network or reader are slower than the stream: "drop_oldest" or
            "drop_newest" lose windows (and count them), "block" makes the stream wait.
        gate_dbfs: windows with less power (mean |x|^2, dB re 1.0) are not looked at; -inf: none.
        device: "auto", "cpu", "cuda", ...
        precision: "auto", "float32", "bfloat16".

    Raises:
        gr_tsddae.zoo.ModelError: when the model cannot be loaded.
        ValueError: when an argument is out of its range, or `embedding_size` is not the model's.
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
        gate_dbfs: float = -math.inf,
        device: str = "auto",
        precision: str = "auto",
    ):
        recognizer = Recognizer(
            model, device=device, precision=precision, batch_windows=batch_windows or None
        )
        check_embedding_size(recognizer, embedding_size)
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
