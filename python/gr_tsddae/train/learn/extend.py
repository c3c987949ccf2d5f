# SPDX-License-Identifier: GPL-3.0-or-later
"""Add classes to a classifier that keeps its own: it learns the new ones and rehearses the old."""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.train.learn.adapt import BATCH, CLIP_NORM, Change, outputs
from gr_tsddae.train.windows.feed import Batch, seed_of

STEPS_PER_EPOCH = 20
NEW_ROW_SCALE = 0.1  # of a usual row of the last layer, so that new classes begin unlikely
NEW_ROW_BIAS = -4.0


def with_more_classes(network: nn.Module, wider: nn.Module, place: list[int]) -> nn.Module:
    """Copy a classifier's weights into one with more classes.

    Args:
        network: The classifier.
        wider: Of the same kind, with random weights; it is changed.
        place: Output of `wider` for each output of `network`.
    """
    own, state = wider.state_dict(), network.state_dict()
    last = max(i for i, layer in enumerate(network.head) if isinstance(layer, nn.Linear))
    for name, value in state.items():
        if not name.startswith(f"head.{last}."):
            own[name] = value
    weight, bias = own[f"head.{last}.weight"], own[f"head.{last}.bias"]
    weight *= NEW_ROW_SCALE
    bias.fill_(NEW_ROW_BIAS)
    weight[place], bias[place] = state[f"head.{last}.weight"], state[f"head.{last}.bias"]
    wider.load_state_dict(own)
    return wider.eval()


def extend(
    network: nn.Module,
    train: Batch,
    rehearsed: tuple[torch.Tensor, torch.Tensor],
    change: Change,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> nn.Module:
    """Train a classifier on new windows; on rehearsed ones it shall say what its base said.

    Half of every batch is rehearsed (Li and Hoiem, "Learning without forgetting", 2016, with
    windows of the old classes).

    Args:
        network: Of `with_more_classes`, on the device; it is changed.
        train: Scaled windows (N, 2, L) and labels (N,) to learn from.
        rehearsed: Scaled windows (M, 2, L), and what the base says of them as probabilities of all
            classes (M, K), 0 for new ones.
        change: Disturbs windows to learn from, anew at each step.
        epochs: Each of 20 steps; 0 trains the head alone, as long as 10.
        learning_rate: Highest one.
        seed: Of everything that is drawn.
    """
    device = train[0].device
    generator = torch.Generator(device).manual_seed(seed_of("extend", seed))
    trained = network if epochs else network.head
    for parameter in network.parameters():
        parameter.requires_grad_(not epochs)
    for parameter in trained.parameters():
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=learning_rate)
    steps = STEPS_PER_EPOCH * (epochs or 10)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps)
    # Classes have the same share of the new windows, however many each has.
    count = train[1].bincount(minlength=rehearsed[1].shape[1]).clamp(min=1)
    share = (1 / count.double())[train[1]]
    half = BATCH // 2
    for _ in range(steps):
        new = torch.multinomial(share, half, replacement=True, generator=generator)
        old = torch.randint(len(rehearsed[0]), (half,), generator=generator, device=device)
        rows = torch.cat((change(train[0][new], generator), rehearsed[0][old]))
        logits = network(rows)
        loss = F.cross_entropy(logits[:half], train[1][new])
        loss = loss + F.cross_entropy(logits[half:], rehearsed[1][old])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), CLIP_NORM)
        optimiser.step()
        schedule.step()
    return network.requires_grad_(False).eval()


def said_by(
    base: nn.Module, rows: torch.Tensor, place: list[int], class_count: int
) -> torch.Tensor:
    """Compute what a base says of scaled windows, as probabilities of more classes: (M, K)."""
    found = torch.zeros(len(rows), class_count, device=rows.device)
    found[:, place] = outputs(base, rows).softmax(1)
    return found
