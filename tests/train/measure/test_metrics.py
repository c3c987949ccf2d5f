# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of merit against naive loops and against other people's libraries."""

import json

import numpy as np
import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.train.measure.metric_details import (
    details,
    roc_per_level,
    summary_lines,
    top_confusions,
)
from gr_tsddae.train.measure.metrics import effective_windows, metrics, probabilities, wilson

LABELS = ("a", "b", "c", "never")


def example(count=500, seed=4):
    """Probabilities (count, 4), labels of the first three classes only, SNRs of -20, 0, 18 dB."""
    torch.manual_seed(seed)
    label = torch.randint(3, (count,))
    snr_db = torch.tensor([-20, 0, 18])[torch.randint(3, (count,))]
    logits = torch.randn(count, 4)
    logits[torch.arange(count), label] += 0.1 * (20 + snr_db)
    return logits.softmax(1), label, snr_db


def naive_metrics(probability, label, snr_db):
    count = len(label)
    called = [max(range(4), key=lambda k, row=row: row[k]) for row in probability.tolist()]
    confidence = [max(row) for row in probability.tolist()]
    truth = label.tolist()
    right = [c == t for c, t in zip(called, truth, strict=True)]
    per_snr = {}
    for snr in sorted(set(snr_db.tolist())):
        hits = [r for r, s in zip(right, snr_db.tolist(), strict=True) if s == snr]
        per_snr[snr] = sum(hits) / len(hits)
    confusion = [[0] * 4 for _ in range(4)]
    for t, c in zip(truth, called, strict=True):
        confusion[t][c] += 1
    f1 = []
    for k in range(4):
        hits = confusion[k][k]
        true, named = sum(confusion[k]), sum(row[k] for row in confusion)
        if true:  # a class without windows has no recall
            precision, recall = hits / named if named else 0.0, hits / true
            f1.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    ece = 0.0
    for b in range(15):
        rows = [i for i in range(count) if b / 15 <= confidence[i] < (b + 1) / 15 + (b == 14)]
        if rows:
            share = sum(right[i] for i in rows) / len(rows)
            mean = sum(confidence[i] for i in rows) / len(rows)
            ece += len(rows) / count * abs(share - mean)
    return sum(right) / count, per_snr, confusion, sum(f1) / len(f1), ece


def test_metrics_against_naive_loops():
    probability, label, snr_db = example()
    found = metrics(probability, label, snr_db, LABELS)
    accuracy, per_snr, confusion, f1, ece = naive_metrics(probability, label, snr_db)
    assert found["accuracy"] == pytest.approx(accuracy, abs=6e-5)
    assert found["accuracy_per_snr"] == pytest.approx(per_snr, abs=6e-5)
    assert list(found["accuracy_per_snr"]) == [-20, 0, 18]
    assert found["best"] == max(found["accuracy_per_snr"].values())
    assert found["best_snr_db"] == 18
    assert found["average_over_snr"] == pytest.approx(sum(per_snr.values()) / 3, abs=6e-5)
    assert found["confusion"] == confusion
    assert found["macro_f1"] == pytest.approx(f1, abs=6e-5)
    assert found["ece"] == pytest.approx(ece, abs=6e-5)
    assert found["classes"] == list(LABELS)
    assert 0.3 < accuracy < 0.9, "an example that is neither blind nor perfect"


def test_metrics_against_libraries():
    sklearn = pytest.importorskip("sklearn.metrics")
    probability, label, snr_db = example()
    found = metrics(probability, label, snr_db, LABELS)
    called = probability.argmax(1)
    precision, recall, _, _ = sklearn.precision_recall_fscore_support(
        label, called, labels=[0, 1, 2], zero_division=0
    )
    assert list(found["recall"].values()) == pytest.approx(recall, abs=6e-5)
    assert list(found["precision"].values()) == pytest.approx(precision, abs=6e-5)
    assert list(found["recall"]) == ["a", "b", "c"], "a class without windows has no recall"
    exact = probability.double() / probability.double().sum(1, keepdim=True)
    nll = sklearn.log_loss(label, exact, labels=[0, 1, 2, 3])
    assert found["nll"] == pytest.approx(nll, abs=1e-4)
    brier = np.mean(
        [sum((p - (k == t)) ** 2 for k, p in enumerate(row)) for row, t in zip(
            probability.tolist(), label.tolist(), strict=True)]
    )  # fmt: skip
    assert found["brier"] == pytest.approx(brier, abs=6e-5)


def test_perfect_and_certain():
    label = torch.tensor([0, 1, 2, 2])
    found = metrics(torch.eye(4)[label], label, torch.tensor([0, 0, 2, 4]), LABELS)
    assert (found["accuracy"], found["macro_f1"], found["ece"]) == (1, 1, 0)
    assert (found["nll"], found["brier"]) == (0, 0)
    assert found["confusion"][2] == [0, 0, 2, 0]
    assert found["accuracy_interval"][0] < 0.6, "four windows prove little"


