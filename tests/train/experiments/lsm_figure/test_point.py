# SPDX-License-Identifier: GPL-3.0-or-later
"""What fixes a point of the few-shot figure."""

import dataclasses

import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.train.experiments.lsm_figure.figure import PANELS
from gr_tsddae.train.experiments.lsm_figure.point import CONTENDERS, Budget, turns
from gr_tsddae.train.objectives import OBJECTIVES


def test_turns_keep_a_window_together():
    rows = torch.randn(3, 2, 16)
    turned = turns(rows, 4).unflatten(0, (3, 4))
    torch.testing.assert_close(turned[:, 0], rows)
    torch.testing.assert_close(turned[:, 1], torch.stack((-rows[:, 1], rows[:, 0]), 1))
    torch.testing.assert_close(turned[:, 2], -rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trials": 0}, "trials is 0"),
        ({"shots": ()}, "shots is"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"contrast_windows": (1, 1, 1, 0)}, "contrast_windows is"),
        ({"networks": {"vgg": {}}}, "networks names vgg"),
    ],
)
def test_a_budget_that_cannot_be(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(Budget(), **changes)


def test_every_method_of_a_panel_can_learn():
    assert {method for panel in PANELS.values() for method in panel.methods} == set(CONTENDERS)
    for contender in CONTENDERS.values():
        assert contender.network in nets.names()
        assert contender.how in {*OBJECTIVES, "labels", "prototypical", "relation"}
