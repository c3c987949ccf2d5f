# SPDX-License-Identifier: GPL-3.0-or-later
"""One measurement for any model on any data set: what is counted, left out and told."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, MemoryStore
from gr_tsddae.synth import CLASSES
from gr_tsddae.train import evaluate as module
from gr_tsddae.train.evaluate import (
    EvaluateConfig,
    command_line,
    evaluate,
    evaluate_dataset,
)
from gr_tsddae.train.measure.predict import logits
from gr_tsddae.train.windows.synthetic_set import synthetic_set

HELD = ("QPSK", "BPSK", "WBFM")


def dataset(count=60, classes=HELD, seed=3, **changes):
    random = np.random.default_rng(seed)
    made = Dataset(
        kind="npz",
        path="x.npz",
        store=MemoryStore(random.standard_normal((count, 2, 128)).astype(np.float32)),
        index=np.arange(count),
        label=np.arange(count) % len(classes),
        level_db=np.repeat([-4, 18], count // 2),
        classes=classes,
    )
    return replace(made, **changes)


def config(folder, **changes):
    settings = {
        "model": str(folder), "out": folder / "out", "dataset": "npz", "path": "x.npz",
        "tsne": False, "device": "cpu",
    }  # fmt: skip
    return EvaluateConfig(**settings | changes)


def measure(folder, data, **changes):
    return evaluate_dataset(zoo.load(folder), data, config(folder, **changes))[0]


def called_naively(folder, data):
    """The best of the classes held, window by window."""
    model = zoo.load(folder)
    columns = {CLASSES.index(name): name for name in data.classes}
    rows = torch.from_numpy(data.rows())
    probability = logits(model.network, rows, scaling="unit_power").softmax(1)
    best = [max(columns, key=lambda k, row=row: row[k]) for row in probability.tolist()]
    return [columns[k] for k in best], [CLASSES[k] for k in probability.argmax(1).tolist()]


def test_windows_are_judged_among_the_classes_the_data_holds(model_folder):
    data = dataset()
    found = measure(model_folder, data, batch=7)
    called, first = called_naively(model_folder, data)
    truth = [data.classes[i] for i in data.label]
    assert found["classes"] == ["BPSK", "QPSK", "WBFM"], "in the model's order"
    confusion = [
        [
            sum(t == a and c == b for t, c in zip(truth, called, strict=True))
            for b in found["classes"]
        ]
        for a in found["classes"]
    ]
    assert found["confusion"] == confusion
    outside = sum(name not in data.classes for name in first) / 60
    assert found["outside_share"] == pytest.approx(outside, abs=6e-5)
    assert list(found["accuracy_per_snr"]) == [-4, 18]
    assert set(found["confusion_per_snr"]) >= {-4, found["best_snr_db"]}
    assert found["skipped"] == {}
    open_set = measure(model_folder, data, closed_set=False)
    assert open_set["classes"] == list(CLASSES) and open_set["outside_share"] == 0
    right = sum(t == f for t, f in zip(truth, first, strict=True)) / 60
    assert open_set["accuracy"] == pytest.approx(right, abs=6e-5)


def test_emissions_of_several_windows_are_decided_as_one(tmp_path):
    settings = {"window_samples": 1024, "windows_per_class": 8, "snrs_db": (24,)}
    data = synthetic_set("air", seed=7, emission_windows=8, **settings)
    asked = config(tmp_path, dataset="synth", path=None, recipe="air", emission_windows=8)
    found = evaluate_dataset(zoo.load("air-small"), data, asked)[0]
    assert found["windows"] == 152 and found["emissions"]["windows"] == 19
    model = zoo.load("air-small")
    rows = torch.from_numpy(data.rows())
    opinion = logits(model.network, rows, scaling=model.card.scaling).log_softmax(1)
    opinion = opinion.clamp(min=np.log(1e-4)).view(19, 8, 19).sum(1)
    right = (opinion.argmax(1) == torch.from_numpy(data.label[::8])).double().mean().item()
    assert found["emissions"]["accuracy"] == pytest.approx(right, abs=6e-5)
    assert found["emissions"]["accuracy"] != found["accuracy"]
    with pytest.raises(ValueError, match="--dataset npz does not say which windows are of one"):
        config(tmp_path, emission_windows=8)


def test_order_in_the_file_does_not_matter(model_folder):
    data = dataset()
    shuffled = data.select(np.random.default_rng(1).permutation(60))
    assert measure(model_folder, shuffled, batch=11) == measure(model_folder, data, batch=11)


def test_windows_that_cannot_be_measured_are_counted(model_folder):
    data = dataset(skipped={"not finite": 2})
    data.store.rows[7, 1, 5] = np.nan
    data.store.rows[8, 0, 0] = np.inf
    data.label[3] = UNLABELLED
    found = measure(model_folder, data, leave_out=("WBFM",))
    assert found["skipped"] == {"class WBFM left out": 20, "unlabelled": 1, "not finite": 3}
    assert found["windows"] == 60 - 20 - 1 - 1, "window 8 was of the class left out"
    clean = data.select(np.array([i for i in range(60) if i not in (3, 7) and data.label[i] != 2]))
    assert measure(model_folder, clean)["confusion"] == found["confusion"]
    data.store.rows[:] = np.nan
    with pytest.raises(DatasetError, match="every window holds NaN"):
        measure(model_folder, data)


def test_a_random_subset_is_the_same_twice(model_folder):
    found = measure(model_folder, dataset(), max_windows=25)
    assert found["windows"] == 25 and found["skipped"] == {"not in the random subset": 35}
    assert measure(model_folder, dataset(), max_windows=25) == found
    assert (
        measure(model_folder, dataset(), max_windows=25, seed=2)["confusion"] != found["confusion"]
    )


@pytest.mark.parametrize(("part", "share"), [("test", 0.2), ("validation", 0.2), ("all", 1)])
def test_parts_of_a_split(model_folder, part, share):
    data = dataset(600)
    found = measure(model_folder, data, part=part, split_seed=4)
    assert found["windows"] == 600 * share
    if part != "all":
        from gr_tsddae.data.splits import split

        numbers = getattr(split(data, seed=4), part)
        whole = measure(model_folder, data.select(numbers))
        assert whole["confusion"] == found["confusion"]


def test_recordings_widen_the_interval(model_folder):
    data = dataset(600, group=np.arange(600) // 100, level_name=None)
    alone = measure(model_folder, replace(data, group=None))
    found = measure(model_folder, data)
    assert found["accuracy_per_snr"] == {} and found["level_name"] is None
    assert found["dataset"]["groups"] == 6
    assert np.diff(found["accuracy_interval"]) >= np.diff(alone["accuracy_interval"])


def test_empty_ssb_windows_can_be_called_noise(model_folder):
    data = dataset(classes=("QPSK", "AM-SSB", "BPSK"))
    found = measure(model_folder, data, rename={"AM-SSB": "noise"})
    assert found["classes"] == ["BPSK", "QPSK", "noise"]
    assert found["dataset"]["renamed"] == {"AM-SSB": "noise"}


@pytest.mark.parametrize(
    ("data", "changes", "words"),
    [
        (dataset(classes=("QPSK",)), {}, "the class QPSK only.*--closed_set=false"),
        (
            dataset(store=MemoryStore(np.ones((60, 2, 64), np.float32))),
            {},
            "of 64 samples.*takes 128",
        ),
        (dataset(), {"leave_out": ("17QAM",)}, "names 17QAM, which x.npz has not"),
        (dataset(label=np.full(60, UNLABELLED)), {}, "no labelled windows"),
    ],
)
def test_data_that_do_not_fit(model_folder, data, changes, words):
    with pytest.raises(DatasetError, match=words):
        measure(model_folder, data, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "rml"}, "no dataset 'rml'"),
        ({"path": None}, "npz needs a --path"),
        ({"dataset": "synth"}, "synth takes no --path"),
        ({"windows": 0}, "windows is 0"),
        ({"max_windows": 0}, "max_windows is 0"),
        ({"snrs_db": (6,)}, "snrs_db is \\[6\\] for --dataset npz"),
    ],
)
def test_configurations_that_cannot_be(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        config(tmp_path, **changes)


def test_a_denoiser_cannot_be_evaluated(model_folder, tmp_path):
    card = replace(zoo.read_card(model_folder), task=zoo.DENOISING, classes=())
    zoo.save(tmp_path / "d", card, nets.create_denoiser("tsnet-nano"))
    with pytest.raises(zoo.ModelMismatchError, match="knows no classes"):
        evaluate(config(tmp_path / "d"))


@pytest.mark.parametrize("device", ["tpu9", "cuda:77"])
def test_no_such_device(model_folder, device):
    with pytest.raises(ValueError, match=f"device '{device}'"):
        measure(model_folder, dataset(), device=device)


def test_the_command_line_makes_the_same_configuration(tmp_path):
    jsonargparse = pytest.importorskip("jsonargparse")
    made = config(
        tmp_path / "a folder", path=tmp_path / "x y.npz", rename={"AM-SSB": "noise"}, part="test",
        leave_out=("WBFM",), confusion_snrs_db=(-20, 0), options={"licence": "CC0"}, max_windows=9,
    )  # fmt: skip
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(EvaluateConfig, as_group=False)
    words = shlex.split(command_line(made))
    assert words[:3] == ["tsddae", "train", "evaluate"]
    assert EvaluateConfig(**vars(parser.parse_args(words[3:]))) == made


def test_the_command_writes_metrics_and_report(model_folder, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(module, "open_dataset", lambda kind, path, **options: dataset())
    found = evaluate(config(model_folder, out=tmp_path / "deep" / "out"))
    files = {p.name for p in (tmp_path / "deep" / "out").iterdir()}
    assert {"metrics.json", "report.html", "confusion.png", "accuracy.png"} <= files
    assert not [name for name in files if "partial" in name]
    read = json.loads((tmp_path / "deep" / "out" / "metrics.json").read_text())
    assert read["accuracy_per_snr"] == {str(k): v for k, v in found["accuracy_per_snr"].items()}
    for name in ("accuracy", "macro_f1", "ece", "classes", "confusion", "command"):
        assert read[name] == found[name]
    assert "report.html" in capsys.readouterr().out
