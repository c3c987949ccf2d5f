# SPDX-License-Identifier: GPL-3.0-or-later
"""Add classes to a classifier that keeps its own: it learns the new ones and rehearses the old."""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.train.learn.adapt import BATCH, COPIES, HEAD_RATE, Change, outputs
from gr_tsddae.train.learn.parts import one_part, parts_of
from gr_tsddae.train.windows.feed import Batch, seed_of

STEPS = 600
HALF = 256  # of a batch
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
    seed: int,
) -> nn.Module:
    """Train the head on new windows; on rehearsed ones it shall say what its base said.

    Half of every batch is rehearsed (Li and Hoiem, "Learning without forgetting", 2016, with
    windows of the old classes). The encoder stays that of the base. With three transmitters added
    to air-small, its own classes lost five points; eight where the encoder learned, and fourteen
    where only the outputs of taught classes did.

    Args:
        network: Of `with_more_classes`, on the device; its head is changed.
        train: Scaled windows (N, 2, L) and labels (N,) to learn from.
        rehearsed: Scaled windows (M, 2, L), and what the base says of them as probabilities of all
            classes (M, K), 0 for new ones.
        change: Disturbs windows to learn from.
        seed: Of everything that is drawn.
    """
    device, head = train[0].device, network.head
    generator = torch.Generator(device).manual_seed(seed_of("extend", seed))
    copies = [train[0], *(change(train[0], generator) for _ in range(COPIES))]
    new = parts_of(network, torch.cat(copies), batch=4 * BATCH)
    old = parts_of(network, rehearsed[0], batch=4 * BATCH)
    label = train[1].repeat(1 + COPIES)
    # Classes have the same share of the new windows, however many each has.
    count = label.bincount(minlength=rehearsed[1].shape[1]).clamp(min=1)
    share = (1 / count.double())[label]
    head.requires_grad_(True)
    optimiser = torch.optim.AdamW(head.parameters(), lr=HEAD_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, HEAD_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        some = torch.multinomial(share, HALF, replacement=True, generator=generator)
        others = torch.randint(len(old), (HALF,), generator=generator, device=device)
        loss = F.cross_entropy(head(one_part(new[some])), label[some])
        loss = loss + F.cross_entropy(head(one_part(old[others])), rehearsed[1][others])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    head.requires_grad_(False)
    return network.eval()


def said_by(
    base: nn.Module, rows: torch.Tensor, place: list[int], class_count: int
) -> torch.Tensor:
    """Compute what a base says of scaled windows, as probabilities of more classes: (M, K)."""
    found = torch.zeros(len(rows), class_count, device=rows.device)
    found[:, place] = outputs(base, rows).softmax(1)
    return found
