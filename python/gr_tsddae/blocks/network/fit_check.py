# SPDX-License-Identifier: GPL-3.0-or-later
"""Every few seconds, a look at whether the stream is what the running model wants.

A snapshot is taken from the batches that pass, and surveyed on a thread of its own.
"""

import logging
import threading
import time

import numpy as np

from gr_tsddae.survey.fit import ENOUGH_SAMPLES, misfit
from gr_tsddae.zoo import Card

log = logging.getLogger(__name__)

EVERY_S = 5.0
OFTEN_ENOUGH = 2  # snapshots in a row: a passing misfit is no reason to warn


class FitCheck:
    """Takes snapshots of a stream, and keeps the warning that they give.

    Attributes:
        warning: In one sentence; empty while the stream fits, as far as is known.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew, with another stream or another model."""
        self.warning = ""
        self._misfits = 0
        self._pieces: list[np.ndarray] = []
        self._next_sample = -1
        self._due_at = time.monotonic() + EVERY_S
        self._thread: threading.Thread | None = None

    def offer(
        self,
        windows: np.ndarray,
        first_samples: np.ndarray,
        sample_rate_hz: float | None,
        card: Card,
    ) -> None:
        """Take from a batch what a snapshot needs, when one is due.

        Args:
            windows: complex64 (B, L).
            first_samples: Of each window in the stream, int64 (B,). Where windows leave samples out
                between them, there is no check.
            sample_rate_hz: None when unknown.
            card: Of the running model.
        """
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() < self._due_at or len(windows) < 2:
            return
        hop_samples = int(first_samples[1] - first_samples[0])
        together = hop_samples <= windows.shape[1] and (np.diff(first_samples) == hop_samples).all()
        if not together or first_samples[0] != self._next_sample:
            self._pieces = []  # a snapshot has no gaps
        if not together:
            return
        self._pieces.append(windows[:, :hop_samples].ravel().copy())
        self._next_sample = int(first_samples[-1]) + hop_samples
        if sum(map(len, self._pieces)) < ENOUGH_SAMPLES:
            return
        iq = np.concatenate(self._pieces)[:ENOUGH_SAMPLES]
        self._pieces, self._due_at = [], time.monotonic() + EVERY_S
        self._thread = threading.Thread(
            target=self._look, args=(iq, sample_rate_hz, card), name="tsddae fit", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is looked at."""
        if self._thread is not None:
            self._thread.join()

    def _look(self, iq: np.ndarray, sample_rate_hz: float | None, card: Card) -> None:
        mine = threading.current_thread()
        try:
            found = misfit(iq, sample_rate_hz, card)
        except Exception as error:  # a warning that cannot be had must not end the stream
            log.warning("the stream was not compared with the model: %s", error)
            return
        if self._thread is mine:  # else it is about a stream, or a model, of before
            self._misfits = self._misfits + 1 if found else 0
            self.warning = found if self._misfits >= OFTEN_ENOUGH else ""
