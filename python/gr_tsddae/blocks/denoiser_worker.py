# SPDX-License-Identifier: GPL-3.0-or-later
"""What the denoiser block does on its thread: windows denoised and put together again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.network.result_source import ResultQueue, Tag
from gr_tsddae.blocks.network.stream_worker import StreamWorker
from gr_tsddae.blocks.receiver.window_tags import SampleTag, WindowTags
from gr_tsddae.inference.denoiser import Denoiser
from gr_tsddae.iq.overlap_add import OverlapAdd


class DenoiserWorker(StreamWorker):
    """Sends one sample for each that came in; zeros where no window was denoised."""

    def __init__(
        self,
        batcher: window_batcher,
        denoiser: Denoiser,
        queue: ResultQueue,
        overlap: OverlapAdd,
        *,
        estimate_snr: bool,
        snr_db: float,
    ):
        super().__init__("denoiser", batcher, denoiser, queue)
        self._overlap = overlap
        self.set_estimate_snr(estimate_snr)
        self.set_snr_db(snr_db)
        self._begin()

    def set_estimate_snr(self, value: bool) -> None:
        self._estimate_snr = bool(value)

    def set_snr_db(self, value: float) -> None:
        if not math.isfinite(value):
            raise ValueError(f"snr_db is {value}: give decibels, or set estimate_snr")
        self._snr_db = float(value)

    def _setters(self) -> dict[str, Callable[[Any], None]]:
        return super()._setters() | {
            "estimate_snr": self.set_estimate_snr,
            "snr_db": self.set_snr_db,
        }

    def _begin(self) -> None:
        self._overlap.restart()
        self._receiver = WindowTags()
        self._tags: list[SampleTag] = []  # of samples that have not left yet

    def _process(self, windows: np.ndarray, info: np.ndarray) -> None:
        clean = self._network.denoise(windows, None if self._estimate_snr else self._snr_db)
        self._tags += self._receiver.news(info, self._overlap.position)
        self._send(self._overlap.add(clean, info["first_sample"]))

    def _idle(self) -> None:
        seen, pending = self._samples_seen()
        if not pending:  # what was gated or dropped at last
            self._send(self._overlap.advance(seen - self._network.window_samples + 1))

    def _finish(self) -> None:
        self._send(self._overlap.advance(self._samples_seen()[0]))

    def _send(self, pieces: Iterable[np.ndarray]) -> None:
        for piece in pieces:
            end = self._overlap.position
            start = end - len(piece)
            here = tuple(Tag(at - start, key, value) for at, key, value in self._tags if at < end)
            self._tags = [tag for tag in self._tags if tag[0] >= end]
            self._deliver(piece, here)
