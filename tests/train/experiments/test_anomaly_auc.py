# SPDX-License-Identifier: GPL-3.0-or-later
"""Anomaly detection without anomalies: trained on normal windows alone, scored by Eq. 7."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from gr_tsddae import zoo
from gr_tsddae.nets.diffusion import Diffusion
from gr_tsddae.train.config import NetworkChoice, OptimiserConfig, TrainerConfig
from gr_tsddae.train.experiments.anomaly_auc import AnomalyConfig, anomaly, scores
from gr_tsddae.train.experiments.experiment import PretrainSettings
from gr_tsddae.train.windows.sources import DatasetSource

OPTIONS = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}


@pytest.fixture
def config(npz, tmp_path):
    """ "slow" tones are normal, "fast" ones are not."""

    def make(**changes):
        trainer = TrainerConfig(epochs=1, device="cpu", precision="32")
        part = PretrainSettings(optimiser=OptimiserConfig(batch=16), trainer=trainer)
        settings = {
            "dataset": "npz",
            "path": npz,
            "out": tmp_path / "out",
            "network": NetworkChoice(name="tsnet-nano", options=OPTIONS),
            "normal": ("slow",),
            "steps": (100, 800),
            "draws": 3,
            "pretrain": part,
        }
        return AnomalyConfig(**settings | changes)

    return make


def test_only_normal_windows_are_learned_from(config):
    result = anomaly(config())
    card = zoo.load(config().out / "pretrained").card
    # 96, 32 and 32 windows, half of them slow.
    assert card.training["windows"] == {"train": 48, "validation": 16, "test": 32}
    assert (result["windows"], result["anomalies"]) == (32, 16)
    held = np.load(config().out / "scores.npz")
    whole = roc_auc_score(held["anomaly"], held["score"])
    assert result["roc"]["all"]["auc"] == pytest.approx(whole, abs=1e-4)
    at = held["level_db"] == 10
    part = roc_auc_score(held["anomaly"][at], held["score"][at])
    assert result["roc"][10]["auc"] == pytest.approx(part, abs=1e-4)
    dataset = DatasetSource(config().data, labelled=True).dataset
    assert (held["anomaly"] == (dataset.label[held["index"]] == 0)).all()  # fast, slow
    assert json.loads((config().out / "metrics.json").read_text())["roc"]["10"] == result["roc"][10]

    first = (config().out / "pretrained" / "model.safetensors").stat().st_mtime_ns
    assert anomaly(config(batch=5)) == result  # scored again, not trained again
    assert (config().out / "pretrained" / "model.safetensors").stat().st_mtime_ns == first
    with pytest.raises(ValueError, match=r"another configuration \(name\)"):
        anomaly(config(normal=("fast",)))


def test_scores_are_the_loss_of_eq_7(config, npz):
    """Window by window, with the diffusion's own loss."""

    class Guess(torch.nn.Module):
        def forward(self, noisy, step):
            return 0.3 * noisy, -0.1 * noisy * step.view(-1, 1, 1) / 1000

    part = DatasetSource(config().data, labelled=True).dataset.select(np.arange(5))
    found = scores(Guess(), part, config(batch=2))
    assert found.shape == (5, 2)
    diffusion, guess = Diffusion(), Guess()
    noises = torch.randn((2, 3, 2, 1, 2, 32), generator=torch.Generator().manual_seed(1))
    for number in range(5):
        window = torch.from_numpy(part.rows(np.array([number])))
        window = window / window.square().sum(1).mean().sqrt()  # unit power
        for column, step in enumerate((100, 800)):
            at = torch.tensor([step])
            losses = [
                diffusion.loss(*pair, *guess(diffusion.corrupt(window, at, *pair), at)).item()
                for pair in noises[column]
            ]
            assert found[number, column] == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_denoiser_of_slow_tones_is_surprised_by_fast_ones(config):
    """Far apart in the spectrum and free of noise, they are told apart after some epochs."""
    part = PretrainSettings(
        optimiser=OptimiserConfig(batch=8, learning_rate=0.01),
        trainer=TrainerConfig(epochs=40, device="cpu", precision="32", stop_patience=0),
    )
    wide = {"width": 16, "heads": 2, "feedforward": 32, "stride_samples": 1, "kernel_samples": 1}
    network = NetworkChoice(name="tsnet-nano", options=OPTIONS | wide)
    result = anomaly(config(pretrain=part, network=network))
    assert result["roc"][10]["auc"] > 0.8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normal": ("quiet",)}, "normal names quiet; the classes of .* are fast, slow"),
        ({"normal": ("fast", "slow")}, "needs normal windows and others"),
        ({"steps": (0,)}, "steps is"),
        ({"draws": 0}, "draws is 0"),
        ({"pretrain": PretrainSettings(objective="single")}, "objective is single"),
    ],
)
def test_what_cannot_be(config, changes, words):
    with pytest.raises(ValueError, match=words):
        anomaly(config(**changes))
