# SPDX-License-Identifier: GPL-3.0-or-later
"""A threshold learned from normal windows: one that they pass as rarely as wanted.

It is the quantile of their scores. Two things stand between a quantile and a good threshold. A few
windows that are not normal while it is learned would lift it over all later ones like them: scores
far outside what the tail of the rest explains are left out. And 1e-3 cannot be read off 500
scores: while fewer than ten lie over it, the tail is continued by an exponential, which errs
towards fewer false alarms where the true tail is lighter.
"""

import math

import numpy as np

LEAST_WINDOWS = 100
MOST_WINDOWS = 1 << 20
WINDOWS_WITHOUT_RATE = 1000  # what is learned from while the sample rate is unknown
ENOUGH_OVER = 10  # scores over a quantile that make it one to rely on
TAIL = 0.1  # share of the scores that the exponential is fitted to
FENCE = 2.0  # times as far as the highest of normal scores is expected: not normal
MOST_LEFT_OUT = 0.01  # never more than this share
_EDGE = 1e-7  # probabilities are kept so far from 0 and 1


def threshold_of(
    scores: np.ndarray, false_alarm_rate: float, *, probability: bool = False
) -> float:
    """Compute the threshold that a given share of normal windows passes.

    Args:
        scores: Of normal windows, (N,), finite.
        false_alarm_rate: The share, between 0 and 0.5.
        probability: Scores are within 0..1; their tail is judged on the scale of log odds.

    Raises:
        ValueError: For fewer than 100 scores, or another rate.
    """
    check_rate(false_alarm_rate)
    if len(scores) < LEAST_WINDOWS:
        raise ValueError(
            f"{len(scores)} scores: a threshold takes at least {LEAST_WINDOWS} normal windows"
        )
    line = np.asarray(scores, np.float64)
    if probability:
        line = np.clip(line, _EDGE, 1 - _EDGE)
        line = np.log(line) - np.log1p(-line)
    line = np.sort(line)
    tail = min(0.5, max(TAIL, 10 * false_alarm_rate))
    start = np.quantile(line, 1 - tail)
    # The mean excess over `start` by the median, which outliers do not move.
    excess = np.quantile(line, 1 - tail / 2) - start
    mean_excess = excess / math.log(2)
    highest = start + mean_excess * math.log(tail * len(line))  # as expected of so many
    fence = max(start + FENCE * (highest - start), np.quantile(line, 1 - MOST_LEFT_OUT))
    line = line[line <= fence]
    if false_alarm_rate * len(line) >= ENOUGH_OVER:
        value = float(np.quantile(line, 1 - false_alarm_rate))
    else:
        value = float(start + mean_excess * math.log(tail / false_alarm_rate))
    return 1 / (1 + math.exp(-value)) if probability else value


def check_rate(false_alarm_rate: float) -> float:
    """Check a false alarm rate, and return it.

    Raises:
        ValueError: If it is not between 0 and 0.5.
    """
    if not 0 < false_alarm_rate <= 0.5:
        raise ValueError(
            f"false_alarm_rate is {false_alarm_rate}: give the share of normal windows that may "
            "pass the threshold, over 0 and up to 0.5"
        )
    return float(false_alarm_rate)


def windows_in(duration_s: float, sample_rate_hz: float | None, hop_samples: int) -> int:
    """Count the windows to learn from in so many seconds of signal."""
    if not sample_rate_hz:
        return WINDOWS_WITHOUT_RATE
    wanted = min(duration_s * sample_rate_hz / hop_samples, float(MOST_WINDOWS))
    return max(LEAST_WINDOWS, math.ceil(wanted))


class ThresholdLearner:
    """Gathers the scores of normal windows until there are enough.

    Args:
        false_alarm_rate: See `threshold_of`; may be changed at any time.
        probability: See `threshold_of`.

    Attributes:
        threshold: None while it learns.
        share: Of the windows it wants, 0..1.
    """

    def __init__(self, false_alarm_rate: float, *, probability: bool = False):
        self._rate = check_rate(false_alarm_rate)
        self._probability = probability
        self._scores: list[np.ndarray] = []
        self._count = 0
        self.threshold: float | None = None
        self.share = 0.0

    def add(self, scores: np.ndarray, wanted_windows: int) -> int:
        """Learn from scores (B,) until there are as many as wanted.

        NaN and infinity are passed over.

        Returns:
            How many of the scores were used.
        """
        used = min(len(scores), max(0, wanted_windows - self._count))
        part = scores[:used]
        part = part[np.isfinite(part)]
        self._scores.append(part)
        self._count += len(part)
        self.share = min(1.0, self._count / wanted_windows)
        if self._count >= wanted_windows:
            self._conclude()
        return used

    def set_false_alarm_rate(self, false_alarm_rate: float) -> None:
        """Change the rate, also for scores that are there already."""
        self._rate = check_rate(false_alarm_rate)
        if self.threshold is not None:
            self._conclude()

    def _conclude(self) -> None:
        self._scores = [np.concatenate(self._scores)]
        self.threshold = threshold_of(self._scores[0], self._rate, probability=self._probability)
