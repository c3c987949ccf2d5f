# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of a report against naive counts; curves of detectors against their meaning."""

import json

import numpy as np
import pytest
import torch

from gr_tsddae.inference.metrics import metrics
from gr_tsddae.train.measure.details import (
    details,
    roc_per_level,
    summary_lines,
    top_confusions,
)

LABELS = ("a", "b", "c", "never")


@pytest.fixture(scope="module")
def example():
    """Probabilities (500, 4), labels of the first three classes only, SNRs of -20, 0, 18 dB."""
    random = np.random.default_rng(4)
    label = random.integers(3, size=500)
    snr_db = random.choice([-20, 0, 18], 500)
    scores = random.random((500, 4))
    scores[np.arange(500), label] += (20 + snr_db) / 40
    return scores / scores.sum(1, keepdims=True), label, snr_db


def test_details_of_an_example(example):
    probability, label, snr_db = example
    found = details(probability, label, snr_db, LABELS, confusion_snrs_db=(0, 4), best_snr_db=18)
    assert list(found["confusion_per_snr"]) == [0, 18], "there is no 4 dB"
    confusion = [[0] * 4 for _ in range(4)]
    for row, true, level in zip(probability, label, snr_db, strict=True):
        if level == 0:
            confusion[true][row.argmax()] += 1
    assert found["confusion_per_snr"][0] == confusion
    for k, name in enumerate("abc"):
        assert found["recall_per_snr"][name][0] == pytest.approx(
            confusion[k][k] / sum(confusion[k]), abs=6e-5
        )
    assert sum(b["windows"] for b in found["reliability"]) == len(label)
    assert found["top_confusions"] == top_confusions(
        np.array(found["confusion_per_snr"][18]), LABELS
    )
    assert "roc" not in found
    json.dumps(found, allow_nan=False)


def test_top_confusions():
    matrix = torch.tensor([[8, 2, 0], [0, 4, 0], [30, 10, 60]])
    found = top_confusions(matrix, ("a", "b", "c"))
    assert [(m["true"], m["called"], m["share"], m["windows"]) for m in found] == [
        ("c", "a", 0.3, 30), ("a", "b", 0.2, 2), ("c", "b", 0.1, 10),
    ]  # fmt: skip


def test_area_under_the_curve_is_the_chance_to_rank_a_pair_rightly():
    torch.manual_seed(3)
    label = torch.randint(2, (300,))
    level = torch.tensor([0, 10])[torch.randint(2, (300,))]
    score = torch.randn(300) + label * (1 + 0.1 * level)
    score = (score * 4).round() / 4  # with ties
    found = roc_per_level(score, label, level)
    assert list(found) == ["all", 0, 10]
    for name in found:
        at = torch.ones(300, dtype=torch.bool) if name == "all" else level == name
        high, low = score[at & (label == 1)], score[at & (label == 0)]
        pairs = high[:, None] - low[None]
        auc = ((pairs > 0).double() + 0.5 * (pairs == 0)).mean().item()
        assert found[name]["auc"] == pytest.approx(auc, abs=6e-5)
        x, y = found[name]["false_positive_share"], found[name]["true_positive_share"]
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1) and len(x) <= 200
        area = sum((x[i + 1] - x[i]) * (y[i + 1] + y[i]) / 2 for i in range(len(x) - 1))
        assert area == pytest.approx(auc, abs=0.01)
    assert found[10]["auc"] > found[0]["auc"]


def test_negatives_without_interference_serve_every_level():
    label = torch.tensor([0, 0, 0, 1, 1, 1])
    level = torch.tensor([-99, -99, -99, 5, 5, 5])
    score = torch.tensor([0.1, 0.2, 0.6, 0.5, 0.8, 0.9])
    found = roc_per_level(score, label, level)
    assert found[5]["auc"] == pytest.approx(8 / 9, abs=6e-5)
    assert -99 not in found
    assert (found[5]["positives"], found[5]["negatives"]) == (3, 3)


@pytest.mark.filterwarnings("error")
def test_a_level_without_a_class_has_no_curve_and_that_is_said(caplog):
    score = torch.tensor([0.1, 0.2, 0.8, 0.9])
    found = roc_per_level(score, torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 5, 10]))
    assert list(found) == ["all", 10], "none of normal windows alone, and all of them where none is"
    assert (found[10]["auc"], found[10]["positives"], found[10]["negatives"]) == (1.0, 1, 3)
    assert [r.getMessage() for r in caplog.records] == [
        "no ROC: no positive windows at 0 dB", "no ROC: no positive windows at 5 dB",
    ]  # fmt: skip
    caplog.clear()
    assert roc_per_level(score, torch.ones(4).long(), torch.tensor([0, 0, 5, 5])) == {}
    assert roc_per_level(score, torch.zeros(4).long(), None) == {}
    assert "no ROC: no negative windows at all" in caplog.text


def test_summary_says_what_there_is(example):
    found = metrics(*example, LABELS)
    text = "\n".join(summary_lines(found | {"skipped": {"not finite": 3}}))
    for word in ("-20", "best", "at 18 dB", "macro-F1", "left out: 3 windows, not finite"):
        assert word in text
    assert all(len(line) < 120 for line in text.splitlines())


def test_windows_without_levels(example):
    probability, label, _ = example
    assert details(probability, label, None, LABELS)["confusion_per_snr"] == {}
    found = metrics(probability, label, None, LABELS)
    assert summary_lines(found)[0].startswith("accuracy")
