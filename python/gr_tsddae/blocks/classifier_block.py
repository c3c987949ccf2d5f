# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Classifier block: a complex stream in, decisions out as messages.

Inside: `window_batcher` (C++) cuts the stream and never waits for the network unless it is told
to; `classifier_worker` (Python) takes whole batches on a thread of its own.
"""

from __future__ import annotations

import math

from gnuradio import gr

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.classifier_worker import ClassifierWorker
from gr_tsddae.recognizer import Recognizer

OVERFLOW_POLICIES = ("drop_oldest", "drop_newest", "block")


class classifier(gr.hier_block2):
    """Recognises what is in a stream while it runs.

    Message ports out: `decisions`, `results`, `status`; in: `control`. Their formats are in the
    block's documentation (grc/tsddae_classifier.block.yml).

    Args:
        model: name or folder of a model.
        hop_samples: from one window's start to the next; 0 takes the window length.
        batch_windows: most windows per pass through the network; 0 takes what suits the model.
        max_wait_s: a batch that is not full goes to the network after this time.
        capacity_batches: batches that may exist at once, waiting or worked on.
        overflow: what gives when the network is slower than the stream: "drop_oldest" or
            "drop_newest" lose windows (and count them), "block" makes the stream wait.
        gate_dbfs: windows with less power (mean |x|^2, dB re 1.0) are not looked at; -inf: none.
        decision_interval_s: stretch of stream that one decision is about. Needs a sample rate;
            while that is unknown a decision spans 65536 samples.
        confidence_threshold: decisions below it are labelled "unknown".
        device: "auto", "cpu", "cuda", ...
        precision: "auto", "float32", "bfloat16".
        sample_rate_hz: used while no rx_rate tag was seen; 0: unknown.
        center_frequency_hz: used while no rx_freq tag was seen; 0: unknown.

    Raises:
        gr_tsddae.zoo.ModelError: when the model cannot be loaded.
        ValueError: when an argument is out of its range.
    """

    def __init__(
        self,
        model: str = "amc-nano",
        hop_samples: int = 0,
        batch_windows: int = 0,
        max_wait_s: float = 0.1,
        capacity_batches: int = 8,
        overflow: str = "drop_oldest",
        gate_dbfs: float = -math.inf,
        decision_interval_s: float = 0.1,
        confidence_threshold: float = 0.0,
        device: str = "auto",
        precision: str = "auto",
        sample_rate_hz: float = 0.0,
        center_frequency_hz: float = 0.0,
    ):
        if hop_samples < 0:
            raise ValueError(
                f"hop_samples is {hop_samples}: give the distance between windows in samples, "
                "or 0 for the window length"
            )
        if overflow not in OVERFLOW_POLICIES:
            raise ValueError(
                f"overflow is {overflow!r}: choose one of {', '.join(OVERFLOW_POLICIES)}"
            )
        gr.hier_block2.__init__(
            self,
            "TS-DDAE Classifier",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(0, 0, 0),
        )
        recognizer = Recognizer(
            model, device=device, precision=precision, batch_windows=batch_windows or None
        )
        # Children stay referenced here: GNU Radio does not keep Python blocks alive.
        self.batcher = window_batcher(
            window_samples=recognizer.window_samples,
            hop_samples=hop_samples or recognizer.window_samples,
            batch_windows=recognizer.batch_windows,
            capacity_batches=capacity_batches,
            policy=overflow,
            gate_dbfs=gate_dbfs,
            max_wait_s=max_wait_s,
        )
        self.worker = ClassifierWorker(
            self.batcher,
            recognizer,
            decision_interval_s=decision_interval_s,
            confidence_threshold=confidence_threshold,
            sample_rate_hz=sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
        )
        self.connect(self, self.batcher)
        # No message ever flows here; it ties the worker's start and stop to the stream's.
        self.msg_connect(self.batcher, "drain", self.worker, "drain")
        for port in ("decisions", "results", "status"):
            self.message_port_register_hier_out(port)
            self.msg_connect(self.worker, port, self, port)
        self.message_port_register_hier_in("control")
        self.msg_connect(self, "control", self.worker, "control")

    # Setters are called from GUI slots, where an exception ends the process: a bad value is
    # reported in `status`, and the old one stays.

    def set_model(self, model: str) -> None:
        """Load another model in the background and swap it in between two batches.

        The same name or folder again reloads it. When the new model is bad, or its windows have
        another length, the old one keeps working and `status` says why.
        """
        self.worker.try_to_set(model=model)

    def set_gate_dbfs(self, gate_dbfs: float) -> None:
        """Change the power gate, from the next window on."""
        self.worker.try_to_set(gate_dbfs=gate_dbfs)

    def set_decision_interval_s(self, decision_interval_s: float) -> None:
        """Change the stretch one decision is about, from the next decision on."""
        self.worker.try_to_set(decision_interval_s=decision_interval_s)

    def set_confidence_threshold(self, confidence_threshold: float) -> None:
        """Change the confidence below which decisions say "unknown"."""
        self.worker.try_to_set(confidence_threshold=confidence_threshold)

    def set_sample_rate_hz(self, sample_rate_hz: float) -> None:
        """Change the rate assumed while no rx_rate tag was seen."""
        self.worker.try_to_set(sample_rate_hz=sample_rate_hz)

    def set_center_frequency_hz(self, center_frequency_hz: float) -> None:
        """Change the frequency assumed while no rx_freq tag was seen."""
        self.worker.try_to_set(center_frequency_hz=center_frequency_hz)

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels of the running model."""
        return self.worker.classes

    def counters(self) -> dict[str, int]:
        """Where every sample and window went; see `window_batcher.counters`."""
        return self.batcher.counters()
