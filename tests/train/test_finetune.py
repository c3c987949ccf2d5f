# SPDX-License-Identifier: GPL-3.0-or-later
"""A few steps of training: a model that loads, runs that resume, and mistakes."""

import json
import math
import re
import sys

import numpy as np
import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.synth import CLASSES
from gr_tsddae.train import __main__ as command
from gr_tsddae.train import evaluate, finetune
from gr_tsddae.train.finetune import FinetuneConfig, Run, shift_noise_prior, synthetic_batches

TINY = {"name": "amc-tiny", "steps": 6, "batch": 6, "checkpoint_steps": 2, "test_windows": 1}


@pytest.fixture(autouse=True)
def few_snrs(monkeypatch):
    """Measure at two SNRs, not at 26."""
    measured = evaluate.evaluate_synthetic
    monkeypatch.setattr(
        finetune, "evaluate_synthetic", lambda *a, **k: measured(*a, **k | {"snrs_db": (0, 20)})
    )


def train(folder, **changes):
    return finetune.finetune(FinetuneConfig(**TINY | changes), folder)


def weights_of(folder):
    return (folder / zoo.WEIGHTS_FILE).read_bytes()


def test_training_writes_a_model_that_loads(tmp_path):
    out = tmp_path / "deep" / "amc-tiny"
    card = train(out)
    model = zoo.load(out)
    assert model.card == card
    assert (card.name, card.task, card.network) == ("amc-tiny", "amc", "tsnet-nano")
    assert (card.classes, card.window_samples, card.samples_per_symbol) == (CLASSES, 128, 8.0)
    assert card.training["steps"] == 6
    assert card.training["windows"] == 36
    assert list(card.accuracy["accuracy_per_snr"]) == [0, 20]
    assert zoo.read_card(out) == card
    with torch.inference_mode():
        assert model.network(torch.randn(2, 2, 128)).isfinite().all()


def test_training_lowers_the_loss(tmp_path):
    """On windows that are easy and always the same, some steps must learn them by heart."""
    config = FinetuneConfig(**TINY | {"steps": 40, "bfloat16": False})
    run = Run(config, tmp_path)
    rows, label = next(synthetic_batches(FinetuneConfig(**TINY | {"snr_db": (30, 30)}), 0))
    losses = [run.train_step(rows, label) for _ in range(40)]
    assert losses[0] == pytest.approx(math.log(len(CLASSES)), abs=1.0)
    assert losses[-1] < 0.5 * losses[0]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(tmp_path / name, seed=seed, steps=2)
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")
    assert weights_of(tmp_path / "a") != weights_of(tmp_path / "c")


