# SPDX-License-Identifier: GPL-3.0-or-later
"""The anomaly detector's thread: it sends scores, learns a threshold and publishes events."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gr_tsddae.bindings import window_batcher
from gr_tsddae.blocks.network.result_source import ResultQueue
from gr_tsddae.blocks.network.stream_worker import StreamWorker
from gr_tsddae.inference.anomaly.events import Event, EventGatherer
from gr_tsddae.inference.anomaly.scorer import AnomalyScorer
from gr_tsddae.inference.anomaly.threshold import ThresholdLearner, check_rate, windows_in
from gr_tsddae.inference.anomaly.track import ScoreTrack
from gr_tsddae.inference.decision import Origin

log = logging.getLogger(__name__)

PAUSE_S = 1.0  # without a window for so long, an event is told


class AnomalyWorker(StreamWorker):
    """Sends one score per hop, and publishes an event where scores pass the threshold.

    `receiver` are the rates and frequencies of `WindowWorker`.
    """

    def __init__(
        self,
        batcher: window_batcher,
        scorer: AnomalyScorer,
        queue: ResultQueue,
        *,
        hop_samples: int,
        threshold: float,
        learn_s: float,
        false_alarm_rate: float,
        **receiver: float,
    ):
        ports = ("anomalies", "status")
        super().__init__("anomaly_detector", batcher, scorer, queue, ports=ports, **receiver)
        self._hop_samples = hop_samples
        self._track = ScoreTrack(scorer.window_samples, hop_samples)
        self._gatherer = EventGatherer(scorer.window_samples, hop_samples)
        # Guards the four that follow: setters come from other threads.
        self._threshold_lock = threading.Lock()
        self._learner: ThresholdLearner | None = None  # while the threshold is, or was, learned
        self._false_alarm_rate = check_rate(false_alarm_rate)
        self.set_threshold(threshold)
        self.set_learn_s(learn_s)

    # --- parameters, from any thread ----------------------------------------------------------

    def set_threshold(self, value: float) -> None:
        if not math.isfinite(value):
            raise ValueError(f"threshold is {value}: give a score")
        with self._threshold_lock:
            self._learn_s, self._learner = 0.0, None
            self._threshold = float(value)

    def set_learn_s(self, value: float) -> None:
        if not 0 <= value < math.inf:
            raise ValueError(
                f"learn_s is {value}: give seconds to learn the threshold from, or 0 for a fixed "
                "one"
            )
        with self._threshold_lock:
            self._learn_s = float(value)
            self._learner = self._new_learner(self._network) if value else None

    def learn(self, value: Any) -> None:
        """Learn the threshold again: from so many seconds, or from as many as before (True)."""
        if value is True:
            value = self._learn_s
        if not value > 0:
            raise ValueError("learn takes seconds: there is no earlier learn_s to take them from")
        self.set_learn_s(value)

    def set_false_alarm_rate(self, value: float) -> None:
        value = check_rate(value)
        with self._threshold_lock:
            self._false_alarm_rate = value
            if self._learner is not None:
                self._learner.set_false_alarm_rate(value)

    def _setters(self) -> dict[str, Callable[[Any], None]]:
        return super()._setters() | {
            "threshold": self.set_threshold,
            "learn_s": self.set_learn_s,
            "learn": self.learn,
            "false_alarm_rate": self.set_false_alarm_rate,
        }

    def _state(self) -> dict[str, Any]:
        with self._threshold_lock:
            threshold, learner = self._current_threshold(), self._learner
        return {
            "state": "learning" if threshold is None else "watching",
            "learned": 1.0 if learner is None else learner.share,
            "threshold": threshold,
        }

    # --- the worker thread --------------------------------------------------------------------

    def _begin(self) -> None:
        self._track.restart()

    def _process(self, windows: np.ndarray, info: np.ndarray) -> None:
        scores, firsts = self._network.scores(windows), info["first_sample"]  # (B,), (B,)
        for rows, origin in self._stretches(info):
            self._watch(scores[rows], firsts[rows], origin)
        self._deliver(self._track.add(scores, firsts))

    def _watch(self, scores: np.ndarray, firsts: np.ndarray, origin: Origin) -> None:
        with self._threshold_lock:
            learner = self._learner
            if learner is not None and learner.threshold is None:
                wanted = windows_in(self._learn_s, origin.sample_rate_hz, self._hop_samples)
                used = learner.add(scores, wanted)
                scores, firsts = scores[used:], firsts[used:]
                if learner.threshold is not None:
                    log.info("learned the threshold %.6g", learner.threshold)
                    self._status.wanted.set()
            threshold = self._current_threshold()
        if threshold is None:
            self._tell(self._gatherer.flush())
            return
        self._tell(
            self._gatherer.add(
                scores, firsts, threshold=threshold, origin=origin, model=self._network.card.name
            )
        )

    def _current_threshold(self) -> float | None:
        return self._threshold if self._learner is None else self._learner.threshold

    def _idle(self) -> None:
        seen, pending = self._samples_seen()
        if pending:
            return
        self._deliver(self._track.advance(seen))
        over_at = self._gatherer.over_at
        if over_at is not None and (seen >= over_at or time.monotonic() - self._batch_at > PAUSE_S):
            self._tell(self._gatherer.flush())

    def _finish(self) -> None:
        self._tell(self._gatherer.flush())
        self._deliver(self._track.finish(self._samples_seen()[0]))

    def _model_changed(self, network: AnomalyScorer) -> None:
        """Learn anew: a threshold of one model's scores says nothing about another's."""
        self._tell(self._gatherer.flush())
        with self._threshold_lock:
            if self._learner is not None:
                self._learner = self._new_learner(network)

    def _new_learner(self, network: AnomalyScorer) -> ThresholdLearner:
        return ThresholdLearner(self._false_alarm_rate, probability=network.probability)

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._publish("anomalies", event.as_dict())
