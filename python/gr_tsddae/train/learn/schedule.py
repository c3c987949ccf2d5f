# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimiser and its learning rate."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from gr_tsddae.train.config import OptimiserConfig


def optimiser_of(config: OptimiserConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.AdamW:
    """Make AdamW over the parameters that learn; vectors and scalars have no weight decay."""
    learning = [p for p in parameters if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in learning if p.ndim > 1]},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,  # one kernel for all parameters, instead of several for each
    )


def schedule_of(
    config: OptimiserConfig, optimiser: torch.optim.Optimizer, *, steps: int
) -> LRScheduler:
    """Make the schedule of a configuration; `steps` is the length of the run.

    Step a plateau with losses; step the others once per optimiser step.
    """
    if config.schedule == "plateau":
        return ReduceLROnPlateau(
            optimiser,
            mode="min",
            factor=0.5,
            patience=config.plateau_patience,
            min_lr=config.min_learning_rate,
        )
    if config.schedule == "onecycle":
        # A tenth warms up; where that is a single step, torch would divide by zero.
        return OneCycleLR(
            optimiser,
            config.learning_rate,
            total_steps=steps,
            pct_start=0.1 if steps > 10 else 0.3,
        )
    return ConstantLR(optimiser, factor=1.0)
