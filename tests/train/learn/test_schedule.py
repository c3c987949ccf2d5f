# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimiser decays matrices alone, and a schedule fits runs of any length."""

import pytest
import torch

from gr_tsddae.train.config import FinetuneConfig
from gr_tsddae.train.learn.schedule import optimiser_of, schedule_of


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9, 10, 11, 20])
def test_any_number_of_steps_has_a_schedule(settings, steps):
    config = settings(FinetuneConfig, optimiser={"schedule": "onecycle"}).optimiser
    optimiser = optimiser_of(config, [torch.nn.Parameter(torch.ones(2, 2))])
    schedule = schedule_of(config, optimiser, steps=steps)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    assert all(0 < rate <= config.learning_rate * (1 + 1e-9) for rate in rates)


def test_vectors_are_not_decayed(settings):
    network = torch.nn.Linear(3, 2)
    matrices, vectors = optimiser_of(
        settings(FinetuneConfig).optimiser, network.parameters()
    ).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.01, 0.0)
    assert matrices["params"][0] is network.weight
    assert vectors["params"][0] is network.bias
