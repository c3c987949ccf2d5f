# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a worker, once a second: rates, latency, counters, errors, a warning."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from gr_tsddae.blocks.network.model_loader import Network
from gr_tsddae.zoo.input_rate import disagreement

if TYPE_CHECKING:
    from gr_tsddae.bindings import window_batcher

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
LATENCIES_KEPT = 512  # batches that the latency percentiles are taken over


class WorkerStatus:
    """Keeps the contents of `status` messages.

    Attributes:
        wanted: Set by whoever wants a message now.
    """

    def __init__(self, batcher: window_batcher):
        self._batcher = batcher
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self.errors = 0
        self._last_error = ""
        self._warning = ""
        self._device_failures = 0  # of models that were swapped out
        self.wanted = threading.Event()
        self.restart()

    def restart(self) -> None:
        """Begin a run of the flowgraph: take rates from now on."""
        self._told_at = time.monotonic()
        self._samples_told = _progress(self._batcher.counters())

    def due(self) -> bool:
        """Tell whether a message should be sent now."""
        return self.wanted.is_set() or time.monotonic() - self._told_at >= INTERVAL_S

    def add_latency(self, latency_s: float) -> None:
        """Note the time from the completion of a batch's oldest window to its result."""
        self._latencies_s.append(latency_s)

    def add_error(self, what: str, error: BaseException) -> None:
        """Count and log what went wrong."""
        self.errors += 1
        text = f"{what}: {type(error).__name__}: {error}"
        if text != self._last_error:  # the same failure on every batch is said once
            log.error("%s", text, exc_info=error)
        self._last_error = text

    def model_left(self, network: Network) -> None:
        """Keep the counts of a model that another one takes over from."""
        self._device_failures += network.device_failures

    def message(
        self,
        network: Network,
        *,
        sample_rate_hz: float | None,
        symbol_rate_hz: float | None,
        bandwidth_hz: float | None = None,
        heard: str = "",
        more: dict[str, Any],
    ) -> dict[str, Any]:
        """Make the status as it is now; the next one is about the time from here on.

        Args:
            network: The running one.
            sample_rate_hz, symbol_rate_hz, bandwidth_hz: Of the stream, None when unknown.
            heard: What was found to be wrong with the stream by listening to it.
            more: Entries of the block itself.
        """
        self.wanted.clear()
        now = time.monotonic()
        elapsed_s = max(now - self._told_at, 1e-9)
        counters = self._batcher.counters()
        seen, done = _progress(counters)
        warning = disagreement(network.card, sample_rate_hz, symbol_rate_hz, bandwidth_hz) or heard
        if warning and warning != self._warning:
            log.warning("%s", warning)
        self._warning = warning
        status = {
            "model": network.card.name,
            "device": str(network.device),
            "precision": network.precision,
            "overflow": self._batcher.policy,
            "rate_in_samples_per_s": (seen - self._samples_told[0]) / elapsed_s,
            "rate_classified_samples_per_s": (done - self._samples_told[1]) / elapsed_s,
            "device_failures": self._device_failures + network.device_failures,
            "errors": self.errors,
            "last_error": self._last_error,
            "warning": warning,
            **more,
            **counters,
        }
        if self._latencies_s:
            p50, p99 = np.percentile(self._latencies_s, (50, 99))
            status |= {"latency_p50_s": float(p50), "latency_p99_s": float(p99)}
        self._told_at, self._samples_told = now, (seen, done)
        return status


def _progress(counters: dict[str, int]) -> tuple[int, int]:
    return counters["samples_in"], counters["samples_classified"]
