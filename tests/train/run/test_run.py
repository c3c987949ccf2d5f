# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's folder: what it refuses to begin with, whose checkpoint it takes, what it leaves."""

import json
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("lightning", reason="training is not installed")

from lightning.pytorch.callbacks import EarlyStopping

from gr_tsddae import nets, zoo
from gr_tsddae.train.config import FinetuneConfig, PretrainConfig, plain
from gr_tsddae.train.run.callbacks import BestCheckpoint, Journal, RunningAverage, StepStopping
from gr_tsddae.train.run.run import Run, read_checkpoint, write_model


def test_a_file_in_place_of_the_folder_is_refused(settings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="a file: choose a folder"):
        Run(settings(FinetuneConfig, tmp_path / "file"), validated=True)


def test_another_number_of_processes_than_configured_is_refused(settings, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"torchrun started 4 processes.*is 1: make them equal"):
        Run(settings(FinetuneConfig), validated=True)


@pytest.mark.parametrize(
    ("kind", "validated", "changes", "chosen"),
    [
        (FinetuneConfig, True, {}, [EarlyStopping, Journal, BestCheckpoint]),
        (FinetuneConfig, False, {}, [Journal]),
        (PretrainConfig, True, {}, [StepStopping, Journal, BestCheckpoint]),
        (FinetuneConfig, True, {"trainer": {"stop_patience": 0}}, [Journal, BestCheckpoint]),
        (FinetuneConfig, False, {"optimiser": {"ema_decay": 0.9}}, [RunningAverage, Journal]),
    ],
)
def test_what_is_asked_for_watches_the_run(settings, kind, validated, changes, chosen):
    changes = {"trainer": {"stop_patience": 3}} | changes
    run = Run(settings(kind, **changes), validated=validated)
    assert [type(each) for each in run._callbacks()] == [*chosen, type(run.last)]
    assert run._callbacks()[-1] is run.last, "it may end the run, so all others come first"


def checkpoint(path, config, **changes):
    state = {"config": plain(config), "finished": False, "global_step": 3}
    torch.save(state | changes, path)
    return path


def test_a_checkpoint_of_this_configuration_is_read(settings, tmp_path):
    config = settings(FinetuneConfig)
    path = checkpoint(tmp_path / "checkpoint.pt", config)
    assert read_checkpoint(path, config)["global_step"] == 3


def test_a_checkpoint_of_another_configuration_is_refused_with_the_key(settings, tmp_path):
    path = checkpoint(tmp_path / "c.pt", settings(FinetuneConfig, optimiser={"batch": 48}))
    with pytest.raises(ValueError, match=r"another configuration \(optimiser\.batch\)"):
        read_checkpoint(path, settings(FinetuneConfig))


@pytest.mark.parametrize("damage", ["cut", "empty", "no checkpoint"])
def test_a_damaged_checkpoint_is_said_to_be(settings, tmp_path, damage):
    config = settings(FinetuneConfig)
    path = checkpoint(tmp_path / "checkpoint.pt", config)
    if damage == "no checkpoint":
        torch.save({"weights": torch.ones(1)}, path)
    else:
        path.write_bytes(path.read_bytes()[: 100 if damage == "cut" else 0])
    with pytest.raises(ValueError, match="is damaged or no checkpoint; delete it"):
        read_checkpoint(path, config)


def test_a_finished_network_gets_a_card_and_its_scores(settings, tmp_path):
    config = settings(FinetuneConfig, tmp_path / "out")
    network = nets.create(config.network.name, class_count=2, **config.network.options)
    source = SimpleNamespace(
        window_samples=32, samples_per_symbol=8.0, bandwidth_multiple=None, sample_rate_hz=1e6
    )
    card = write_model(
        config, source, network, task="amc", classes=("a", "b"), licence="CC0-1.0",
        description="Two classes.", training={"seed": 1}, accuracy={"accuracy": 0.75},
    )  # fmt: skip
    model = zoo.load(tmp_path / "out")
    assert model.card == card and card.weights_sha256
    assert (card.name, card.window_samples, card.sample_rate_hz) == ("tiny", 32, 1e6)
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert told == {"model": "tiny", "accuracy": 0.75}
