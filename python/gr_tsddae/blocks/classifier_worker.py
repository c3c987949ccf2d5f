# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread behind the classifier block: batches in, decisions, results and status out."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.bindings import window_batch, window_batcher
from gr_tsddae.blocks.model_loader import ModelLoader
from gr_tsddae.decision import Decider, Origin, check_threshold
from gr_tsddae.recognizer import Recognizer

log = logging.getLogger(__name__)

TAKE_TIMEOUT_S = 0.2  # how soon the worker notices that it is to stop, when nothing comes
STATUS_INTERVAL_S = 1.0
LAST_WORDS_S = 0.05
PAUSE_S = 2.0  # without a window for so long, what was gathered is decided
LATENCIES_KEPT = 512  # batches that the latency percentiles are taken over
MIN_INTERVAL_S = 0.01  # of the stream: more decisions would starve the network
INTERVAL_WITHOUT_RATE_SAMPLES = 65536  # a decision's span while the sample rate is unknown


class ClassifierWorker(gr.basic_block):
    """Message-only block that owns the worker thread.

    It lives beside a `window_batcher` and is started and stopped by the scheduler with it. All
    that can go wrong in the thread is logged, counted and published; none of it stops the
    flowgraph.
    """

    def __init__(
        self,
        batcher: window_batcher,
        recognizer: Recognizer,
        *,
        decision_interval_s: float,
        confidence_threshold: float,
        sample_rate_hz: float,
        center_frequency_hz: float,
    ):
        gr.basic_block.__init__(self, name="classifier_worker", in_sig=None, out_sig=None)
        self._batcher = batcher
        self._recognizer = recognizer
        self._loader = ModelLoader()
        # Setters run on the GUI's thread: they replace whole values, the worker reads them once.
        self.set_decision_interval_s(decision_interval_s)
        self.set_confidence_threshold(confidence_threshold)
        self.set_sample_rate_hz(sample_rate_hz)
        self.set_center_frequency_hz(center_frequency_hz)

        self._thread: threading.Thread | None = None
        self._abandon = threading.Event()  # stop() was called: a live backlog is not waited for
        self._decider: Decider | None = None
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._errors = 0
        self._last_error = ""
        self._device_failures = 0  # of models that were swapped out
        self._status_wanted = threading.Event()
        self._batch_at = 0.0
        self._status_at = 0.0
        self._status_samples = (0, 0)

        self.message_port_register_in(pmt.intern("drain"))
        self.message_port_register_in(pmt.intern("control"))
        self.set_msg_handler(pmt.intern("drain"), self._on_drain)
        self.set_msg_handler(pmt.intern("system"), self._on_system)
        self.set_msg_handler(pmt.intern("control"), self._on_control)
        self._ports = {name: pmt.intern(name) for name in ("decisions", "results", "status")}
        for port in self._ports.values():
            self.message_port_register_out(port)

    # --- parameters, from any thread ---------------------------------------------------------

    def set_decision_interval_s(self, value: float) -> None:
        if not 0 < value < float("inf"):
            raise ValueError(f"decision_interval_s is {value}: it must be above 0 seconds")
        self._decision_interval_s = float(value)

    def set_confidence_threshold(self, value: float) -> None:
        self._confidence_threshold = check_threshold(float(value))

    def set_sample_rate_hz(self, value: float) -> None:
        if not 0 <= value < float("inf"):
            raise ValueError(f"sample_rate_hz is {value}: give hertz, or 0 when unknown")
        self._sample_rate_hz = float(value) or None

    def set_center_frequency_hz(self, value: float) -> None:
        if not math.isfinite(value):
            raise ValueError(f"center_frequency_hz is {value}: give hertz, or 0 when unknown")
        self._center_frequency_hz = float(value) or None

    @property
    def classes(self) -> tuple[str, ...]:
        return self._recognizer.classes

    def set_model(self, model: str) -> None:
        self._loader.request(model, self._recognizer)

    def try_to_set(self, **values: Any) -> None:
        """Set parameters; each bad one is reported in `status` and keeps its old value."""
        setters: dict[str, Callable[[Any], None]] = {
            "model": self.set_model,
            "gate_dbfs": self._batcher.set_gate_dbfs,
            "decision_interval_s": self.set_decision_interval_s,
            "confidence_threshold": self.set_confidence_threshold,
            "sample_rate_hz": self.set_sample_rate_hz,
            "center_frequency_hz": self.set_center_frequency_hz,
        }
        for name, value in values.items():
            try:
                if name not in setters:
                    raise ValueError(f"there are: {', '.join(setters)}")
                setters[name](value)
            except (ValueError, TypeError, OverflowError) as error:
                self._report_error(f"{name} not changed", error)
                self._status_wanted.set()

    # --- called by the scheduler --------------------------------------------------------------

    def start(self) -> bool:
        self._abandon.clear()
        self._batcher.reopen()  # or the thread would see the end of the previous run
        self._status_at = time.monotonic()
        self._status_samples = self._progress(self._batcher.counters())
        self._thread = threading.Thread(target=self._run, name="tsddae classifier", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        if self._thread is not None:
            self._abandon.set()
            self._thread.join()
            self._thread = None
        self._loader.wait()
        return True

    def _on_drain(self, message: pmt.pmt_base) -> None:
        """Never called: the port exists for the scheduler's sake."""

    def _on_system(self, message: pmt.pmt_base) -> None:
        """The scheduler says that a block which sends us messages is done.

        By default that ends this block and tells its own subscribers, before stop() is called and
        so before the last windows are classified: their decisions would be lost. And it need not
        be the batcher that is done: a block at `control` may be.
        """
        if not self._batcher.stream_ended():
            return
        if self._thread is not None:
            self._thread.join()  # ends by itself once the ring is closed and empty
        # Subscribers look through their ports one by one; "done" must not overtake the last words.
        time.sleep(LAST_WORDS_S)
        self.gateway.system_handler(message)

    def _on_control(self, message: pmt.pmt_base) -> None:
        """Change parameters by message: a dictionary, or a pair (name . value)."""
        try:
            wanted = pmt.to_python(message)
            if isinstance(wanted, tuple) and len(wanted) == 2:
                wanted = {wanted[0]: wanted[1]}
            if not isinstance(wanted, dict):
                raise ValueError(f"a control message must be a dictionary or a pair, not {wanted}")
        except Exception as error:  # a handler that raises would end the block's thread
            self._report_error("control message refused", error)
            self._status_wanted.set()
            return
        self.try_to_set(**{str(name): value for name, value in wanted.items()})

    # --- the worker thread --------------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            with self._reporting_errors():  # with "block", a dead thread would stall the stream
                ended = self._work_once()
        with self._reporting_errors():
            self._last_words()

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._report_error("worker", error)

    def _work_once(self) -> bool:
        """One batch, or one wait for it; True when there will be no more."""
        self._swap_model()
        batch = self._batcher.take(TAKE_TIMEOUT_S)
        if batch is not None:
            self._batch_at = time.monotonic()
            self._handle(batch)
        elif self._batcher.finished():
            return True
        elif self._is_over():
            self._publish_decisions(self._decider.flush())
        if self._abandon.is_set() and self._stopped_by_user():
            self._batcher.discard_pending()
        overdue = time.monotonic() - self._status_at >= STATUS_INTERVAL_S
        if overdue or self._status_wanted.is_set():
            self._status_wanted.clear()
            self._publish_status()
        return False

    def _is_over(self) -> bool:
        """No window will be added to the decision being gathered: say it, a burst has ended.

        Either the stream has passed its interval with the gate closed, or the stream itself
        paused.
        """
        decider = self._decider
        if decider is None or decider.end_sample is None:
            return False
        if self._batcher.counters()["windows_pending"]:
            return False
        paused_s = time.monotonic() - self._batch_at
        return (
            self._batcher.ring.position() >= decider.end_sample + decider.window_samples
            or paused_s > PAUSE_S + self._decision_interval_s
        )

    def _last_words(self) -> None:
        if self._decider is not None:
            self._publish_decisions(self._decider.flush())
        self._publish_status()

    def _stopped_by_user(self) -> bool:
        """A live stream was cut off: its backlog goes. Ended and replayed streams are finished."""
        batcher = self._batcher
        return batcher.closed() and batcher.policy != "block" and not batcher.stream_ended()

    def _handle(self, batch: window_batch) -> None:
        classified = False
        try:
            self._classify(batch)
            self._latencies_s.append(batch.age_s)
            classified = True
        except Exception as error:  # whatever it is, the stream goes on
            self._report_error("batch lost", error)
        finally:
            batch.release(classified)

    def _classify(self, batch: window_batch) -> None:
        info = np.array(batch.info)  # a copy: small, and outlives the batch
        probabilities = self._recognizer.window_probabilities(np.asarray(batch))  # (B, K)
        for rows, origin in self._stretches(info):
            self._publish_results(info["first_sample"][rows], probabilities[rows], origin)
            decider = self._current_decider(origin)
            self._publish_decisions(
                decider.add(probabilities[rows], info["first_sample"][rows], origin)
            )

    def _stretches(self, info: np.ndarray) -> Iterator[tuple[slice, Origin]]:
        """Runs of windows that share time tag, frequency and rate; nearly always just one."""
        told = np.stack(
            [
                info["has_time"].astype(np.float64),
                info["rx_time_sample"].astype(np.float64),
                np.nan_to_num(info["rx_freq_hz"], nan=-1.0),
                np.nan_to_num(info["rx_rate_hz"], nan=-1.0),
            ]
        )  # (4, B)
        edges = np.flatnonzero((told[:, 1:] != told[:, :-1]).any(0)) + 1
        for start, stop in zip([0, *edges], [*edges, len(info)], strict=True):
            first = info[start]
            time_s = None
            if first["has_time"]:
                time_s = float(first["rx_time_full_s"]) + float(first["rx_time_frac_s"])
            yield (
                slice(int(start), int(stop)),
                Origin(
                    time_s=time_s,
                    time_sample=int(first["rx_time_sample"]),
                    center_frequency_hz=_known(first["rx_freq_hz"], self._center_frequency_hz),
                    sample_rate_hz=_known(first["rx_rate_hz"], self._sample_rate_hz),
                ),
            )

    def _current_decider(self, origin: Origin) -> Decider:
        """The running model's decider, with the parameters as they are now."""
        recognizer = self._recognizer
        rate = origin.sample_rate_hz
        interval_samples = (
            max(1, round(max(self._decision_interval_s, MIN_INTERVAL_S) * rate))
            if rate
            else INTERVAL_WITHOUT_RATE_SAMPLES
        )
        decider = self._decider
        if decider is None:
            decider = self._decider = Decider(
                model=recognizer.card.name,
                classes=recognizer.classes,
                window_samples=recognizer.window_samples,
                interval_samples=interval_samples,
            )
        decider.interval_samples = interval_samples
        decider.confidence_threshold = self._confidence_threshold
        return decider

    def _swap_model(self) -> None:
        """Take over what the loader has finished, between two batches."""
        outcome = self._loader.outcome()
        if isinstance(outcome, Recognizer):
            if self._decider is not None:  # what the old model gathered is its own decision
                self._publish_decisions(self._decider.flush())
                self._decider = None
            self._device_failures += self._recognizer.device_failures
            self._recognizer = outcome
            log.info("now running model %s", outcome.card.name)
        elif outcome is not None:
            self._report_error("model not changed", outcome)
            self._publish_status()

    # --- messages -----------------------------------------------------------------------------

    def _publish_decisions(self, decisions: list) -> None:
        for decision in decisions:
            self.message_port_pub(self._ports["decisions"], pmt.to_pmt(decision.as_dict()))

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

    def _publish_status(self) -> None:
        now = time.monotonic()
        elapsed_s = max(now - self._status_at, 1e-9)
        counters = self._batcher.counters()
        seen, done = self._progress(counters)
        status = {
            "model": self._recognizer.card.name,
            "device": str(self._recognizer.device),
            "precision": self._recognizer.precision,
            "overflow": self._batcher.policy,
            "rate_in_samples_per_s": (seen - self._status_samples[0]) / elapsed_s,
            "rate_classified_samples_per_s": (done - self._status_samples[1]) / elapsed_s,
            "device_failures": self._device_failures + self._recognizer.device_failures,
            "errors": self._errors,
            "last_error": self._last_error,
            **counters,
        }
        if self._latencies_s:
            p50, p99 = np.percentile(self._latencies_s, (50, 99))
            status |= {"latency_p50_s": float(p50), "latency_p99_s": float(p99)}
        self._status_at, self._status_samples = now, (seen, done)
        self.message_port_pub(self._ports["status"], pmt.to_pmt(status))

    @staticmethod
    def _progress(counters: dict[str, int]) -> tuple[int, int]:
        return counters["samples_in"], counters["samples_classified"]

    def _report_error(self, what: str, error: BaseException) -> None:
        self._errors += 1
        text = f"{what}: {type(error).__name__}: {error}"
        if text != self._last_error:  # the same failure on every batch is said once
            log.error("%s", text, exc_info=error)
        self._last_error = text


def _known(tagged: float, nominal: float | None) -> float | None:
    return nominal if np.isnan(tagged) else float(tagged)
