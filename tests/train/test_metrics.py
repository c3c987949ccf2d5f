# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of merit against naive loops, and the data they are measured on."""

import io
import math
import zipfile

import numpy as np
import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.synth import CLASSES
from gr_tsddae.train.evaluate import evaluate_synthetic, evaluate_windows, metrics, probabilities

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
    assert found["confusion"] == confusion
    assert found["macro_f1"] == pytest.approx(f1, abs=6e-5)
    assert found["ece"] == pytest.approx(ece, abs=6e-5)
    assert found["classes"] == list(LABELS)
    assert 0.3 < accuracy < 0.9, "an example that is neither blind nor perfect"


def test_perfect_and_certain():
    label = torch.tensor([0, 1, 2, 2])
    found = metrics(torch.eye(4)[label], label, torch.tensor([0, 0, 2, 4]), LABELS)
    assert (found["accuracy"], found["macro_f1"], found["ece"]) == (1, 1, 0)
    assert found["confusion"][2] == [0, 0, 2, 0]


def test_certain_and_wrong():
    found = metrics(torch.eye(4)[[1, 1]], torch.tensor([0, 0]), torch.tensor([0, 0]), LABELS)
    assert (found["accuracy"], found["macro_f1"], found["ece"]) == (0, 0, 1)


def test_probabilities_scale_and_ignore_how_windows_are_batched(model_folder):
    model = zoo.load(model_folder)
    rows = 7 * torch.sin(torch.arange(10 * 2 * 128).float() ** 1.1).view(10, 2, 128)
    found = probabilities(model.network, rows, scaling="unit_power", batch=3)
    with torch.inference_mode():
        wanted = model.network(SCALINGS["unit_power"](rows)).softmax(1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_synthetic_windows_are_balanced_and_repeatable(model_folder):
    network = zoo.load(model_folder).network
    settings = {
        "recipe": "clean", "scaling": "unit_power", "window_samples": 128,
        "windows_per_class": 2, "seed": 5, "snrs_db": (-10, 20),
    }  # fmt: skip
    found = evaluate_synthetic(network, **settings)
    assert [sum(row) for row in found["confusion"]] == [4] * len(CLASSES)
    assert list(found["accuracy_per_snr"]) == [-10, 20]
    assert (found["recipe"], found["windows_per_class_and_snr"]) == ("clean", 2)
    assert evaluate_synthetic(network, **settings) == found
    assert evaluate_synthetic(network, **settings | {"seed": 6}) != found
    with pytest.raises(ValueError, match="windows_per_class is 0"):
        evaluate_synthetic(network, **settings | {"windows_per_class": 0})


def npz(path, **changes):
    """Twelve labelled windows of two classes."""
    random = np.random.default_rng(3)
    arrays = {
        "X": random.standard_normal((12, 2, 128)).astype(np.float32),
        "y": np.array(["QPSK", "BPSK"] * 6),
        "snr": np.array([-20] * 6 + [18] * 6, np.int16),
    } | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_labelled_windows_are_judged_among_their_own_classes(model_folder, tmp_path):
    model = zoo.load(model_folder)
    path = npz(tmp_path / "x.npz")
    found = evaluate_windows(model, path)
    with np.load(path) as file:
        rows = torch.from_numpy(file["X"])
        truth = [("BPSK", "QPSK").index(name) for name in file["y"]]
    probability = probabilities(model.network, rows, scaling="unit_power")
    columns = [CLASSES.index("BPSK"), CLASSES.index("QPSK")]
    called = [int(row[columns[1]] > row[columns[0]]) for row in probability]
    assert found["classes"] == ["BPSK", "QPSK"]
    confusion = [[0, 0], [0, 0]]
    for t, c in zip(truth, called, strict=True):
        confusion[t][c] += 1
    assert found["confusion"] == confusion
    assert list(found["accuracy_per_snr"]) == [-20, 18]
    outside = sum(int(row.argmax()) not in columns for row in probability) / 12
    assert found["outside_share"] == pytest.approx(outside, abs=1e-4)
    assert 0 <= found["ece"] <= 1
    doubled = npz(tmp_path / "d.npz", X=rows.double().numpy(), snr=np.array([-20.0] * 6 + [18] * 6))
    again = evaluate_windows(model, doubled)
    assert again == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"snr": None}, "no .npz with arrays X, y and snr"),
        ({"y": np.array(["QPSK", "17QAM"] * 6)}, "does not know: 17QAM"),
        ({"y": np.array(["QPSK"] * 11)}, r"y \(11,\)"),
        ({"snr": np.zeros(5)}, r"snr \(5,\)"),
        ({"X": np.zeros((12, 128, 2), np.float32)}, r"X \(12, 128, 2\)"),
        ({"X": np.zeros((12, 256), np.float32)}, r"X \(12, 256\)"),
        ({"X": np.zeros((12, 2, 128), np.int16)}, "finite floating-point"),
        ({"X": np.full((12, 2, 128), np.nan, np.float32)}, "finite floating-point"),
        ({"X": np.zeros((12, 2, 100), np.float32)}, "windows of 100 samples"),
        ({"y": np.array([object()] * 12)}, "no .npz with arrays"),
        (
            {"X": np.zeros((0, 2, 128), np.float32), "y": np.empty(0, str), "snr": np.empty(0)},
            r"X \(0, 2, 128\)",
        ),
    ],
)
def test_labelled_windows_that_cannot_be(model_folder, tmp_path, changes, words):
    path = npz(tmp_path / "x.npz", **changes)
    with pytest.raises(ValueError, match=words):
        evaluate_windows(zoo.load(model_folder), path)


def other_files():
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "no arrays")
    return {
        "text": b"X,y,snr\n", "empty": b"", "npy": array.getvalue(),
        "zip": archive.getvalue(), "cut": archive.getvalue()[:-9],
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(other_files()))
def test_a_file_that_is_no_npz(model_folder, tmp_path, kind):
    path = tmp_path / "x.npz"
    path.write_bytes(other_files()[kind])
    with pytest.raises(ValueError, match=f"{path} is no .npz with arrays"):
        evaluate_windows(zoo.load(model_folder), path)


def test_rounding_leaves_nothing_that_json_cannot_hold():
    found = metrics(*example(40), LABELS)
    assert all(math.isfinite(found[name]) for name in ("accuracy", "best", "macro_f1", "ece"))
    assert {type(n) for row in found["confusion"] for n in row} == {int}
