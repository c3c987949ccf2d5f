# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread behind the blocks that run a network: batches in, results of a subclass out.

These blocks share the thread's start and end, batches from the `window_batcher`, the change of the
model while running, parameters by message, errors and status.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pmt

from gr_tsddae.bindings import window_batch, window_batcher
from gr_tsddae.blocks.listening.content import as_number, as_switch, control_of
from gr_tsddae.blocks.listening.message_block import MessageBlock
from gr_tsddae.blocks.network.model_loader import ModelLoader, Network
from gr_tsddae.blocks.network.status import WorkerStatus
from gr_tsddae.blocks.receiver.window_tags import changes
from gr_tsddae.inference.decision import Origin
from gr_tsddae.iq.receiver_time import unix_time_s

log = logging.getLogger(__name__)

# Parameters of the blocks of this package; a block from outside checks its own.
_SWITCHES = frozenset({"paused", "estimate_snr"})  # on or off
_NUMBERS = frozenset({
    "gate_dbfs", "sample_rate_hz", "center_frequency_hz", "symbol_rate_hz", "bandwidth_hz",
    "decision_interval_s", "confidence_threshold", "max_latency_ms", "threshold", "learn_s",
    "learn", "false_alarm_rate", "snr_db", "minimum_snr_db",
})  # fmt: skip

TAKE_TIMEOUT_S = 0.2  # how soon the worker notices that it is to stop, when nothing comes


