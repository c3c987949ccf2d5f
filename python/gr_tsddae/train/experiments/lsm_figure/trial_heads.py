# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the heads of many trials on one frozen encoder side by side."""

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from gr_tsddae.train.learn.parts import judged, one_part

State = dict[str, torch.Tensor]


def train_heads(
    head: nn.Module,
    parts: torch.Tensor,
    label: torch.Tensor,
    *,
    steps: int,
    learning_rate: float,
    checks: int = 1,
) -> Iterator[list[State]]:
    """Train one fresh head per trial with Adam, each on its own few windows.

    Trials share nothing but the loop: the sum of their losses has the gradients of each. Every
    step takes all windows of a trial, one part of each.

    Args:
        head: The pattern of a head; its own weights stay as they are.
        parts: Features of the parts of each trial's windows, (T, S, M, E).
        label: Of these windows, the same in every trial, (S,).
        steps: Optimiser steps.
        learning_rate: Of Adam.
        checks: How often to give the heads as they are, the last time in the end.

    Yields:
        The state of each trial's head.
    """
    trials = len(parts)
    heads = [_fresh(head) for _ in range(trials)]
    weights, buffers = stack_module_state(heads)
    like = heads[0].train()
    optimiser = torch.optim.Adam(weights.values(), lr=learning_rate)

    def logits(state: State, held: State, features: torch.Tensor) -> torch.Tensor:
        return functional_call(like, (state, held), (features,))

    side_by_side = vmap(logits, randomness="different")
    for step in range(1, steps + 1):
        drawn = one_part(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])  # (T, S, E)
        found = side_by_side(weights, buffers, drawn)  # (T, S, K)
        loss = F.cross_entropy(found.flatten(0, 1), label.repeat(trials)) * trials
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step * checks // steps > (step - 1) * checks // steps:
            yield [
                {name: value[t].detach().clone() for name, value in (weights | buffers).items()}
                for t in range(trials)
            ]


@torch.no_grad()
def accuracy(
    network: nn.Module, head: State, parts: torch.Tensor, label: torch.Tensor, *, batch: int
) -> float:
    """Compute the share of windows that this head recognises: (Q, M, E), (Q,) -> 0 to 1."""
    network.head.load_state_dict(head)
    network.head.eval()
    right = sum(
        int((judged(network, some).argmax(1) == true).sum())
        for some, true in zip(parts.split(batch), label.split(batch), strict=True)
    )
    return right / len(label)


def _fresh(head: nn.Module) -> nn.Module:
    new = copy.deepcopy(head)
    for module in new.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return new
