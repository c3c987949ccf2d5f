# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier's thread: it publishes decisions, and results of batches."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pmt

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.network.fit_check import FitCheck
from gr_tsddae.blocks.network.pace import Pacer
from gr_tsddae.blocks.network.shared_recognizer import SharedRecognizer
from gr_tsddae.blocks.network.worker import WindowWorker
from gr_tsddae.inference.decision import Decider, Origin, check_threshold

PAUSE_S = 2.0  # without a window for so long, what was gathered is decided
MIN_INTERVAL_S = 0.01  # of the stream: more decisions would starve the network
RECEIVER_TEXT_LIMIT = 300
INTERVAL_WITHOUT_RATE_SAMPLES = 65536  # a decision's span while the sample rate is unknown


class ClassifierWorker(WindowWorker):
    """Averages class probabilities to decisions, and publishes both."""

    def __init__(
        self,
        batcher: window_batcher,
        recognizer: SharedRecognizer,
        *,
        decision_interval_s: float,
        confidence_threshold: float,
        sample_rate_hz: float,
        center_frequency_hz: float,
        symbol_rate_hz: float,
        bandwidth_hz: float = 0.0,
        max_latency_ms: float = 0.0,
    ):
        super().__init__(
            "classifier",
            batcher,
            recognizer,
            sample_rate_hz=sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
            symbol_rate_hz=symbol_rate_hz,
            bandwidth_hz=bandwidth_hz,
            ports=("decisions", "results", "status"),
        )
        self.set_decision_interval_s(decision_interval_s)
        self.set_confidence_threshold(confidence_threshold)
        self._pacer = Pacer(batcher, recognizer.step_windows, max_latency_ms)
        self._decider: Decider | None = None
        self._fit = FitCheck()
        self._receiver_messages, self._receiver_said = 0, ""
        self.message_port_register_in(pmt.intern("receiver"))
        self.set_msg_handler(pmt.intern("receiver"), self._on_receiver)

    @property
    def _recognizer(self) -> SharedRecognizer:
        return self._network

    @property
    def classes(self) -> tuple[str, ...]:
        return self._recognizer.classes

    # --- parameters, from any thread ----------------------------------------------------------

    def set_decision_interval_s(self, value: float) -> None:
        if not 0 < value < float("inf"):
            raise ValueError(f"decision_interval_s is {value}: it must be above 0 seconds")
        self._decision_interval_s = float(value)

    def set_confidence_threshold(self, value: float) -> None:
        self._confidence_threshold = check_threshold(float(value))

    def set_max_latency_ms(self, value: float) -> None:
        self._pacer.set_max_latency_ms(value)

    def _setters(self) -> dict[str, Callable[[Any], None]]:
        return super()._setters() | {
            "decision_interval_s": self.set_decision_interval_s,
            "confidence_threshold": self.set_confidence_threshold,
            "max_latency_ms": self.set_max_latency_ms,
            "symbol_rate_hz": self.set_symbol_rate_hz,
            "bandwidth_hz": self.set_bandwidth_hz,
        }

    def _on_receiver(self, message: pmt.pmt_base) -> None:
        """Pass on in `status` what the receiver reports, an overflow mostly."""
        self._receiver_messages += 1
        self._receiver_said = str(message)[:RECEIVER_TEXT_LIMIT]
        self._status.wanted.set()

    def _state(self) -> dict[str, Any]:
        return {
            "receiver_messages": self._receiver_messages,
            "receiver_said": self._receiver_said,
            "max_latency_ms": self._pacer.max_latency_ms,
            "batch_limit_windows": self._pacer.batch_limit_windows,
        }

    def _heard(self) -> str:
        return self._fit.warning

    # --- the worker thread --------------------------------------------------------------------

    def _begin(self) -> None:
        self._fit.restart()

    def _process(self, windows: np.ndarray, info: np.ndarray) -> None:
        probabilities, scores = self._recognizer.judge(windows)  # (B, K), (B,) or None
        for rows, origin in self._stretches(info):
            self._publish_results(info["first_sample"][rows], probabilities[rows], origin)
            decider = self._current_decider(origin)
            self._publish_decisions(
                decider.add(
                    probabilities[rows],
                    info["first_sample"][rows],
                    origin,
                    None if scores is None else scores[rows],
                    windows[rows],
                )
            )
        self._pacer.add_pass(len(windows), time.monotonic() - self._batch_at)
        rate_hz = self._told_rate_hz or self._sample_rate_hz
        self._fit.offer(windows, info["first_sample"], rate_hz, self._recognizer.card)

    def _idle(self) -> None:
        if self._is_over():
            self._publish_decisions(self._decider.flush())

    def _is_over(self) -> bool:
        """Tell whether no window will be added to the decision being gathered: a burst has ended.

        Either the stream has passed the decision's interval with the gate closed, or the stream
        itself has paused.
        """
        decider = self._decider
        if decider is None or decider.end_sample is None:
            return False
        seen, pending = self._samples_seen()
        if pending:
            return False
        paused_s = time.monotonic() - self._batch_at
        return (
            seen >= decider.end_sample + decider.window_samples
            or paused_s > PAUSE_S + self._decision_interval_s
        )

    def _finish(self) -> None:
        self._fit.wait()
        if self._decider is not None:
            self._publish_decisions(self._decider.flush())

    def _model_changed(self, network: SharedRecognizer) -> None:
        if self._decider is not None:  # what the old model gathered is its own decision
            self._publish_decisions(self._decider.flush())
            self._decider = None
        self._pacer.network_changed(network.step_windows)
        self._fit.restart()

    def _current_decider(self, origin: Origin) -> Decider:
        """Return the running model's decider, with the parameters as they are now."""
        recognizer = self._recognizer
        rate = origin.sample_rate_hz
        interval_samples = (
            max(1, round(max(self._decision_interval_s, MIN_INTERVAL_S) * rate))
            if rate
            else INTERVAL_WITHOUT_RATE_SAMPLES
        )
        decider = self._decider
        if decider is None:
            decider = self._decider = recognizer.decider(interval_samples)
        decider.interval_samples = interval_samples
        decider.confidence_threshold = self._confidence_threshold
        return decider

    # --- messages -----------------------------------------------------------------------------

    def _publish_decisions(self, decisions: list) -> None:
        for decision in decisions:
            self._publish("decisions", decision.as_dict())

    def _publish_results(
        self, first_samples: np.ndarray, probabilities: np.ndarray, origin: Origin
    ) -> None:
        port = self._ports["results"]
        if pmt.is_null(self.message_subscribers(port)):
            return  # nobody reads them, and they are the one message that is not small
        metadata = {
            "model": self._recognizer.card.name,
            "classes": list(self._recognizer.classes),
            "windows": len(probabilities),
            "window_samples": self._recognizer.window_samples,
            # float64 is exact up to 2^53 samples, and pmt.to_python refuses 64-bit integers
            "first_samples": first_samples.astype(np.float64),
            "time_s": origin.time_of(int(first_samples[0])),
            "center_frequency_hz": origin.center_frequency_hz,
            "sample_rate_hz": origin.sample_rate_hz,
        }
        self.message_port_pub(port, pmt.cons(pmt.to_pmt(metadata), pmt.to_pmt(probabilities)))
