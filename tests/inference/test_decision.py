# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions over intervals, against a naive reading of the rules, one window at a time."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_tsddae.inference.decision import Decider, Decision, Origin, check_threshold, pooled
from gr_tsddae.labels import UNKNOWN

CLASSES = ("a", "b", "c")


def decider(**changes):
    fine = {"model": "m", "classes": CLASSES, "window_samples": 10, "interval_samples": 30}
    return Decider(**fine | changes)


def certain(index, count=1):
    """(count, 3) probabilities that are sure of one class."""
    return np.eye(3, dtype=np.float32)[[index] * count]


def naive(windows, window_samples, interval_samples):
    """Groups of windows, each one decision; `windows` are (start, origin number)."""
    groups, open_group = [], []
    for window in windows:
        start, origin = window
        if open_group and (
            origin != open_group[0][1] or start >= open_group[0][0] + interval_samples
        ):
            groups.append(open_group)
            open_group = []
        open_group.append(window)
        if start + window_samples >= open_group[0][0] + interval_samples:
            groups.append(open_group)
            open_group = []
    return [*groups, open_group] if open_group else groups


@st.composite
def streams(draw):
    """Windows in stream order with gaps and retunes, and where batches end."""
    gaps = draw(st.lists(st.integers(1, 60), min_size=1, max_size=40))
    starts = np.cumsum(gaps) + draw(st.integers(0, 2**40))
    retunes = draw(st.sets(st.integers(1, len(gaps)), max_size=4))
    origins = np.cumsum([i in retunes for i in range(len(gaps))])
    cuts = draw(st.sets(st.integers(1, len(gaps)), max_size=12)) | retunes | {len(gaps)}
    return [int(s) for s in starts], [int(o) for o in origins], sorted(cuts)


@settings(max_examples=300, deadline=None)
@given(streams(), st.integers(1, 40), st.integers(1, 120), st.randoms())
def test_any_batching_gives_the_same_decisions(stream, window, interval, random):
    starts, origins, cuts = stream
    probabilities = np.array([[random.random() + 0.1 for _ in CLASSES] for _ in starts], np.float32)
    probabilities /= probabilities.sum(1, keepdims=True)
    tuning = [
        Origin(time_s=1e3 * o, time_sample=5, center_frequency_hz=1e6 * o, sample_rate_hz=8.0)
        for o in range(6)
    ]
    gathering = decider(window_samples=window, interval_samples=interval)
    found, at = [], 0
    for cut in cuts:
        if cut > at:
            origin = tuning[origins[at]]
            found += gathering.add(probabilities[at:cut], np.array(starts[at:cut]), origin)
            at = cut
    found += gathering.flush()
    assert gathering.flush() == []

    groups = naive(list(zip(starts, origins, strict=True)), window, interval)
    assert [(d.first_sample, d.windows) for d in found] == [(g[0][0], len(g)) for g in groups]
    done = 0
    for decision, group in zip(found, groups, strict=True):
        mean = probabilities[done : done + len(group)].astype(float).mean(0)
        done += len(group)
        origin = tuning[group[0][1]]
        assert list(decision.probabilities) == list(CLASSES)
        assert list(decision.probabilities.values()) == pytest.approx(mean.tolist(), abs=1e-6)
        assert decision.label == decision.best
        assert mean[CLASSES.index(decision.best)] == pytest.approx(mean.max(), abs=1e-6)
        assert decision.confidence == pytest.approx(mean.max(), abs=1e-6)
        assert decision.sample_count == group[-1][0] + window - group[0][0]
        assert decision.center_frequency_hz == origin.center_frequency_hz
        assert decision.sample_rate_hz == 8.0
        assert decision.time_s == origin.time_s + (group[0][0] - 5) / 8.0


def test_a_decision_comes_with_the_window_that_completes_it():
    gathering = decider()
    assert gathering.add(certain(0, 2), np.array([0, 10]), Origin()) == []
    (decision,) = gathering.add(certain(0), np.array([20]), Origin())
    assert (decision.first_sample, decision.sample_count, decision.windows) == (0, 30, 3)


