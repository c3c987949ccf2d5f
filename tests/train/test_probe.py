# SPDX-License-Identifier: GPL-3.0-or-later
"""The linear probe: the head learns, the backbone does not move at all."""

import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.train.config import PretrainConfig, ProbeConfig
from gr_tsddae.train.finetune import Classification
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.probe import features, probe


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


def test_known_features_are_those_of_the_network(settings, pretrained):
    network = zoo.load(pretrained).network
    classifier = nets.create(
        "tsnet-nano", class_count=2, **zoo.read_card(pretrained).network_options
    ).eval()
    classifier.backbone.load_state_dict(network.backbone.state_dict())
    rows = torch.randn(7, 2, 32)
    found = features(classifier, rows, batch=3)
    torch.testing.assert_close(classifier.head(found), classifier(rows))


def test_a_frozen_part_stays_in_evaluation_mode(settings, pretrained):
    network = nets.create("tsnet-nano", class_count=2, **zoo.read_card(pretrained).network_options)
    config = settings(ProbeConfig, init=pretrained)
    method = Classification(config, network, frozen="backbone").train()
    assert network.head.training
    assert not any(module.training for module in network.backbone.modules())
    assert not any(p.requires_grad for p in network.backbone.parameters())
    assert len(method.state_dict()) == len(network.state_dict())
