# SPDX-License-Identifier: GPL-3.0-or-later
"""From window probabilities to decisions, for people and for other blocks."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import softmax

from gr_tsddae.inference.pauses import Levels, mean_power
from gr_tsddae.labels import NOISE, UNKNOWN

LEAST_PROBABILITY = 1e-4  # of a window: none alone excludes a class


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One statement about one stretch of the stream.

    Attributes:
        model: Name of the model that said it.
        label: The class; "unknown" when `confidence` is under its threshold, or `score` above that
            of the model.
        best: The most probable class, whatever its confidence.
        confidence: Mean probability of `best` over the windows, 0..1.
        probabilities: Class -> mean probability.
        windows: How many windows it rests on.
        first_sample: Absolute number of the first sample of the first window.
        sample_count: From there to the end of the last window.
        time_s: Unix time of `first_sample`, None when nothing told it.
        center_frequency_hz: None when unknown.
        sample_rate_hz: None when unknown.
        score: Mean over the windows, higher where the model knows the signal less; None where its
            card does not say how it tells unknown signals.
    """

    model: str
    label: str
    best: str
    confidence: float
    probabilities: dict[str, float]
    windows: int
    first_sample: int
    sample_count: int
    time_s: float | None = None
    center_frequency_hz: float | None = None
    sample_rate_hz: float | None = None
    score: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON and for messages."""
        return asdict(self)


def pooled(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pool what windows of one emission say, by the geometric mean of their probabilities.

    Windows of one signal that disagree a little still name it together.

    Args:
        probabilities: Per window, (n, K).
        weights: Of the windows, of sum 1, (n,) or (m, n) for m emissions.

    Returns:
        float64 (K,) or (m, K); rows sum to 1.
    """
    return softmax(weights @ np.log(np.maximum(probabilities, LEAST_PROBABILITY)), axis=-1)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The receiver setting that a window's samples come from, without a gap.

    Attributes:
        time_s: Unix time of sample `time_sample`, or None.
        time_sample: Absolute sample number that `time_s` belongs to.
        center_frequency_hz, sample_rate_hz: None when unknown.
    """

    time_s: float | None = None
    time_sample: int = 0
    center_frequency_hz: float | None = None
    sample_rate_hz: float | None = None

    def time_of(self, sample: int) -> float | None:
        """Compute the Unix time of an absolute sample number; None when time or rate is unknown."""
        if self.time_s is None:
            return None
        if sample == self.time_sample:
            return self.time_s
        if not self.sample_rate_hz:
            return None
        return self.time_s + (sample - self.time_sample) / self.sample_rate_hz

    def stretch(self, first_sample: int, end_sample: int) -> dict[str, float | None]:
        """Describe a stretch of samples, as a `Decision` or an `Event` does."""
        return {
            "first_sample": first_sample,
            "sample_count": end_sample - first_sample,
            "time_s": self.time_of(first_sample),
            "center_frequency_hz": self.center_frequency_hz,
            "sample_rate_hz": self.sample_rate_hz,
        }


class Decider:
    """Gathers windows over an interval and decides on one class for all of them.

    An interval ends with the first window that reaches `interval_samples`, however windows come
    in batches. It also ends where the receiver's origin (time tag, frequency, rate) changes, since
    windows behind that are of another signal. Probabilities are averaged, not multiplied: windows
    of one signal share its channel, so they are not independent evidence, and products soon claim
    99.9 % for anything.

    Args:
        model: Name for the decisions.
        classes: K labels.
        window_samples: L.
        interval_samples: Span of one decision; windows are gathered until they cover it.
        confidence_threshold: Under it the label is "unknown".
        rejection_threshold: Of mean scores, above which the label is "unknown"; None for a model
            that does not tell unknown signals.
        pauses_db: How much weaker than its signal a pause is, at least; it is noise. None: levels
            tell nothing.
    """

    def __init__(
        self,
        *,
        model: str,
        classes: tuple[str, ...],
        window_samples: int,
        interval_samples: int,
        confidence_threshold: float = 0.0,
        rejection_threshold: float | None = None,
        pauses_db: float | None = None,
    ):
        if interval_samples < 1:
            raise ValueError(
                f"interval_samples is {interval_samples}: a decision needs at least 1 sample"
            )
        check_threshold(confidence_threshold)
        self.model = model
        self.classes = classes
        self.window_samples = window_samples
        self.interval_samples = interval_samples
        self.confidence_threshold = confidence_threshold
        self.rejection_threshold = rejection_threshold
        self._pauses_db = pauses_db if NOISE in classes else None
        self._levels: Levels | None = None
        self._tuned: tuple[float | None, float | None] | None = None  # what the levels are of
        self._forget()

    def _forget(self) -> None:
        self._sum = np.zeros(len(self.classes))
        self._score_sum = 0.0
        self._windows = 0
        self._first_sample = 0
        self._end_sample = 0
        self._origin = Origin()

    def add(
        self,
        probabilities: np.ndarray,
        first_samples: np.ndarray,
        origin: Origin,
        scores: np.ndarray | None = None,
        windows: np.ndarray | None = None,
    ) -> list[Decision]:
        """Take windows in stream order.

        Args:
            probabilities: (B, K).
            first_samples: Absolute number of each window's first sample, (B,), rising.
            origin: Of all of them.
            scores: (B,), where the model tells unknown signals.
            windows: As received, complex (B, L); by their levels pauses are told.

        Returns:
            The decisions this completes, oldest first.
        """
        if windows is not None and self._pauses_db is not None and len(windows):
            tuned = origin.center_frequency_hz, origin.sample_rate_hz
            if tuned != self._tuned:
                self._levels, self._tuned = Levels(self._pauses_db), tuned
            probabilities = self._levels.weighed(
                mean_power(windows), probabilities, self.classes.index(NOISE)
            )
        decisions = []
        if self._windows and origin != self._origin:
            decisions += self.flush()
        starts = np.asarray(first_samples, np.int64)
        at = 0
        while at < len(starts):
            if not self._windows:
                self._first_sample, self._origin = int(starts[at]), origin
            interval_end = self._first_sample + self.interval_samples
            # The first window to reach the interval's end completes it: nothing is gained by
            # waiting. It belongs to it, unless it starts behind it.
            end = at + int(np.searchsorted(starts[at:], interval_end - self.window_samples))
            complete = end < len(starts)
            if complete and starts[end] < interval_end:
                end += 1
            if end > at:
                self._sum += probabilities[at:end].sum(0, dtype=np.float64)
                if scores is not None:
                    self._score_sum += float(scores[at:end].sum(dtype=np.float64))
                self._windows += end - at
                self._end_sample = int(starts[end - 1]) + self.window_samples
            if complete:
                decisions += self.flush()
            at = end
        return decisions

    @property
    def end_sample(self) -> int | None:
        """Where the interval being gathered ends; None when nothing is gathered."""
        return self._first_sample + self.interval_samples if self._windows else None

    def flush(self) -> list[Decision]:
        """Decide on the windows gathered; return no decision when there is none."""
        if not self._windows:
            return []
        mean = self._sum / self._windows
        best = int(mean.argmax())
        confidence = float(mean[best])
        score = None if self.rejection_threshold is None else self._score_sum / self._windows
        known = score is None or score <= self.rejection_threshold
        sure = confidence >= self.confidence_threshold
        decision = Decision(
            model=self.model,
            label=self.classes[best] if known and sure else UNKNOWN,
            best=self.classes[best],
            confidence=confidence,
            probabilities={c: float(p) for c, p in zip(self.classes, mean, strict=True)},
            windows=self._windows,
            **self._origin.stretch(self._first_sample, self._end_sample),
            score=score,
        )
        self._forget()
        return [decision]


def check_threshold(value: float) -> float:
    """Check a confidence threshold, and return it.

    Raises:
        ValueError: If it is not within 0..1.
    """
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"confidence_threshold is {value}: it must be from 0 to 1")
    return value
