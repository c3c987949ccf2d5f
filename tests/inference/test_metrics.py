# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of merit against naive loops and against other people's libraries."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from gr_tsddae.inference.metrics import (
    Confusion,
    effective_windows,
    metrics,
    unknown_metrics,
    wilson,
)

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
    assert "average_over_snr" not in found


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


def test_counts_of_a_stream_come_piece_by_piece_and_some_without_a_level():
    """The Accuracy Probe counts as it goes; training counts all at once."""
    probability, label, snr_db = (np.asarray(array) for array in example())
    called = probability.argmax(1)
    counts = Confusion(LABELS)
    for some in np.split(np.arange(500), [7, 100, 100, 350]):
        counts.add(label[some], called[some], snr_db[some])
    whole = metrics(probability, label, snr_db, LABELS)
    assert counts.report().items() <= whole.items()
    counts.add(np.array([0, 1]), np.array([0, 0]), None)
    found = counts.report()
    assert found["windows"] == 502
    assert found["accuracy_per_snr"] == whole["accuracy_per_snr"]
    assert found["confusion"][1][0] == whole["confusion"][1][0] + 1


def test_nothing_counted_is_no_share():
    found = Confusion(("a", "b")).report()
    assert (found["windows"], found["accuracy"], found["macro_f1"]) == (0, None, None)
    assert (found["recall"], found["confusion"]) == ({}, [[0, 0], [0, 0]])


def known_and_unknown(seed, known=60, unknown=40, ties=False):
    """Scores of both, and which known one was called rightly; the better known more often."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 1, known), random.normal(1.2, 1, unknown)
    if ties:
        scores = tuple(np.round(part) for part in scores)
    return scores[0], random.random(known) > 0.3 + 0.1 * scores[0], scores[1]


@pytest.mark.parametrize("ties", [False, True])
def test_unknown_metrics_against_their_definitions(ties):
    known, right, unknown = known_and_unknown(1, ties=ties)
    found = unknown_metrics(known, right, unknown)
    pairs = [(u > k) + 0.5 * (u == k) for u in unknown for k in known]
    assert found["auroc"] == pytest.approx(np.mean(pairs), abs=1e-4)
    thresholds = [t for t in sorted(known) if np.mean(known <= t) >= 0.95]
    assert found["fpr_at_95_recall"] == pytest.approx(np.mean(unknown <= thresholds[0]), abs=1e-4)
    area, before = 0.0, (0.0, 0.0)
    for t in sorted({*known, *unknown}):
        point = np.mean(unknown <= t), np.mean((known <= t) & right)
        area += (point[0] - before[0]) * (point[1] + before[1]) / 2
        before = point
    assert found["oscr"] == pytest.approx(area, abs=1e-4)
    assert found["oscr"] <= right.mean()


def test_unknown_metrics_against_pytorch_ood():
    ood = pytest.importorskip("pytorch_ood.metrics", exc_type=ImportError)
    known, right, unknown = known_and_unknown(2, 300, 200)
    found = unknown_metrics(known, right, unknown)
    scores = torch.from_numpy(np.concatenate((known, unknown)))
    label = torch.from_numpy(np.concatenate((np.ones(300), -np.ones(200))).astype(int))
    called = torch.from_numpy(np.concatenate((right, np.zeros(200))).astype(int))
    assert found["oscr"] == pytest.approx(ood.oscr_score(scores, called, label), abs=1e-4)
    theirs = ood.OODMetrics()
    theirs.update(scores, label)
    assert found["auroc"] == pytest.approx(float(theirs.compute()["AUROC"]), abs=1e-4)


def test_unknown_metrics_of_the_best_and_of_no_score():
    known, unknown = np.arange(10.0), np.arange(10.0, 15.0)
    best = unknown_metrics(known, np.arange(10) < 8, unknown)
    assert best == {"auroc": 1.0, "fpr_at_95_recall": 0.0, "oscr": 0.8}
    none = unknown_metrics(np.zeros(10), np.arange(10) < 8, np.zeros(5))
    assert none == {"auroc": 0.5, "fpr_at_95_recall": 1.0, "oscr": 0.4}
    with pytest.raises(ValueError, match="known and unknown"):
        unknown_metrics(known, np.ones(10, bool), [])


def test_no_library_of_training_is_needed():
    """The Accuracy Probe runs where only GNU Radio and numpy are installed."""
    program = (
        "import sys; import gr_tsddae.inference.metrics; "
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