@pytest.mark.parametrize(
    ("network", "after"),
    [("tsnet-nano", 2), ("tsnet-small", 3)],  # small has dropout; 3 is between two checkpoints
)
def test_a_resumed_run_ends_with_the_same_weights(tmp_path, monkeypatch, network, after):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(whole, network=network)
    step = Run.train_step

    def stopping(run, rows, label):
        if run.step == after:
            raise KeyboardInterrupt
        return step(run, rows, label)

    monkeypatch.setattr(Run, "train_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, network=network)
    assert not (stopped / zoo.WEIGHTS_FILE).exists()
    steps_done = []
    monkeypatch.setattr(
        Run, "train_step", lambda run, *batch: (steps_done.append(run.step), step(run, *batch))[1]
    )
    torch.manual_seed(99)  # what happened in the process meanwhile must not matter
    train(stopped, network=network)
    assert steps_done == [2, 3, 4, 5], "it went on from the checkpoint"
    assert weights_of(stopped) == weights_of(whole)


def test_a_finished_run_is_only_measured_again(tmp_path, monkeypatch):
    train(tmp_path)
    first = weights_of(tmp_path)
    monkeypatch.setattr(Run, "train_step", lambda *_: pytest.fail("trained again"))
    train(tmp_path)
    assert weights_of(tmp_path) == first


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"steps": 8}, {"network": "tsnet-small"}, {"snr_db": (0.0, 30.0)}]
)
def test_another_configuration_does_not_go_on_in_the_same_folder(tmp_path, change):
    train(tmp_path, steps=2)
    with pytest.raises(ValueError, match=r"checkpoint\.pt was made with another configuration"):
        train(tmp_path, **{"steps": 2} | change)


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "weights only"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    train(tmp_path, steps=1)
    path = tmp_path / "checkpoint.pt"
    data = path.read_bytes()
    contents = {"text": b"no checkpoint\n", "empty": b"", "cut": data[: len(data) // 2]}
    if damage == "weights only":
        torch.save({"network": {}}, path)
    else:
        path.write_bytes(contents[damage])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged or no checkpoint; delete it"):
        train(tmp_path, steps=1)


def test_a_checkpoint_never_runs_code(tmp_path):
    trace = tmp_path / "executed"

    class Payload:
        def __reduce__(self):
            return (open, (str(trace), "w"))

    torch.save({"config": Payload()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="damaged"):
        train(tmp_path)
    assert not trace.exists()


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "train_step", lambda *_: math.nan)
    with pytest.raises(FloatingPointError, match="lower --learning-rate"):
        train(tmp_path)
    assert not (tmp_path / zoo.CARD_FILE).exists()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9, 10, 11, 20])
def test_any_number_of_steps_has_a_schedule(tmp_path, steps):
    run = Run(FinetuneConfig(**TINY | {"steps": steps}), tmp_path)
    rates = []
    for _ in range(steps):
        rates.append(run.schedule.get_last_lr()[0])
        run.optimiser.step()
        run.schedule.step()
    assert all(0 < rate <= run.config.learning_rate * (1 + 1e-9) for rate in rates)


def test_batches_depend_on_seed_and_step_only():
    config = FinetuneConfig(**TINY)
    from_start = synthetic_batches(config, 0)
    for _ in range(3):
        next(from_start)
    rows, label = next(from_start)
    again, same = next(synthetic_batches(config, 3))
    assert torch.equal(rows, again)
    assert torch.equal(label, same)
    assert rows.shape == (6, 2, 128)
    other, _ = next(synthetic_batches(config, 4))
    assert not torch.equal(rows, other)


@pytest.mark.parametrize("prior", [0.02, 1 / len(CLASSES), 0.3, 0.9])
@torch.no_grad()
def test_the_noise_prior_is_bayes_rule(prior, model_folder):
    """Posterior odds of noise grow by prior odds over training odds; other classes keep theirs."""
    network = zoo.load(model_folder).network
    rows = torch.sin(torch.arange(4 * 2 * 128).float() ** 1.1).view(4, 2, 128)
    before = network(rows).double().softmax(1)
    shift_noise_prior(network, prior)
    after = network(rows).double().softmax(1)
    noise = CLASSES.index("noise")
    uniform = 1 / len(CLASSES)
    weight = torch.full((len(CLASSES),), (1 - prior) / (1 - uniform)).double()
    weight[noise] = prior / uniform
    wanted = before * weight
    torch.testing.assert_close(after, wanted / wanted.sum(1, keepdim=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "soup"}, "no recipe 'soup'.*clean"),
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"window_samples": 0}, "window_samples is 0"),
        ({"checkpoint_steps": -1}, "checkpoint_steps is -1"),
        ({"test_windows": 0}, "test_windows is 0"),
        ({"snr_db": (10.0, 0.0)}, "the lowest, then the highest"),
        ({"noise_prior": 0.0}, "noise_prior is 0"),
        ({"noise_prior": 1.0}, "noise_prior is 1"),
        ({"name": ""}, "name is ''"),
        ({"name": "../x"}, r"name is '\.\./x'"),
        ({"name": ".x"}, r"name is '\.x'"),
        ({"device": "gpu"}, "device is 'gpu'"),
    ],
)
def test_a_configuration_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        FinetuneConfig(**TINY | change)


