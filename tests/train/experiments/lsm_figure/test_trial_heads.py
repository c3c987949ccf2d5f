# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of many trials side by side are those that would be trained one after another."""

import pytest
import torch
import torch.nn.functional as F

from gr_tsddae import nets
from gr_tsddae.train.experiments.lsm_figure.trial_heads import _fresh, accuracy, train_heads


@pytest.fixture
def head():
    return nets.create("cnn2", class_count=3, width=2, hidden=6).head


def test_side_by_side_is_one_after_another(head):
    torch.manual_seed(0)
    parts, label = torch.randn(4, 9, 1, 6), torch.arange(9) % 3
    torch.manual_seed(1)
    (states,) = train_heads(head, parts, label, steps=20, learning_rate=0.05)
    torch.manual_seed(1)
    alone = [_fresh(head) for _ in range(4)]
    for one, rows, state in zip(alone, parts[:, :, 0], states, strict=True):
        optimiser = torch.optim.Adam(one.parameters(), lr=0.05)
        for _ in range(20):
            optimiser.zero_grad()
            F.cross_entropy(one(rows), label).backward()
            optimiser.step()
        for name, value in one.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-5)
    assert not torch.equal(states[0]["0.weight"], states[1]["0.weight"])


@pytest.mark.parametrize("network", ["tsnet-mini", "lsm"])  # dropout and PReLU; many parts
def test_heads_of_all_kinds_learn(network):
    torch.manual_seed(0)
    options = {"lsm": {"width": 8, "layers": 1, "heads": 2}, "tsnet-mini": {"width": 8, "heads": 1}}
    whole = nets.create(network, class_count=2, **options[network]).eval()
    before = {name: value.clone() for name, value in whole.head.state_dict().items()}
    size = whole.head[0].in_features
    label = torch.arange(10) % 2
    parts = torch.randn(3, 10, 4, size) + 2 * label.view(1, 10, 1, 1)
    looks = list(train_heads(whole.head, parts, label, steps=50, learning_rate=1e-2, checks=5))
    assert [len(states) for states in looks] == [3] * 5
    assert all(torch.equal(value, before[name]) for name, value in whole.head.state_dict().items())
    asked = parts[0] if network == "lsm" else parts[0][:, :1]
    assert accuracy(whole, looks[-1][0], asked, label, batch=4) == 1.0
