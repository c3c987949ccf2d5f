# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-training: the loss of Eq. 7, the ablations, and a model folder to start from."""

import math

import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.nets.diffusion import Diffusion
from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.objectives import OBJECTIVES
from gr_tsddae.train.objectives.denoising import Denoising, Restoration
from gr_tsddae.train.pretrain import pretrain


class Oracle(torch.nn.Module):
    """Remembers what it saw, and estimates nothing."""

    def forward(self, noisy, step):
        self.noisy, self.step = noisy, step
        return torch.zeros_like(noisy), torch.zeros_like(noisy)


def windows(count=4000):
    """Constant windows of unit power, the same for all: the mean of noisy ones tells abar."""
    return torch.full((count, 2, 4), 0.5**0.5)


def test_steps_are_uniform_and_noise_is_that_of_the_step(settings):
    oracle = Oracle()
    Denoising(settings(PretrainConfig), oracle).loss(windows(), torch.zeros(4000))
    assert 1 <= int(oracle.step.min()) < 30
    assert 2970 < int(oracle.step.max()) <= 3000
    assert abs(oracle.step.float().mean().item() - 1500.5) < 60
    signal = Diffusion().alpha_bar[oracle.step].view(-1, 1, 1)
    noise = oracle.noisy - signal * windows()
    ratio = noise / (1 - signal.square()).sqrt()
    assert ratio.square().mean().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, 1 + 0.414**2),  # the square of eps + lambda eta, both unit Gaussian
        ({"ratio": 0.8}, 1 + 0.8**2),
        ({"split": "published_code"}, 1 + ((1 - 0.414) / 0.414) ** 4),
    ],
)
def test_the_loss_of_knowing_nothing(settings, changes, wanted):
    loss = Denoising(settings(PretrainConfig, **changes), Oracle()).loss(windows(), None)
    assert loss.item() == pytest.approx(wanted, rel=0.03)


def test_weights_of_equation_7(settings):
    oracle = Oracle()
    method = Denoising(settings(PretrainConfig, weighted=True), oracle)
    loss = method.loss(windows(), None).item()
    signal_power = Diffusion().alpha_bar[oracle.step].double().square()
    weight = (1 - signal_power) / (1 + 0.414**2) / signal_power
    # Steps with hardly any signal dominate, and few windows are there.
    assert loss == pytest.approx((weight * (1 + 0.414**2)).mean().item(), rel=0.2)


def test_a_single_noise_restores_the_window(settings):
    oracle = Oracle()
    method = Restoration(settings(PretrainConfig, objective="single"), oracle)
    assert method.loss(windows(), None).item() == pytest.approx(0.5)  # of an estimate of nothing
    signal = Diffusion().alpha_bar[oracle.step].view(-1, 1, 1)
    power = (oracle.noisy - signal * windows()).square().mean((1, 2)) / (1 - signal.square())[
        :, 0, 0
    ]
    assert power.mean().item() == pytest.approx(1, abs=0.03)
    oracle.forward = lambda noisy, step: (0.25 * windows(), 0.75 * windows())
    assert method.loss(windows(), None).item() == pytest.approx(0, abs=1e-12)


ABLATIONS = [
    {}, {"temporal": False}, {"spectral": False}, {"interactive": False},
    {"derived": True},
]  # fmt: skip


@pytest.mark.parametrize("objective", ["noise", "single"])
@pytest.mark.parametrize("options", ABLATIONS)
def test_gradients_reach_every_parameter(settings, options, objective):
    config = settings(PretrainConfig, network={"options": options}, objective=objective)
    torch.manual_seed(0)
    denoiser = nets.create_denoiser(config.network.name, **config.network.options)
    classifier = nets.create(config.network.name, class_count=3, **config.network.options)
    rows = torch.randn(6, 2, 32)
    OBJECTIVES[objective](config, denoiser).loss(rows, None).backward()
    classifier(rows).square().sum().backward()
    for network in (denoiser, classifier):
        without = [name for name, p in network.named_parameters() if p.grad is None]
        assert not without
        assert not any("cross_scale" in name for name in network.state_dict()) or (
            options in ({}, {"derived": True})
        )


def test_encoders_apart_see_one_domain():
    options = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}
    rows = torch.randn(2, 2, 32, requires_grad=True)
    for switch in ({"interactive": False}, {"temporal": False}, {"spectral": False}):
        backbone = nets.create("tsnet-nano", class_count=2, **options, **switch).backbone.eval()
        bins = torch.randn(2, 2, 32, requires_grad=True)
        embeddings = backbone(rows, bins, torch.zeros(1))
        assert len(embeddings) == (2 if "interactive" in switch else 1)
        if switch != {"temporal": False}:
            by_rows, by_bins = torch.autograd.grad(
                embeddings[0].sum(), (rows, bins), allow_unused=True, retain_graph=True
            )
            assert by_rows is not None and by_bins is None
        if switch != {"spectral": False}:
            by_rows, by_bins = torch.autograd.grad(
                embeddings[-1].sum(), (rows, bins), allow_unused=True
            )
            assert by_rows is None and by_bins is not None
    with pytest.raises(ValueError, match="no encoder would be left"):
        nets.create("tsnet-nano", class_count=2, temporal=False, spectral=False)


def test_pre_training_writes_a_model_that_denoises(settings, journal):
    config = settings(PretrainConfig, trainer={"epochs": 4}, optimiser={"learning_rate": 0.01})
    card = pretrain(config)
    model = zoo.load(config.out)
    assert (card.task, card.classes, card.window_samples) == (zoo.DENOISING, (), 32)
    assert model.card == card
    losses = journal(config.out, "validation_loss")
    assert sorted(losses) == [4, 8, 12, 16]
    best = min(losses, key=losses.get)
    assert card.accuracy == {"validation_loss": losses[best], "step": best}
    assert losses[best] < 0.9 * (1 + 0.414**2), "it learned something"
    assert card.training["split"] == "paper"
    assert math.isfinite(sum(journal(config.out, "loss").values()))


def test_patience_counts_steps(settings, journal):
    """With hardly a step, no loss stays the minimum for long."""
    config = settings(
        PretrainConfig,
        optimiser={"learning_rate": 1e-6, "plateau_patience": 2},
        trainer={"epochs": 50, "stop_patience": 6},
    )
    pretrain(config)
    rates = journal(config.out, "learning_rate")
    losses = journal(config.out, "loss")
    assert len(rates) < 150
    lowest = min(losses, key=losses.get)
    assert max(losses) == lowest + 6
    assert rates[max(rates)] <= 1e-6 / 2
