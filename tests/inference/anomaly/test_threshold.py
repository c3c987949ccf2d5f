# SPDX-License-Identifier: GPL-3.0-or-later
"""A learned threshold, measured by how many later windows pass it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gr_tsddae.inference.anomaly.threshold import (
    LEAST_WINDOWS,
    WINDOWS_WITHOUT_RATE,
    ThresholdLearner,
    threshold_of,
    windows_in,
)


def normal(count, seed):
    return 0.3 + 0.05 * np.random.default_rng(seed).standard_normal(count)


def heavy(count, seed):
    return np.random.default_rng(seed).lognormal(0.0, 0.5, count)


def probabilities(count, seed):
    return 1 / (1 + np.exp(8 - 2 * np.random.default_rng(seed).standard_normal(count)))


LATER = 300_000


@pytest.mark.parametrize(
    ("draw", "probability"), [(normal, False), (heavy, False), (probabilities, True)]
)
@pytest.mark.parametrize("rate", [0.05, 1e-3])
def test_later_windows_pass_as_rarely_as_wanted(draw, probability, rate):
    learned = threshold_of(draw(30_000, 1), rate, probability=probability)
    assert 0.5 * rate < (draw(LATER, 2) > learned).mean() < 1.5 * rate


@pytest.mark.parametrize(("draw", "probability"), [(normal, False), (probabilities, True)])
def test_from_few_windows_fewer_pass_rather_than_more(draw, probability):
    shares = [
        (draw(LATER, 99) > threshold_of(draw(500, seed), 1e-3, probability=probability)).mean()
        for seed in range(20)
    ]
    assert np.median(shares) < 1e-3
    assert max(shares) < 3e-3
    learned = threshold_of(draw(500, 1), 1e-3, probability=probability)
    assert learned < (1.0 if probability else 0.3 + 0.05 * 7)  # and not out of all reach


@pytest.mark.parametrize("count", [500, 30_000])
def test_a_burst_of_anomalies_while_learning_does_not_hide_later_ones(count):
    scores = normal(count, 4)
    clean = threshold_of(scores, 1e-3)
    scores[100 : 100 + count // 200] = 2.0  # 0.5 % of the windows, five times the rate
    learned = threshold_of(scores, 1e-3)
    assert 0.95 * clean < learned < 0.3 + 0.05 * 5
    assert (normal(LATER, 5) > learned).mean() < 1.5e-3


def test_scores_that_are_all_alike_and_saturated_ones():
    assert threshold_of(np.full(1000, 0.25), 1e-3) == 0.25
    certain = np.zeros(20_000)
    certain[:1000] = probabilities(1000, 1)
    learned = threshold_of(certain, 0.02, probability=True)
    assert 0.01 < (certain > learned).mean() < 0.04


def test_how_many_windows_are_learned_from():
    assert windows_in(5.0, 1e6, 128) == math.ceil(5e6 / 128)
    assert windows_in(0.001, 1e6, 128) == LEAST_WINDOWS
    assert windows_in(1e9, 1e6, 128) == 1 << 20
    assert windows_in(5.0, None, 128) == WINDOWS_WITHOUT_RATE


def test_a_learner_takes_what_it_needs_and_says_how_far_it_is():
    scores = normal(1000, 7).astype(np.float32)
    scores[5] = np.nan
    learner = ThresholdLearner(0.02)
    assert learner.add(scores[:400], 800) == 400
    assert learner.threshold is None and learner.share == pytest.approx(399 / 800)
    assert learner.add(scores[400:], 800) == 401
    used = np.delete(scores[:801], 5)
    assert learner.threshold == threshold_of(used, 0.02) and learner.share == 1
    assert learner.add(scores, 800) == 0
    learner.set_false_alarm_rate(0.1)
    assert learner.threshold == threshold_of(used, 0.1)


@pytest.mark.parametrize("rate", [0, -1, 0.6, float("nan")])
def test_a_rate_that_is_none(rate):
    with pytest.raises(ValueError, match="false_alarm_rate is"):
        ThresholdLearner(rate)
    with pytest.raises(ValueError, match="at least 100"):
        threshold_of(np.zeros(99), 0.01)