def test_a_window_behind_the_interval_completes_it_without_joining():
    gathering = decider()
    gathering.add(certain(0), np.array([0]), Origin())
    (decision,) = gathering.add(certain(1), np.array([300]), Origin())
    assert (decision.label, decision.sample_count) == ("a", 10)
    (rest,) = gathering.flush()
    assert (rest.label, rest.first_sample) == ("b", 300)


def test_an_interval_shorter_than_a_window_decides_on_each():
    decisions = decider(interval_samples=1).add(certain(2, 4), np.arange(4) * 5, Origin())
    assert [(d.first_sample, d.windows) for d in decisions] == [(0, 1), (5, 1), (10, 1), (15, 1)]


@pytest.mark.parametrize(
    "change",
    [
        {"time_s": 2.0},
        {"time_sample": 9},
        {"center_frequency_hz": 2e6},
        {"sample_rate_hz": 2e3},
    ],
)
def test_another_origin_ends_a_decision(change):
    known = {
        "time_s": 1.0, "time_sample": 0, "center_frequency_hz": 1e6, "sample_rate_hz": 1e3
    }  # fmt: skip
    gathering = decider()
    assert gathering.add(certain(0), np.array([0]), Origin(**known)) == []
    assert gathering.add(certain(0), np.array([10]), Origin(**known)) == []
    (decision,) = gathering.add(certain(1), np.array([20]), Origin(**known | change))
    assert (decision.windows, decision.label, decision.time_s) == (2, "a", 1.0)
    (rest,) = gathering.flush()
    assert (rest.first_sample, rest.label) == (20, "b")


def test_nothing_gathered_is_no_decision():
    gathering = decider()
    assert gathering.flush() == []
    assert gathering.add(np.empty((0, 3), np.float32), np.empty(0, np.int64), Origin()) == []
    assert gathering.flush() == []


def test_an_empty_batch_of_another_origin_ends_a_decision_too():
    gathering = decider()
    gathering.add(certain(0), np.array([0]), Origin())
    nothing = np.empty((0, 3), np.float32), np.empty(0, np.int64)
    (decision,) = gathering.add(*nothing, Origin(time_s=1.0))
    assert decision.windows == 1


@pytest.mark.parametrize(
    ("threshold", "label"), [(0.0, "b"), (0.5, "b"), (0.6, "b"), (0.61, UNKNOWN), (1.0, UNKNOWN)]
)
def test_under_the_threshold_the_label_is_unknown(threshold, label):
    gathering = decider(confidence_threshold=threshold)
    gathering.add(np.array([[0.3, 0.6, 0.1]]), np.array([0]), Origin())
    (decision,) = gathering.flush()
    assert (decision.label, decision.best, decision.confidence) == (label, "b", 0.6)


def test_probabilities_are_averaged_not_multiplied():
    """Two windows that disagree leave doubt, however sure each is."""
    gathering = decider()
    gathering.add(np.array([[0.99, 0.01, 0], [0.04, 0.96, 0]]), np.array([0, 10]), Origin())
    (decision,) = gathering.flush()
    assert decision.confidence == pytest.approx(0.515)
    assert decision.best == "a"


def test_times_count_from_the_sample_the_time_belongs_to():
    origin = Origin(time_s=1e9, time_sample=4_000_000_000, sample_rate_hz=1e6)
    assert origin.time_of(4_000_000_000) == 1e9
    assert origin.time_of(4_000_500_000) == 1e9 + 0.5
    assert origin.time_of(3_999_000_000) == 1e9 - 1.0


def test_times_are_unknown_without_a_time_or_a_rate():
    assert Origin(sample_rate_hz=1e6).time_of(5) is None
    assert Origin(time_s=1.0).time_of(5) is None
    assert Origin(time_s=1.0, time_sample=5).time_of(5) == 1.0
    assert Origin(time_s=1.0, sample_rate_hz=0.0).time_of(5) is None


