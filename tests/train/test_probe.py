# SPDX-License-Identifier: GPL-3.0-or-later
"""The linear probe: the head learns, the backbone does not move at all."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gr_tsddae import nets, zoo
from gr_tsddae.nets.lsm import LSM, LSMConfig
from gr_tsddae.train import config as configs
from gr_tsddae.train.config import FinetuneConfig, PretrainConfig, ProbeConfig
from gr_tsddae.train.learn.parts import parts_of
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.probe import HeadTraining, probe

LSM_OPTIONS = {"width": 12, "heads": 1, "layers": 1, "class_layers": 1, "dropout": 0.0}


@pytest.fixture
def pretrained(settings, tmp_path):
    pretrain(settings(PretrainConfig, tmp_path / "pretrained", trainer={"epochs": 1}))
    return tmp_path / "pretrained"


@pytest.mark.parametrize("augment", [False, True])  # features computed once, and at each step
def test_only_the_head_learns(settings, pretrained, augment, journal):
    config = settings(
        ProbeConfig, init=pretrained, optimiser={"learning_rate": 0.02},
        trainer={"epochs": 12, "augment": augment},
    )  # fmt: skip
    card = probe(config)
    model, before = zoo.load(config.out), zoo.load(pretrained)
    # BatchNorm's running statistics are in the state too.
    for name, value in before.network.backbone.state_dict().items():
        assert torch.equal(model.network.backbone.state_dict()[name], value), name
    losses = list(journal(config.out, "loss").values())
    assert sum(losses[-8:]) < sum(losses[:8])
    assert card.training["init"] == pretrained.name
    assert "a head trained on the frozen pretrained" in card.description
    head = model.network.head[0].weight
    assert head.shape == (8, 16)


@pytest.mark.parametrize("known", [False, True])
def test_only_the_head_is_in_training(settings, pretrained, known):
    network = nets.create("tsnet-nano", class_count=2, **zoo.read_card(pretrained).network_options)
    method = HeadTraining(settings(ProbeConfig, init=pretrained), network.eval(), known=known)
    assert network.head.training, "Lightning trains modules in the mode it finds them in"
    assert not any(module.training for module in network.backbone.modules())
    assert {id(p) for p in method.parameters()} == {id(p) for p in network.head.parameters()}
    rows = torch.randn(4, 2, 32)
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    given = parts_of(network, rows, batch=4) if known else rows
    method.loss(given, torch.tensor([0, 1, 0, 1])).backward()
    assert all(p.grad is not None for p in network.head.parameters())
    assert all(p.grad is None for p in network.backbone.parameters())
    for name, value in before.items():
        assert torch.equal(network.backbone.state_dict()[name], value), name


@pytest.mark.parametrize("known", [False, True])
def test_the_head_of_lsm_learns_from_patches_and_is_judged_by_votes(settings, fill, known):
    network = fill(LSM(LSMConfig(**LSM_OPTIONS), class_count=3))
    method = HeadTraining(settings(FinetuneConfig), network, known=known)
    rows, label = torch.randn(5, 2, 128), torch.tensor([0, 1, 2, 1, 0])
    given = parts_of(network, rows, batch=2) if known else rows
    with torch.no_grad():
        patches = [rows[..., start : start + 12] for start in range(0, 120, 12)]
        logits = [network.head(network.backbone.features(patch)) for patch in patches]
        losses = torch.stack([F.cross_entropy(each, label, reduction="none") for each in logits])
        votes = torch.stack([each.softmax(1) for each in logits]).mean(0)
        assert losses.std(0).min() > 1e-4, "patches must differ, or this test shows nothing"
        method.train()
        torch.manual_seed(3)
        drawn = torch.randint(10, (5,))
        torch.manual_seed(3)
        found = method.loss(given, label)
        torch.testing.assert_close(found, losses[drawn, torch.arange(5)].mean())
        method.eval()
        torch.testing.assert_close(method.loss(given, label), F.nll_loss(votes.log(), label))


@pytest.mark.parametrize("resident_gb", [8.0, 2e-4])  # the windows fit, their patches do not
def test_a_probe_of_lsm(settings, npz, tmp_path, resident_gb, journal, monkeypatch):
    known = []
    made = HeadTraining.__init__
    monkeypatch.setattr(
        HeadTraining, "__init__", lambda *a, **k: (known.append(k["known"]), made(*a, **k))[1]
    )
    network = configs.NetworkChoice(name="lsm", options=LSM_OPTIONS | {"window_samples": 128})
    with np.load(npz, allow_pickle=False) as content:
        rows = np.concatenate([content["X"]] * 4, axis=2)  # 128 samples
        np.savez(tmp_path / "long.npz", X=rows, y=content["y"], snr=content["snr"])
    data = {"path": tmp_path / "long.npz", "resident_gb": resident_gb}

    def run(kind, folder, **changes):
        config = settings(kind, tmp_path / folder, data=data, **changes)
        return dataclasses.replace(config, network=network)

    started = run(PretrainConfig, "pretrained", objective="lsm", trainer={"epochs": 1})
    pretrain(started)
    config = run(
        ProbeConfig, "probed", init=started.out, optimiser={"learning_rate": 0.02},
        trainer={"epochs": 12},
    )  # fmt: skip
    probe(config)
    assert known == [resident_gb == 8.0]
    losses = list(journal(config.out, "validation_loss").values())
    assert losses[-1] < losses[0]