class WindowWorker(MessageBlock):
    """Message-only block that owns the worker thread.

    The scheduler starts and stops it together with the `window_batcher` beside it. Errors in the
    thread are logged, counted and published; none of them stops the flowgraph. A subclass works on
    a batch in `_process`, and acts in `_idle` when none comes, in `_finish` at the end and in
    `_model_changed` when the model changes, all on the thread.
    """

    def __init__(
        self,
        name: str,
        batcher: window_batcher,
        network: Network,
        *,
        sample_rate_hz: float = 0.0,
        center_frequency_hz: float = 0.0,
        symbol_rate_hz: float = 0.0,
        bandwidth_hz: float = 0.0,
        ports: tuple[str, ...] = ("status",),
    ):
        super().__init__(f"{name}_worker", thread_name=f"tsddae {name}")
        self._batcher = batcher
        self._network = network
        self._loader = ModelLoader()
        self._status = WorkerStatus(batcher)
        # Setters run on the GUI's thread: they replace whole values, the worker reads them once.
        self.set_sample_rate_hz(sample_rate_hz)
        self.set_center_frequency_hz(center_frequency_hz)
        self.set_symbol_rate_hz(symbol_rate_hz)
        self.set_bandwidth_hz(bandwidth_hz)

        self._abandon = threading.Event()  # stop() was called: a live backlog is not waited for
        self._told_rate_hz: float | None = None  # by the stream's tags
        self._batch_at = 0.0
        self._samples_before = 0  # this run of the flowgraph

        self.message_port_register_in(pmt.intern("drain"))
        self.message_port_register_in(pmt.intern("control"))
        self.set_msg_handler(pmt.intern("drain"), self._on_drain)
        self.set_msg_handler(pmt.intern("control"), self._on_control)
        self._ports = {port: pmt.intern(port) for port in ports}
        for port in self._ports.values():
            self.message_port_register_out(port)

    # --- what a subclass adds, on the worker thread -------------------------------------------

    def _begin(self) -> None:
        """Begin a run of the flowgraph; called before the thread is started."""

    def _process(self, windows: np.ndarray, info: np.ndarray) -> None:
        """Work on a batch. When this raises, the batch counts as dropped.

        Args:
            windows: complex64 (B, L), valid only until this returns.
            info: Tags and first sample of each window, (B,).
        """
        raise NotImplementedError

    def _idle(self) -> None:
        """Act when no batch came for a while."""

    def _finish(self) -> None:
        """Act on the end: there will be no more batches."""

    def _check_model(self, network: Network) -> None:
        """Raise ValueError when a loaded model cannot take the running one's place."""

    def _model_changed(self, network: Network) -> None:
        """Act when another model is about to take over."""

    def _gives_up(self) -> bool:
        """Tell whether the backlog goes, because the user cut off a live stream.

        The backlog of ended and replayed streams is finished.
        """
        batcher = self._batcher
        return (
            self._abandon.is_set()
            and batcher.closed()
            and batcher.policy != "block"
            and not batcher.stream_ended()
        )

    def _setters(self) -> dict[str, Callable[[Any], None]]:
        """Return the setters of parameters that may change while running, by name."""
        return {
            "model": self.set_model,
            "gate_dbfs": self._batcher.set_gate_dbfs,
            "sample_rate_hz": self.set_sample_rate_hz,
            "center_frequency_hz": self.set_center_frequency_hz,
        }

    def _state(self) -> dict[str, Any]:
        """Return the entries of `status` that the subclass adds."""
        return {}

    def _heard(self) -> str:
        """Tell what was found to be wrong with the stream by listening to it."""
        return ""

    # --- parameters, from any thread ----------------------------------------------------------

    def set_sample_rate_hz(self, value: float) -> None:
        self._sample_rate_hz = _rate("sample_rate_hz", value)

    def set_symbol_rate_hz(self, value: float) -> None:
        self._symbol_rate_hz = _rate("symbol_rate_hz", value)

    def set_bandwidth_hz(self, value: float) -> None:
        self._bandwidth_hz = _rate("bandwidth_hz", value)

    def set_center_frequency_hz(self, value: float) -> None:
        if not math.isfinite(value):
            raise ValueError(f"center_frequency_hz is {value}: give hertz, or 0 when unknown")
        self._center_frequency_hz = float(value) or None

    @property
    def errors(self) -> int:
        """Number of errors since the block was made."""
        return self._status.errors

    def set_model(self, model: str) -> None:
        self._loader.request(model, self._network)

    def try_to_set(self, /, **values: Any) -> None:
        """Set parameters; report each bad one in `status` and keep its old value."""
        setters = self._setters()
        for name, value in values.items():
            try:
                if name not in setters:
                    raise ValueError(f"there are: {', '.join(setters)}")
                setters[name](_fitting(name, value))
            except (ValueError, TypeError, OverflowError) as error:
                self._status.add_error(f"{name} not changed", error)
                self._status.wanted.set()

    # --- called by the scheduler --------------------------------------------------------------

    def start(self) -> bool:
        self._abandon.clear()
        self._batcher.reopen()  # or the thread would see the end of the previous run
        self._samples_before = self._batcher.counters()["samples_in"]
        self._told_rate_hz = None
        self._status.restart()
        self._begin()
        return super().start()

    def stop(self) -> bool:
        self._abandon.set()
        super().stop()  # the thread ends once the ring is closed and empty
        self._loader.wait()
        return True

    def _on_drain(self, message: pmt.pmt_base) -> None:
        """Never called: the port exists for the scheduler's sake."""

    def _all_said(self) -> bool:
        """Tell whether the batcher is done; a neighbour at `control` may end early."""
        return self._batcher.stream_ended() or self._nobody_listens()

    def _nobody_listens(self) -> bool:
        """Tell whether nobody takes results any more, though the stream goes on."""
        return False

    def _on_control(self, message: pmt.pmt_base) -> None:
        """Change parameters by message: a dictionary, or a pair (name . value)."""
        try:
            self.try_to_set(**control_of(message))
        except Exception as error:  # a handler that raises would end the block's thread
            self._status.add_error("control message refused", error)
            self._status.wanted.set()

    # --- the worker thread --------------------------------------------------------------------

    def _run(self) -> None:
        ended = False
        while not ended:
            with self._reporting_errors():  # with "block", a dead thread would stall the stream
                ended = self._work_once()
        with self._reporting_errors():
            self._finish()
        with self._reporting_errors():
            self._publish_status()

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._status.add_error("worker", error)

    def _work_once(self) -> bool:
        """Work on one batch, or wait for one; return True when there will be no more."""
        self._swap_model()
        batch = self._batcher.take(TAKE_TIMEOUT_S)
        if batch is not None:
            self._batch_at = time.monotonic()
            self._handle(batch)
        elif self._batcher.finished():
            return True
        else:
            self._idle()
        if self._gives_up():
            self._batcher.discard_pending()
        if self._status.due():
            self._publish_status()
        return False

    def _handle(self, batch: window_batch) -> None:
        processed = False
        try:
            info = np.array(batch.info)  # a copy: small, and outlives the batch
            self._told_rate_hz = _known(info["rx_rate_hz"][-1], None)
            self._process(np.asarray(batch), info)
            self._status.add_latency(batch.age_s)
            processed = True
        except Exception as error:  # whatever it is, the stream goes on
            self._status.add_error("batch lost", error)
        finally:
            batch.release(processed)

    def _stretches(self, info: np.ndarray) -> Iterator[tuple[slice, Origin]]:
        """Yield the windows that share time tag, frequency and rate; nearly always all of them."""
        edges = changes(info)
        for start, stop in zip([0, *edges], [*edges, len(info)], strict=True):
            first = info[start]
            time = unix_time_s(first["rx_time_full_s"], first["rx_time_frac_s"])
            yield (
                slice(int(start), int(stop)),
                Origin(
                    time_s=time if first["has_time"] else None,
                    time_sample=int(first["rx_time_sample"]),
                    center_frequency_hz=_known(first["rx_freq_hz"], self._center_frequency_hz),
                    sample_rate_hz=_known(first["rx_rate_hz"], self._sample_rate_hz),
                ),
            )

    def _samples_seen(self) -> tuple[int, bool]:
        """Count the samples of this run, and tell whether windows of them are still to come.

        Both are of one moment: when none is to come, all windows within these samples have come.
        """
        counters = self._batcher.counters()
        return counters["samples_in"] - self._samples_before, counters["windows_pending"] > 0

    def _swap_model(self) -> None:
        """Take over what the loader has finished, between two batches."""
        outcome = self._loader.outcome()
        if outcome is None:
            return
        if not isinstance(outcome, Exception):
            try:
                self._check_model(outcome)
            except ValueError as error:
                outcome = error
        if isinstance(outcome, Exception):
            self._status.add_error("model not changed", outcome)
            self._publish_status()
            return
        self._model_changed(outcome)
        self._status.model_left(self._network)
        self._network = outcome
        log.info("now running model %s", outcome.card.name)

    # --- messages -----------------------------------------------------------------------------

    def _publish(self, port: str, message: dict[str, Any]) -> None:
        self.message_port_pub(self._ports[port], pmt.to_pmt(message))

    def _publish_status(self) -> None:
        message = self._status.message(
            self._network,
            sample_rate_hz=self._told_rate_hz or self._sample_rate_hz,
            symbol_rate_hz=self._symbol_rate_hz,
            bandwidth_hz=self._bandwidth_hz,
            heard=self._heard(),
            more=self._state(),
        )
        self._publish("status", message)


def _known(tagged: float, nominal: float | None) -> float | None:
    return nominal if np.isnan(tagged) else float(tagged)


def _rate(name: str, value: float) -> float | None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} is {value}: give hertz, or 0 when unknown")
    return float(value) or None


def _fitting(name: str, value: Any) -> Any:
    """Return the value of a parameter as its setter takes it.

    Raises:
        ValueError: If it is no number, or no switch, where one is wanted.
    """
    if name in _SWITCHES:
        return as_switch(value)
    if name not in _NUMBERS or (name == "learn" and value is True):
        return value
    return as_number(value)