# The command


@pytest.fixture
def run(model_folder, monkeypatch, capsys):
    """Runs the command: (*arguments) -> (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        return command.main(), *capsys.readouterr()

    return call


def tiny_arguments(out):
    return [
        "finetune", "--name", "amc-tiny", "--out", out, "--steps", 2, "--batch", 4,
        "--test-windows", 1, "--snr-db", 0, 30,
    ]  # fmt: skip


def test_finetune_and_evaluate_from_the_command_line(run, tmp_path):
    code, out, _ = run(*tiny_arguments(tmp_path / "m"))
    assert code == 0
    assert re.search(r"^SNR dB +0 +20$", out, re.M)
    assert out.endswith(f"wrote {tmp_path / 'm'}\n")
    assert zoo.read_card(tmp_path / "m").training["snr_db"] == [0.0, 30.0]
    code, out, _ = run(
        "evaluate", "--model", tmp_path / "m", "--windows", 1, "--recipe", "rml",
        "--out", tmp_path / "result",
    )  # fmt: skip
    assert code == 0
    found = json.loads((tmp_path / "result" / "metrics.json").read_text())
    needed = {"accuracy", "accuracy_per_snr", "macro_f1", "ece", "classes", "confusion"}
    assert needed <= found.keys()
    assert (found["model"], found["recipe"]) == ("amc-tiny", "rml")
    assert set(found["accuracy_per_snr"]) == {str(snr) for snr in evaluate.SNRS_DB}


def test_evaluate_an_npz(run, model_folder, tmp_path):
    np.savez(
        tmp_path / "x.npz", X=np.ones((4, 2, 128), np.float32), y=["BPSK"] * 4, snr=[0, 0, 2, 2]
    )
    code, _, _ = run(
        "evaluate", "--model", model_folder.name, "--dataset", "npz",
        "--path", tmp_path / "x.npz", "--out", tmp_path,
    )  # fmt: skip
    assert code == 0
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["accuracy_per_snr"].keys() == {"0", "2"}


def test_mistakes_on_the_command_line_are_one_line_each(run, model_folder, tmp_path):
    (tmp_path / "file").write_text("no folder\n")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "checkpoint.pt").write_text("no checkpoint\n")
    card = zoo.read_card(model_folder)
    two = finetune.nets.create("tsnet-nano", class_count=2)
    changed = {**card.__dict__, "classes": ("x", "y"), "name": "two"}
    zoo.save(tmp_path / "two", zoo.Card(**changed), two)
    evaluated = ["evaluate", "--out", tmp_path / "out", "--model"]
    for arguments, words in (
        ([*tiny_arguments(tmp_path / "m"), "--steps", 0], "steps is 0"),
        ([*tiny_arguments(tmp_path / "m"), "--device", "gpu"], "device is 'gpu'"),
        ([*tiny_arguments(tmp_path / "m"), "--device", "cuda:99"], "cuda"),
        ([*tiny_arguments(tmp_path / "m"), "--window-samples", 100], "window of 100 samples"),
        (tiny_arguments(tmp_path / "file" / "m"), "file"),
        (tiny_arguments(tmp_path / "bad"), "delete it to start anew"),
        ([*evaluated, "amc-missing"], "no model 'amc-missing'"),
        ([*evaluated, model_folder, "--dataset", "npz"], "needs --path"),
        ([*evaluated, model_folder, "--dataset", "npz", "--path", tmp_path / "no"], "no .npz"),
        ([*evaluated, model_folder, "--windows", 0], "windows_per_class is 0"),
        ([*evaluated, tmp_path / "two"], "two has other classes than synthetic windows"),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (1, ""), arguments
        assert err.startswith("error: "), err
        assert err.count("\n") == 1, err
        assert words in err


def test_a_stopped_run_says_how_to_go_on(run, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "train_step", stop)
    code, _, err = run(*tiny_arguments(tmp_path))
    assert code == 130
    assert "the same command resumes" in err
