# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows over the threshold become events, for people and for other blocks."""

from dataclasses import asdict, dataclass

import numpy as np

from gr_tsddae.inference.decision import Origin

LONGEST_S = 1.0  # of the stream: a longer event is told in parts
LONGEST_WITHOUT_RATE_SAMPLES = 65536
MERGED_S = 0.01  # windows so close are one event: at most a hundred messages per second


@dataclass(frozen=True, kw_only=True)
class Event:
    """A stretch of the stream that was not normal.

    Attributes:
        model: Name of the model that said it.
        score: The highest in it.
        threshold: What it passed.
        windows: How many passed it.
        first_sample: Absolute number of the first sample of the first of them.
        sample_count: From there to the end of the last.
        time_s: Unix time of `first_sample`, None when nothing told it.
        center_frequency_hz, sample_rate_hz: None when unknown.
    """

    model: str
    score: float
    threshold: float
    windows: int
    first_sample: int
    sample_count: int
    time_s: float | None = None
    center_frequency_hz: float | None = None
    sample_rate_hz: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON and for messages."""
        return asdict(self)


class EventGatherer:
    """Merges windows over the threshold that lie no more than a hop, or 10 ms, apart.

    An event that goes on is told once per second of the stream, in parts. It also ends where the
    receiver's origin (time tag, frequency, rate) changes.
    """

    def __init__(self, window_samples: int, hop_samples: int):
        self.window_samples = window_samples
        self.hop_samples = hop_samples
        self._windows = 0

    def add(
        self,
        scores: np.ndarray,
        first_samples: np.ndarray,
        *,
        threshold: float,
        origin: Origin,
        model: str,
    ) -> list[Event]:
        """Take windows in stream order.

        Args:
            scores: (B,).
            first_samples: Absolute number of each window's first sample, (B,), rising.
            threshold: A score above it is an anomaly.
            origin: Of all of them.
            model: Name for the events.

        Returns:
            The events, and parts of one, that this completes, oldest first.
        """
        events = self.flush() if self._windows and origin != self._origin else []
        rate = origin.sample_rate_hz
        self._near = near = max(self.hop_samples, round(MERGED_S * (rate or 0)))
        longest = round(LONGEST_S * rate) if rate else LONGEST_WITHOUT_RATE_SAMPLES
        firsts = np.asarray(first_samples, np.int64)
        for at in np.flatnonzero(np.asarray(scores) > threshold):
            first, score = int(firsts[at]), float(scores[at])
            if self._windows and (first - self._last > near or first - self._first >= longest):
                events += self.flush()
            if not self._windows:
                self._first, self._score = first, score
                self._origin, self._threshold, self._model = origin, threshold, model
            self._score = max(self._score, score)
            self._last = first
            self._windows += 1
        if self._windows and len(firsts) and firsts[-1] - self._last > near:
            events += self.flush()
        return events

    @property
    def over_at(self) -> int | None:
        """The sample at which the event is over, if no window up to it passes; None without one."""
        return self._last + self._near + self.window_samples if self._windows else None

    def flush(self) -> list[Event]:
        """End the event that is going on; return it, if there is one."""
        if not self._windows:
            return []
        event = Event(
            model=self._model,
            score=self._score,
            threshold=float(self._threshold),
            windows=self._windows,
            **self._origin.stretch(self._first, self._last + self.window_samples),
        )
        self._windows = 0
        return [event]
