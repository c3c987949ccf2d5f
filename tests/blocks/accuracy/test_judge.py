# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classifier said, held against the truth; no GNU Radio."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.blocks.accuracy import judge as judge_module
from gr_tsddae.blocks.accuracy.judge import Judge, Said, Tally
from gr_tsddae.blocks.accuracy.truth import OTHER_NAME, Truth


def test_another_model_begins_anew():
    truth = Truth(complete=True)
    truth.tell(0, "a", 3)
    judge = Judge(truth, {}, ())
    about = {"classes": ["a", "b"], "windows": 2, "window_samples": 10, "first_samples": [0, 10]}
    right, wrong = np.array([1, 0, 1, 0.0]), np.array([0, 1, 0, 1.0])
    judge.hear_results(about | {"model": "old"}, right)
    judge.hear_results(about | {"model": "new"}, wrong)
    report = judge.report()
    assert report["model"] == "new" and report["accuracy"] == 0
    assert report["windows"] == report["windows_of_earlier_models"] == 2


def test_days_of_truth_stay_bounded_and_what_came_too_late_is_counted():
    truth = Truth(limit=1000)
    for number in range(5000):
        truth.tell(number * 10, f"label {number}", number % 100)
    truth.reached(50000)
    tally = Tally(truth, {OTHER_NAME: "a"}, one_level=True)
    said = Said(np.array([0, 20000, 49990]), 10, np.array([0, 0, 0]))
    tally.hear("m", ("a", "b"), said)
    report = tally.report("windows")
    assert report["windows_forgotten"] == 2
    assert report["windows"] == 1 and report["accuracy"] == 1


def test_results_that_wait_in_vain_are_given_up(monkeypatch):
    monkeypatch.setattr(judge_module, "WAITING_LIMIT", 100)
    tally = Tally(Truth(), {}, one_level=True)
    for number in range(30):
        tally.hear("m", ("a",), Said(np.arange(10) + 10 * number, 1, np.zeros(10, int)))
    report = tally.report("windows")
    assert report["windows_given_up"] == 200 and report["windows_waiting"] == 100
    tally.judge(everything=True)
    report = tally.report("windows")
    assert report["windows_without_truth"] == 100 and report["windows_waiting"] == 0


def one_label(level_db=3.0) -> Truth:
    truth = Truth(complete=True)
    truth.tell(0, "a", level_db)
    return truth


def results(rows, **more) -> tuple[dict, np.ndarray]:
    about = {
        "classes": ["a", "b", "c"], "windows": len(rows), "window_samples": 10,
        "first_samples": [10.0 * n for n in range(len(rows))], "model": "m",
    }  # fmt: skip
    return about | more, np.array(rows, np.float32).ravel()


def test_every_window_ends_in_one_count():
    truth = Truth()
    truth.tell(10, "a", 3)
    truth.tell(25, "b", 3)
    truth.tell(50, "strange", 3)
    truth.reached(70)
    judge = Judge(truth, {}, ())
    judge.hear_results(*results([[1, 0, 0]] * 10))
    assert judge.report()["windows_waiting"] == 10, "one PDU waits as a whole"
    judge.judge(everything=True)
    report = judge.report()
    assert report["windows"] == 1 + 2  # 10..19 of a, 30..49 of b
    assert report["accuracy"] == pytest.approx(1 / 3, abs=1e-4)
    assert report["windows_of_two_truths"] == 1
    assert report["windows_of_unknown_labels"] == 2 and report["unknown_labels"] == ["strange"]
    assert report["windows_without_truth"] == 1 + 3


def test_among_some_classes_only_these_compete():
    rows = [[0.2, 0.3, 0.5], [0.3, 0.2, 0.5]]
    judge = Judge(one_label(), {}, ("a", "b"))
    judge.hear_results(*results(rows))
    report = judge.report()
    assert report["classes"] == ["a", "b"] and report["confusion"] == [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    "change",
    [
        {"first_samples": []},
        {"first_samples": [0.0]},
        {"windows": 3},
        {"classes": ["a"]},
        {"window_samples": None},
    ],
)
def test_results_that_are_none_are_refused_and_change_nothing(change):
    judge = Judge(one_label(), {}, ())
    with pytest.raises((KeyError, TypeError, ValueError)):
        judge.hear_results(*results([[1, 0, 0], [1, 0, 0]], **change))
    assert judge.report()["windows"] == judge.report()["windows_waiting"] == 0


def test_a_decision_below_the_threshold_is_no_answer():
    judge = Judge(one_label(), {}, ())
    decision = {
        "model": "m", "label": "unknown", "first_sample": 0, "sample_count": 10,
        "probabilities": {"b": 0.4, "a": 0.6},
    }  # fmt: skip
    judge.hear_decision(decision)
    judge.hear_decision(decision | {"label": "a"})
    report = judge.report()["decisions"]
    assert report["decisions"] == report["decisions_undecided"] == 1
    assert report["accuracy"] == 1.0


def test_a_label_of_the_truth_may_be_renamed():
    judge = Judge(one_label(), {"a": "b"}, ())
    judge.hear_results(*results([[0, 1, 0]]))
    assert judge.report()["recall"] == {"b": 1.0}