def test_a_decision_is_plain_values():
    gathering = decider()
    gathering.add(certain(1, 2), np.array([7, 17], np.uint64), Origin(time_s=1.0, time_sample=7))
    (decision,) = gathering.flush()
    assert decision.as_dict() == {
        "model": "m",
        "label": "b",
        "best": "b",
        "confidence": 1.0,
        "probabilities": {"a": 0.0, "b": 1.0, "c": 0.0},
        "windows": 2,
        "first_sample": 7,
        "sample_count": 20,
        "time_s": 1.0,
        "center_frequency_hz": None,
        "sample_rate_hz": None,
        "score": None,
    }
    plain = (*decision.as_dict().values(), *decision.probabilities.values())
    assert {type(value) for value in plain} <= {str, float, int, dict, type(None)}
    assert Decision(**json.loads(json.dumps(decision.as_dict()))) == decision


def test_a_signal_the_model_does_not_know_is_unknown_however_confident():
    gathering = decider(interval_samples=20, rejection_threshold=0.5)
    scores = np.array([0.1, 0.8, 0.9, 0.2, 0.5, 0.5])
    said = gathering.add(certain(1, 6), np.arange(0, 60, 10), Origin(), scores)
    assert [d.label for d in said] == ["b", UNKNOWN, "b"]  # means 0.45, 0.55, and the threshold
    assert [d.best for d in said] == ["b"] * 3 and [d.confidence for d in said] == [1.0] * 3
    assert [d.score for d in said] == pytest.approx([0.45, 0.55, 0.5])


@pytest.mark.parametrize("interval", [0, -5])
def test_an_interval_without_samples_is_refused(interval):
    with pytest.raises(ValueError, match=f"interval_samples is {interval}"):
        decider(interval_samples=interval)


@pytest.mark.parametrize("threshold", [-0.1, 1.01, float("nan"), float("inf")])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(ValueError, match="from 0 to 1"):
        decider(confidence_threshold=threshold)
    with pytest.raises(ValueError, match="confidence_threshold"):
        check_threshold(threshold)
    assert check_threshold(0.25) == 0.25


def test_pooled_windows_multiply_their_opinions():
    opinions = np.array([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.5, 0.1, 0.4]])
    found = pooled(opinions, np.array([0.5, 0.5, 0.0]))
    raised = np.sqrt([0.6 * 0.2, 0.4 * 0.8, 1e-8])  # no opinion is below 1e-4
    assert found == pytest.approx(raised / raised.sum())
    each = pooled(opinions, np.eye(3))
    assert each == pytest.approx(opinions, abs=2e-4)


def windows_of(power):
    """Windows of these mean powers: (B,) -> complex64 (B, 4)."""
    return np.sqrt(power)[:, None].repeat(4, 1).astype(np.complex64)


def test_pauses_are_told_by_levels_once_something_louder_was_heard():
    """The network calls everything "a". Every other interval is 20 dB weaker."""
    classes = ("a", "noise")
    gathering = decider(classes=classes, interval_samples=80, pauses_db=5.0)
    random = np.random.default_rng(1)
    said = np.tile([[0.9, 0.1]], (8, 1))
    power = random.gamma(200, 1 / 200, (6, 8))
    power[[0, 2, 4]] *= 1e-2
    tuned = Origin(center_frequency_hz=1e6, sample_rate_hz=1e3)

    def label(number, origin=tuned):
        first = 10 * (8 * number + np.arange(8))
        (found,) = gathering.add(said, first, origin, None, windows_of(power[number]))
        return found

    found = [label(number) for number in range(4)]
    assert [each.label for each in found] == ["a", "a", "noise", "a"]
    assert found[2].probabilities["noise"] == 1.0
    assert found[3].probabilities["noise"] < 0.01  # what is above the pauses is no noise
    later = dataclasses.replace(tuned, time_s=5.0, time_sample=0)  # a new time, the same signal
    assert label(4, later).label == "noise"
    elsewhere = dataclasses.replace(tuned, center_frequency_hz=2e6)
    power[5] *= 1e-2  # the floor there, for all that is known
    assert label(5, elsewhere).label == "a"


def test_levels_tell_nothing_without_a_class_for_pauses():
    gathering = decider(interval_samples=160, pauses_db=5.0)
    power = np.repeat([1.0, 1e-3], 8)
    (found,) = gathering.add(certain(0, 16), 10 * np.arange(16), Origin(), None, windows_of(power))
    assert found.probabilities == {"a": 1.0, "b": 0.0, "c": 0.0}
