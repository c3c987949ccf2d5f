# SPDX-License-Identifier: GPL-3.0-or-later
"""The search: resumed, shared, and judged on the validation set alone."""

import dataclasses
import sys

import pytest
import torch
import yaml

from gr_tsddae.train import __main__ as command
from gr_tsddae.train.config import NetworkChoice, TrainerConfig
from gr_tsddae.train.experiments import search as module
from gr_tsddae.train.experiments.experiment import ClassifierSettings, PretrainSettings
from gr_tsddae.train.experiments.search import SearchConfig, search
from gr_tsddae.train.finetune import classifier
from gr_tsddae.train.measure.predict import predict_finite
from gr_tsddae.train.run.run import Run
from gr_tsddae.train.windows.sources import DatasetSource

optuna = pytest.importorskip("optuna")
OPTIONS = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}
TRAINER = TrainerConfig(epochs=1, device="cpu", precision="32")
SCRATCH = ("learning_rate", "dropout", "weight_decay", "batch")


@pytest.fixture
def config(npz, tmp_path):
    def make(**changes):
        settings = {
            "dataset": "npz",
            "path": npz,
            "out": tmp_path / "found",
            "network": NetworkChoice(name="tsnet-nano", options=OPTIONS),
            "trials": 2,
            "parameters": SCRATCH,
            "batch": (16, 32),
            "pretrain": PretrainSettings(trainer=TRAINER),
            "finetune": ClassifierSettings(trainer=TRAINER),
        }
        return SearchConfig(**settings | changes)

    return make


def trials_of(config):
    storage = f"sqlite:///{config.out / 'study.db'}"
    return optuna.load_study(study_name="search", storage=storage).trials


@pytest.fixture
def no_training(monkeypatch):
    """A trial's value is a formula, so that the search itself is what is tested."""
    seen = []

    def value(trial, config, source):
        seen.append(trial.number)
        return -((trial.params["dropout"] - 0.2) ** 2)

    monkeypatch.setattr(module, "_value", value)
    return seen


def test_a_search_resumes_and_finds_the_best(config, no_training, tmp_path):
    search(config(trials=3))
    best = search(config(trials=12))
    assert no_training == list(range(12))
    trials = trials_of(config())
    assert best["accuracy"] == max(t.value for t in trials)
    whole = config(trials=12, out=tmp_path / "whole")
    search(whole)  # as random with a pause as without
    assert [t.params for t in trials_of(whole)] == [t.params for t in trials]
    assert len({t.params["learning_rate"] for t in trials}) == 12
    search(config(trials=12))
    assert len(no_training) == 24
    with pytest.raises(ValueError, match=r"another configuration \(dropout\)"):
        search(config(dropout=(0.0, 0.1)))


def test_a_dead_process_s_trial_is_run_again(config, monkeypatch, no_training):
    class Killed(BaseException):
        pass

    def killed(trial, config, source):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, "_value", killed)
        search(config())
    (lost,) = trials_of(config())
    assert lost.state == optuna.trial.TrialState.RUNNING
    search(config())
    found = trials_of(config())
    assert found[0].state == optuna.trial.TrialState.FAIL
    assert found[1].params == lost.params  # in the same folder, to go on from its checkpoint
    assert module._folder(found[1], config()).name == "trial-0"
    assert [t.state.name for t in found[1:]] == ["COMPLETE", "COMPLETE"]


def test_a_running_trial_of_another_process_is_left_alone(config, monkeypatch, no_training):
    """While a trial runs, another process counts it, and starts the next one."""
    value = module._value

    def nested(trial, config, source):
        if trial.number == 0:
            search(config)
        return value(trial, config, source)

    monkeypatch.setattr(module, "_value", nested)
    search(config(trials=2))
    assert no_training == [1, 0]
    assert [t.state.name for t in trials_of(config())] == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("objective", ["accuracy", "loss"])
def test_the_value_is_that_of_the_validation_part(config, objective, tmp_path):
    config = config(objective=objective, trials=1)
    best = search(config)
    recipe = yaml.safe_load((config.out / "best.yaml").read_text())
    assert recipe["optimiser"]["learning_rate"] == best["learning_rate"]
    assert recipe["network"]["options"]["dropout"] == best["dropout"]
    words = ["--config", str(config.out / "best.yaml"), "--name=x", f"--out={tmp_path / 'again'}"]
    words += ["--trainer.epochs=1", "--trainer.device=cpu", "--trainer.precision=32"]
    again = command.parse("finetune", words)
    assert again.optimiser.batch == best["batch"]
    # Trained once more, with the recipe.
    source = DatasetSource(again.data, labelled=True)
    torch.manual_seed(1)
    run = Run(again, validated=True)
    method = module.Classification(again, classifier(again, source))
    network = run.fit(method, source.feed(again, run.place), source.validation(again, run.place))
    logits, label, _ = predict_finite(network, source.validation_set(), scaling="unit_power")
    expected = {
        "accuracy": (logits.argmax(1) == label).float().mean().item(),
        "loss": torch.nn.functional.cross_entropy(logits, label).item(),
    }
    assert best[objective] == pytest.approx(expected[objective], rel=1e-4)


def test_with_lambda_every_trial_is_pretrained(config):
    config = config(parameters=("ratio", "learning_rate"), trials=1)
    best = search(config)
    start = yaml.safe_load((config.out / "best-pretrain.yaml").read_text())
    assert start["ratio"] == best["ratio"]
    tuned = yaml.safe_load((config.out / "best.yaml").read_text())
    assert tuned["init"] == str(config.out / "trial-0" / "pretrained")


def test_a_bad_trial_is_pruned(config, monkeypatch):
    asked = []

    def prune(self):
        asked.append(self.number)
        return True

    monkeypatch.setattr(optuna.Trial, "should_prune", prune)
    two = TrainerConfig(epochs=2, device="cpu", precision="32")
    with pytest.raises(ValueError, match="no trial has come to its end"):
        search(config(trials=1, finetune=ClassifierSettings(trainer=two)))
    assert asked == [0]  # after the first epoch, not the second
    (trial,) = trials_of(config())
    assert trial.state == optuna.trial.TrialState.PRUNED
    assert list(trial.intermediate_values) == [0]


def test_without_optuna_the_extra_is_named(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"gr-tsddae\[hpo\]"):
        search(config())


def test_searches_that_cannot_be(config):
    with pytest.raises(ValueError, match="dropout is"):
        config(dropout=(0.5, 0.1))
    with pytest.raises(ValueError, match=r"pretrain\.objective is single.*leave ratio out"):
        config(parameters=("ratio",), pretrain=PretrainSettings(objective="single"))
    with pytest.raises(ValueError, match="leave ratio out"):
        config(parameters=("ratio",), init="x")
    with pytest.raises(ValueError, match="at least one"):
        dataclasses.replace(config(), trials=0)
