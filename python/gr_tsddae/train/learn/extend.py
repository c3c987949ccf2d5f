# SPDX-License-Identifier: GPL-3.0-or-later
"""Add classes to a classifier that keeps its own: it learns the new ones and rehearses the old."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.train.learn.adapt import BATCH, COPIES, HEAD_RATE, Change, outputs
from gr_tsddae.train.learn.parts import one_part, parts_of
from gr_tsddae.train.windows.feed import Batch, seed_of

STEPS = 600
HALF = 256  # of a batch
MORE_UNITS = 64  # hidden units of the head that new classes get
NEW_ROW_BIAS = -4.0  # new classes begin unlikely
OLD_WEIGHT = 4.0  # of a rehearsed window in the loss, that of a new one being 1
RECALL = 0.95  # of the windows of a new class, that stay its own where old classes are favoured


def with_more_classes(network: nn.Module, wider: nn.Module) -> nn.Module:
    """Copy a classifier's weights into one with more classes and a head with more hidden units.

    The old outputs stay what they are. The new ones see the new units alone.

    Args:
        network: The classifier.
        wider: Of the same kind, with random weights; it is changed. Its first outputs are those of
            `network`.
    """
    own, state = wider.state_dict(), network.state_dict()
    _, last = _linear(network.head)
    old, units = network.head[last].weight.shape
    own[f"head.{last}.weight"][:old] = 0
    own[f"head.{last}.weight"][:, :units] = 0
    own[f"head.{last}.bias"][old:] = NEW_ROW_BIAS
    for name, value in state.items():
        own[name][tuple(slice(size) for size in value.shape)] = value
    wider.load_state_dict(own)
    return wider.eval()


def extend(
    network: nn.Module,
    base: nn.Module,
    train: Batch,
    rehearsed: tuple[torch.Tensor, torch.Tensor],
    change: Change,
    *,
    seed: int,
) -> nn.Module:
    """Train the new part of the head; on rehearsed windows it shall say what the base said.

    Half of every batch is rehearsed (Li and Hoiem, "Learning without forgetting", 2016, with
    windows of the old classes). Nothing that the base had changes, so old classes can only lose
    windows that a new class takes.

    Args:
        network: Of `with_more_classes`, on the device; its head is changed.
        base: The classifier that it was made of.
        train: Scaled windows (N, 2, L) and labels (N,) to learn from. A class that the base has is
            learned further.
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
    first, last = (head[i] for i in _linear(head))
    units = base.head[_linear(base.head)[1]].in_features
    learned = torch.zeros(last.out_features, device=device)
    learned[train[1].unique()] = 1
    new_unit = (torch.arange(first.out_features, device=device) >= units).float()
    open_ = {  # which weights learn
        first.weight: new_unit[:, None],
        first.bias: new_unit,
        last.weight: learned[:, None] * new_unit,
        last.bias: learned,
    }
    network.requires_grad_(False)
    for weight in open_:
        weight.requires_grad_(True)
    # Without weight decay, what has no gradient does not move.
    optimiser = torch.optim.AdamW(list(open_), lr=HEAD_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, HEAD_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        some = torch.multinomial(share, HALF, replacement=True, generator=generator)
        others = torch.randint(len(old), (HALF,), generator=generator, device=device)
        loss = F.cross_entropy(head(one_part(new[some])), label[some])
        kept = F.cross_entropy(head(one_part(old[others])), rehearsed[1][others])
        loss = loss + OLD_WEIGHT * kept
        optimiser.zero_grad()
        loss.backward()
        for weight, mask in open_.items():
            weight.grad *= mask
        optimiser.step()
        schedule.step()
    network.requires_grad_(False)
    return network.eval()


@torch.no_grad()
def favour_old(network: nn.Module, chosen: Batch, new: Sequence[int]) -> None:
    """Lower the outputs of new classes as far as nearly all of their own windows allow, in place.

    While learning, new classes are half of all windows. On the air they are rare.

    Args:
        network: Of `extend`.
        chosen: Scaled windows (N, 2, L) that were not learned from, and labels (N,).
        new: Outputs of the new classes.
    """
    logits = outputs(network, chosen[0])
    bias = network.head[_linear(network.head)[1]].bias
    for number in new:
        mine = logits[chosen[1] == number]
        if not len(mine):
            continue
        others = mine.clone()
        others[:, number] = -torch.inf
        lead = mine[:, number] - others.max(1).values
        bias[number] -= lead.quantile(1 - RECALL).clamp(min=0)


def said_by(base: nn.Module, rows: torch.Tensor, class_count: int) -> torch.Tensor:
    """Compute what a base says of scaled windows, as probabilities of more classes: (M, K)."""
    known = outputs(base, rows).softmax(1)
    return F.pad(known, (0, class_count - known.shape[1]))


def _linear(head: nn.Sequential) -> tuple[int, int]:
    """Find the first and the last linear layer of a head."""
    found = [number for number, layer in enumerate(head) if isinstance(layer, nn.Linear)]
    return found[0], found[-1]
