# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Classifier block: a complex stream in, decisions out as messages."""

from gr_tsddae.bindings import DEFAULT_GATE_DBFS
from gr_tsddae.blocks.network.block import WindowBlock
from gr_tsddae.blocks.network.classifier_worker import ClassifierWorker
from gr_tsddae.blocks.network.shared_recognizer import SharedRecognizer


class classifier(WindowBlock):
    """Complex stream, messages `control`, `receiver` in; `decisions`, `results`, `status` out.

    Recognises the signals in a stream while it runs.

    grc/tsddae_classifier.block.yml gives the messages' formats.

    The arguments that are not listed here are those of `WindowBlock`.

    Args:
        model: Name or folder of a model.
        decision_interval_s: Stretch of stream that one decision is about. Needs a sample rate;
            while that is unknown a decision spans 65536 samples.
        confidence_threshold: Decisions below it are labelled "unknown".
        symbol_rate_hz: Of the signal looked for; 0: unknown. `status` warns when it, or the sample
            rate, is not what the model's card says it was trained on.
        engine: How the network runs, see docs/speed.md: "auto", "eager", "openvino",
            "compiled", "graphs".
        bandwidth_hz: Occupied bandwidth of the signal looked for; 0: unknown. As symbol_rate_hz,
            for models that want a multiple of it.
        max_latency_ms: From a window being complete to its result; batches are as large as it
            allows. 0: no target, batches are full or have waited for max_wait_s.

    Raises:
        gr_tsddae.zoo.ModelError: If the model cannot be loaded.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        model: str = "amc-nano",
        hop_samples: int = 0,
        batch_windows: int = 0,
        max_wait_s: float = 0.1,
        capacity_batches: int = 8,
        overflow: str = "drop_oldest",
        gate_dbfs: float = DEFAULT_GATE_DBFS,
        decision_interval_s: float = 0.1,
        confidence_threshold: float = 0.0,
        device: str = "auto",
        precision: str = "auto",
        sample_rate_hz: float = 0.0,
        center_frequency_hz: float = 0.0,
        symbol_rate_hz: float = 0.0,
        engine: str = "auto",
        max_latency_ms: float = 0.0,
        bandwidth_hz: float = 0.0,
    ):
        recognizer = SharedRecognizer(
            model,
            device=device,
            precision=precision,
            batch_windows=batch_windows or None,
            engine=engine,
        )
        super().__init__(
            "TS-DDAE Classifier",
            recognizer,
            hop_samples=hop_samples,
            capacity_batches=capacity_batches,
            overflow=overflow,
            gate_dbfs=gate_dbfs,
            max_wait_s=max_wait_s,
        )
        worker = ClassifierWorker(
            self.batcher,
            recognizer,
            decision_interval_s=decision_interval_s,
            confidence_threshold=confidence_threshold,
            sample_rate_hz=sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
            symbol_rate_hz=symbol_rate_hz,
            bandwidth_hz=bandwidth_hz,
            max_latency_ms=max_latency_ms,
        )
        self._connect(worker, ports=("decisions", "results", "status"))
        self.message_port_register_hier_in("receiver")
        self.msg_connect(self, "receiver", worker, "receiver")

    def set_decision_interval_s(self, decision_interval_s: float) -> None:
        """Change the stretch one decision is about, from the next decision on."""
        self.worker.try_to_set(decision_interval_s=decision_interval_s)

    def set_confidence_threshold(self, confidence_threshold: float) -> None:
        """Change the confidence below which decisions say "unknown"."""
        self.worker.try_to_set(confidence_threshold=confidence_threshold)

    def set_symbol_rate_hz(self, symbol_rate_hz: float) -> None:
        """Change the symbol rate that `status` warns by."""
        self.worker.try_to_set(symbol_rate_hz=symbol_rate_hz)

    def set_bandwidth_hz(self, bandwidth_hz: float) -> None:
        """Change the bandwidth that `status` warns by."""
        self.worker.try_to_set(bandwidth_hz=bandwidth_hz)

    def set_max_latency_ms(self, max_latency_ms: float) -> None:
        """Change the latency target, from now on; 0: none."""
        self.worker.try_to_set(max_latency_ms=max_latency_ms)

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels of the running model."""
        return self.worker.classes
