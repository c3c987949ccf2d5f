# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Anomaly Detector block: a complex stream in, scores out, and messages of events."""

import numpy as np
from gnuradio import gr

from gr_tsddae.bindings import DEFAULT_GATE_DBFS
from gr_tsddae.blocks.network.anomaly_worker import AnomalyWorker
from gr_tsddae.blocks.network.block import WindowBlock
from gr_tsddae.blocks.network.result_source import ResultQueue, ResultSource
from gr_tsddae.inference.anomaly.scorer import AnomalyScorer


class anomaly_detector(WindowBlock):
    """Complex stream and message `control` in; float scores, messages `anomalies`, `status` out.

    Scores every window by how far it is from normal, and publishes an event when scores pass a
    threshold.

    The stream out has one float per hop: score i is that of the window that starts at sample i *
    hop (behind a retune: within the hop that begins there). Windows that were dropped or gated are
    NaN, so that the scores keep step with time.

    grc/tsddae_anomaly_detector.block.yml gives the messages' formats.

    The arguments that are not listed here are those of `WindowBlock`.

    Args:
        model: Name or folder of a model for "anomaly", whose score is the probability that a window
            is not normal; or of one for "denoising", whose score is its denoising error.
        threshold: A score above it is an anomaly; used while `learn_s` is 0.
        learn_s: Learn the threshold from the first so many seconds of signal, which must be normal.
            While the sample rate is unknown, from 1000 windows.
        false_alarm_rate: Share of normal windows that may pass a learned threshold.

    Raises:
        gr_tsddae.zoo.ModelError: If the model cannot be loaded, or is of another task.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        model: str = "denoise-mini",
        hop_samples: int = 0,
        threshold: float = 0.5,
        learn_s: float = 5.0,
        false_alarm_rate: float = 1e-3,
        batch_windows: int = 0,
        max_wait_s: float = 0.1,
        capacity_batches: int = 8,
        overflow: str = "drop_oldest",
        gate_dbfs: float = DEFAULT_GATE_DBFS,
        device: str = "auto",
        precision: str = "auto",
        sample_rate_hz: float = 0.0,
        center_frequency_hz: float = 0.0,
    ):
        scorer = AnomalyScorer(
            model, device=device, precision=precision, batch_windows=batch_windows or None
        )
        super().__init__(
            "TS-DDAE Anomaly Detector",
            scorer,
            hop_samples=hop_samples,
            capacity_batches=capacity_batches,
            overflow=overflow,
            gate_dbfs=gate_dbfs,
            max_wait_s=max_wait_s,
            output_bytes=gr.sizeof_float,
        )
        queue = ResultQueue()
        worker = AnomalyWorker(
            self.batcher,
            scorer,
            queue,
            hop_samples=hop_samples or scorer.window_samples,
            threshold=threshold,
            learn_s=learn_s,
            false_alarm_rate=false_alarm_rate,
            sample_rate_hz=sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
        )
        source = ResultSource("anomaly_detector", np.float32, queue)
        self._connect(worker, ports=("anomalies", "status"), source=source)

    def set_threshold(self, threshold: float) -> None:
        """Use this threshold from now on, and learn none."""
        self.worker.try_to_set(threshold=threshold)

    def set_learn_s(self, learn_s: float) -> None:
        """Learn the threshold again, from so many seconds; 0: go back to the fixed one."""
        self.worker.try_to_set(learn_s=learn_s)

    def set_false_alarm_rate(self, false_alarm_rate: float) -> None:
        """Change what the threshold is learned for; one that is learned already follows."""
        self.worker.try_to_set(false_alarm_rate=false_alarm_rate)
