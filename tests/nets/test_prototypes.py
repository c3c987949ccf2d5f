# SPDX-License-Identifier: GPL-3.0-or-later
"""Prototypical and relation networks against their papers' equations, written out as loops."""

import math

import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.nets.prototypes import Prototypical, Relation

WAYS, SHOTS, CHANNELS, SAMPLES = 3, 2, 4, 5


@pytest.fixture
def episode():
    """Support (N, K, E), queries (Q, E) and their labels."""
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(WAYS, SHOTS, CHANNELS * SAMPLES, generator=generator)
    return support, torch.randn(6, CHANNELS * SAMPLES, generator=generator), torch.arange(6) % WAYS


def test_prototypical_loss(episode):
    support, query, label = episode
    total = 0.0
    for q, true in zip(query, label, strict=True):
        distances = []
        for of in support:
            prototype = sum(of) / SHOTS
            distances.append(
                sum((float(a) - float(b)) ** 2 for a, b in zip(q, prototype, strict=True))
            )
        weights = [math.exp(-(d - min(distances))) for d in distances]
        total -= math.log(weights[true] / sum(weights))
    learner = Prototypical(torch.nn.Identity())
    found = learner.loss(learner(support, query), label)
    assert found.item() == pytest.approx(total / len(query), rel=1e-5)


def test_relation_loss(episode, fill):
    support, query, label = episode
    learner = fill(Relation(torch.nn.Identity(), CHANNELS)).eval()
    total = 0.0
    for q, true in zip(query, label, strict=True):
        for c in range(WAYS):
            maps = torch.cat((sum(support[c]).view(CHANNELS, -1), q.view(CHANNELS, -1)))
            with torch.no_grad():
                compared = learner.compare(maps.unsqueeze(0))[0]  # (C, T)
                score = torch.sigmoid(learner.dense(compared.mean(1)))
            total += (float(score) - float(c == true)) ** 2
    scores = learner(support, query)
    assert scores.std() > 1e-4, "scores must differ, or this test shows nothing"
    assert learner.loss(scores, label).item() == pytest.approx(total / scores.numel(), rel=1e-5)


@pytest.mark.parametrize("kind", ["prototypical", "relation"])
def test_gradients_reach_every_parameter(kind):
    torch.manual_seed(0)
    encoder = nets.create_encoder("conv4", width=CHANNELS)
    learner = Prototypical(encoder) if kind == "prototypical" else Relation(encoder, CHANNELS)
    features = encoder(torch.randn(12, 2, 128))
    scores = learner(features[:6].unflatten(0, (WAYS, SHOTS)), features[6:])
    learner.loss(scores, torch.arange(6) % WAYS).backward()
    assert [n for n, p in learner.named_parameters() if p.grad is None or not p.grad.any()] == []
