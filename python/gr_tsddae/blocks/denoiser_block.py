# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Denoiser block: a complex stream in, its signal part out."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from gnuradio import gr

from gr_tsddae.bindings import DEFAULT_GATE_DBFS, window_batcher
from gr_tsddae.blocks.network.block import WindowBlock
from gr_tsddae.blocks.network.result_source import ResultQueue, ResultSource, Tag
from gr_tsddae.blocks.network.stream_worker import StreamWorker
from gr_tsddae.blocks.receiver.window_tags import SampleTag, WindowTags
from gr_tsddae.inference.denoiser import Denoiser
from gr_tsddae.iq.overlap_add import OverlapAdd


class denoiser(WindowBlock):
    """Complex stream and message `control` in; complex stream and message `status` out.

    The stream out is a network's estimate of the signal in a noisy stream, at the same rate and
    level.

    Windows overlap by half; sample n out is about sample n in. Where no window was denoised
    (dropped, gated, not finite, or the rest in front of a retune or the end that is too short for
    a window), zeros come out. The tags rx_time, rx_freq and rx_rate pass.

    grc/tsddae_denoiser.block.yml gives the messages' formats.

    The arguments that are not listed here are those of `WindowBlock`.

    Args:
        model: Name or folder of a model for "denoising".
        estimate_snr: Whether each window's SNR is estimated; else it is taken to be `snr_db`.
        snr_db: Power of the signal over that of the noise in the whole band, -50 to 49 dB.
        gate_dbfs: Windows with less power (mean |x|^2, dB re 1.0) become zeros; by
            default digital silence only; -inf: none.

    Raises:
        gr_tsddae.zoo.ModelError: If the model cannot be loaded.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        model: str = "denoise-mini",
        estimate_snr: bool = True,
        snr_db: float = 10.0,
        batch_windows: int = 0,
        max_wait_s: float = 0.1,
        capacity_batches: int = 8,
        overflow: str = "drop_oldest",
        gate_dbfs: float = DEFAULT_GATE_DBFS,
        device: str = "auto",
        precision: str = "auto",
    ):
        network = Denoiser(
            model, device=device, precision=precision, batch_windows=batch_windows or None
        )
        overlap = OverlapAdd(network.window_samples)
        super().__init__(
            "TS-DDAE Denoiser",
            network,
            hop_samples=overlap.hop_samples,
            capacity_batches=capacity_batches,
            overflow=overflow,
            gate_dbfs=gate_dbfs,
            max_wait_s=max_wait_s,
            output_bytes=gr.sizeof_gr_complex,
        )
        queue = ResultQueue()
        worker = DenoiserWorker(
            self.batcher, network, queue, overlap, estimate_snr=estimate_snr, snr_db=snr_db
        )
        source = ResultSource("denoiser", np.complex64, queue)
        self._connect(worker, ports=("status",), source=source)

    def set_estimate_snr(self, estimate_snr: bool) -> None:
        """Estimate the SNR or not, from the next batch on."""
        self.worker.try_to_set(estimate_snr=estimate_snr)

    def set_snr_db(self, snr_db: float) -> None:
        """Change the SNR that is assumed while none is estimated, from the next batch on."""
        self.worker.try_to_set(snr_db=snr_db)


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