def test_certain_and_wrong():
    found = metrics(torch.eye(4)[[1, 1]], torch.tensor([0, 0]), torch.tensor([0, 0]), LABELS)
    assert (found["accuracy"], found["macro_f1"], found["ece"], found["brier"]) == (0, 0, 1, 2)
    assert found["nll"] < 100, "finite, for JSON"


def test_average_over_snr_weighs_snrs_alike():
    label = torch.zeros(10, dtype=torch.int64)
    called = torch.tensor([0] + [1] * 9)
    snr_db = torch.tensor([10] + [-10] * 9)
    found = metrics(torch.eye(4)[called], label, snr_db, LABELS)
    assert (found["accuracy"], found["average_over_snr"]) == (0.1, 0.5)


def test_windows_without_levels():
    probability, label, _ = example()
    found = metrics(probability, label, None, LABELS)
    assert found["accuracy_per_snr"] == {} and found["best"] == found["accuracy"]
    assert details(probability, label, None, LABELS)["confusion_per_snr"] == {}
    assert summary_lines(found)[0].startswith("accuracy")


def test_what_cannot_be_measured():
    probability, label, snr_db = example(8)
    with pytest.raises(ValueError, match="no labelled windows"):
        metrics(probability[:0], label[:0], snr_db[:0], LABELS)
    probability[3, 1] = torch.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        metrics(probability, label, snr_db, LABELS)


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (7, 7), (3, 7), (611, 1400)])
def test_wilson_against_scipy(hits, count):
    stats = pytest.importorskip("scipy.stats")
    wanted = stats.binomtest(hits, count).proportion_ci(0.95, "wilson")
    assert wilson(hits, count) == pytest.approx((wanted.low, wanted.high), abs=1e-7)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(1)
    truth = {-10: 0.15, 0: 0.6, 10: 0.97}
    snr_db = torch.tensor(list(truth)).repeat_interleave(60)
    chance = torch.tensor(list(truth.values())).repeat_interleave(60).numpy()
    held = 0
    for _ in range(300):
        called = torch.from_numpy((random.random(180) > chance).astype(int))
        found = metrics(torch.eye(2)[called], torch.zeros(180).long(), snr_db, ("a", "b"))
        low, high = found["average_over_snr_interval"]
        held += low <= sum(truth.values()) / 3 <= high
        assert high - low < 0.15
    assert 0.90 <= held / 300 <= 0.99


def test_windows_of_one_recording_are_one_witness():
    group = torch.arange(20).repeat_interleave(50)
    together = (torch.arange(20) % 4 > 0).repeat_interleave(50)  # right by whole recordings
    assert effective_windows(together, group) == pytest.approx(20, rel=0.1)
    torch.manual_seed(1)
    alone = torch.rand(1000) < 0.75
    assert effective_windows(alone, group) > 500
    assert effective_windows(torch.ones(1000, dtype=torch.bool), group) == 20
    assert effective_windows(alone[:50], group[:50]) == 1, "one recording tells nothing of others"
    label, called = torch.zeros(1000).long(), (~together).long()
    narrow, wide = (
        np.diff(
            metrics(torch.eye(2)[called], label, None, ("a", "b"), group=g)["accuracy_interval"]
        )
        for g in (None, group)
    )
    assert wide > 5 * narrow


def test_details_of_an_example():
    probability, label, snr_db = example()
    found = details(probability, label, snr_db, LABELS, confusion_snrs_db=(0, 4), best_snr_db=18)
    assert list(found["confusion_per_snr"]) == [0, 18], "there is no 4 dB"
    at = snr_db == 0
    _, _, confusion, _, _ = naive_metrics(probability[at], label[at], snr_db[at])
    assert found["confusion_per_snr"][0] == confusion
    for k, name in enumerate("abc"):
        assert found["recall_per_snr"][name][0] == pytest.approx(
            confusion[k][k] / sum(confusion[k]), abs=6e-5
        )
    assert sum(b["windows"] for b in found["reliability"]) == len(label)
    assert found["top_confusions"] == top_confusions(
        torch.tensor(found["confusion_per_snr"][18]), LABELS
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


def test_summary_says_what_there_is():
    found = metrics(*example(), LABELS)
    text = "\n".join(summary_lines(found | {"skipped": {"not finite": 3}}))
    for word in ("-20", "best", "at 18 dB", "macro-F1", "left out: 3 windows, not finite"):
        assert word in text
    assert all(len(line) < 120 for line in text.splitlines())


def test_probabilities_scale_and_ignore_how_windows_are_batched(model_folder):
    model = zoo.load(model_folder)
    rows = 7 * torch.sin(torch.arange(10 * 2 * 128).float() ** 1.1).view(10, 2, 128)
    model.network.train()  # measured in evaluation mode all the same
    found = probabilities(model.network, rows, scaling="unit_power", batch=3)
    assert model.network.training
    with torch.inference_mode():
        wanted = model.network.eval()(SCALINGS["unit_power"](rows)).softmax(1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
