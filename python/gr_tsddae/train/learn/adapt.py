# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapt a classifier to few windows: a new head on the frozen encoder, then the encoder as well."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.iq.windows import to_complex, to_rows
from gr_tsddae.progress import Progress
from gr_tsddae.train.learn.parts import judged, one_part, parts_of
from gr_tsddae.train.windows.feed import Batch, seed_of

COPIES = 4  # disturbed copies of each window that the head learns from
HEAD_STEPS = 300
HEAD_RATE = 3e-3
HEAD_DECAYS = (0.01, 0.1, 1.0)  # weight decays to try; validation chooses
CHECK_STEPS = 20
BATCH = 64
CLIP_NORM = 1.0

# Disturbs windows as another day might: scaled rows (B, 2, L), generator -> rows (B, 2, L).
Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True, order=True)
class Score:
    """How good a network is; the greater the better.

    Attributes:
        recall: Mean over classes of the share of right windows.
        log_likelihood: Mean over classes of the log-likelihood; it decides between equal recalls.
    """

    recall: float
    log_likelihood: float


@dataclass(frozen=True)
class Adapted:
    """A network in evaluation mode, and how it was chosen.

    Attributes:
        network: The better one of two.
        kept: "head" when the encoder is the base's, else "encoder".
        head: Score of the new head on the frozen encoder.
        encoder: Score after the encoder learned too; None when it did not learn.
    """

    network: nn.Module
    kept: str
    head: Score
    encoder: Score | None


def disturb(
    rows: torch.Tensor,
    generator: torch.Generator,
    *,
    frequency_shift: float,
    snr_db: tuple[float, float],
) -> torch.Tensor:
    """Rotate windows, shift their frequency and add noise, as another distance or day would.

    Args:
        rows: (B, 2, L); their scaling is lost.
        generator: On the device of `rows`.
        frequency_shift: Largest shift either way, in cycles per sample.
        snr_db: Lowest and highest power of a window over that of the white noise added to it.

    Returns:
        (B, 2, L).
    """
    phase, shift, level = torch.rand(3, len(rows), 1, generator=generator, device=rows.device)
    sample = torch.arange(rows.shape[2], device=rows.device)
    turns = phase + frequency_shift * (2 * shift - 1) * sample  # (B, L)
    windows = to_complex(rows) * torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)
    added_db = snr_db[0] + (snr_db[1] - snr_db[0]) * level
    noise_power = windows.abs().square().mean(1, keepdim=True) * 10 ** (-added_db / 10)
    noise = torch.randn(
        windows.shape, dtype=windows.dtype, generator=generator, device=rows.device
    )  # complex normal of power 1
    return to_rows(windows + noise_power.sqrt() * noise)


def adapt(
    network: nn.Module,
    train: Batch,
    validation: Batch,
    change: Change,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> Adapted:
    """Train a new head, then the whole network, and keep the better one on the validation set.

    Args:
        network: A classifier with the encoder to start from, on the device; it is changed.
        train: Scaled windows (N, 2, L) and labels (N,) to learn from, on the device.
        validation: Windows and labels to choose by. They count twice: unchanged, and disturbed.
        change: Disturbs the windows of every epoch anew.
        epochs: Epochs of the encoder; 0 leaves it as it is.
        learning_rate: Highest learning rate of the encoder.
        seed: Of everything that is drawn.
    """
    device = train[0].device

    def changed(rows: torch.Tensor, *purpose: object) -> torch.Tensor:
        return change(rows, torch.Generator(device).manual_seed(seed_of(*purpose, seed)))

    held = torch.cat((validation[0], changed(validation[0], "validation")))
    held_label = validation[1].repeat(2)
    classes = network.head[-1].out_features
    # Classes have the same weight, however many windows each has.
    weight = len(train[1]) / (classes * train[1].bincount(minlength=classes).clamp(min=1))

    copies = [train[0], *(changed(train[0], "copy", number) for number in range(COPIES))]
    known = parts_of(network, torch.cat(copies), batch=4 * BATCH), train[1].repeat(1 + COPIES)
    held_known = parts_of(network, held, batch=4 * BATCH), held_label
    best = _best_head(network, known, held_known, weight, seed)
    network.head.load_state_dict(best[1])
    head, network = best[0], network.eval()
    if not epochs:
        return Adapted(network, "head", head, None)

    trained = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=learning_rate)
    order = torch.Generator().manual_seed(seed_of("order", seed))
    steps = epochs * -(-len(train[1]) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps)
    encoder, state = Score(-1.0, 0.0), {}
    bar = Progress("training the encoder", "epoch", over=range(epochs))
    for epoch in bar:
        rows = changed(train[0], "epoch", epoch)
        _train_mode(trained)
        for part in torch.randperm(len(rows), generator=order).to(device).split(BATCH):
            optimiser.zero_grad()
            F.cross_entropy(trained(rows[part]), train[1][part], weight=weight).backward()
            nn.utils.clip_grad_norm_(trained.parameters(), CLIP_NORM)
            optimiser.step()
            schedule.step()
        found = score(outputs(trained.eval(), held), held_label)
        if found > encoder:
            encoder, state = found, copy.deepcopy(trained.state_dict())
        bar.set_postfix_str(f"recall {100 * found.recall:.1f} %", refresh=False)
    if encoder > head:
        network.load_state_dict(state)
    return Adapted(network, "encoder" if encoder > head else "head", head, encoder)


def score(logits: torch.Tensor, label: torch.Tensor) -> Score:
    """Score logits, with the same weight for every class: (N, K), (N,) -> Score."""
    count = label.bincount(minlength=logits.shape[1]).double()
    share = (1 / count.clamp(min=1) / (count > 0).sum())[label]  # of each window; they sum to 1
    right = (logits.argmax(1) == label).double()
    loss = F.cross_entropy(logits.double(), label, reduction="none")
    return Score((share * right).sum().item(), -(share * loss).sum().item())


@torch.no_grad()
def outputs(network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Compute logits of scaled windows by a network in evaluation mode: (B, 2, L) -> (B, K)."""
    return torch.cat([network(part) for part in rows.split(4 * BATCH)])


def _train_mode(network: nn.Module) -> None:
    """Switch dropout on; keep the base's running statistics, as few windows make poor ones."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()


def _best_head(
    network: nn.Module, train: Batch, validation: Batch, weight: torch.Tensor, seed: int
) -> tuple[Score, dict[str, torch.Tensor]]:
    """Find the best weights of a network's head, over all weight decays and steps.

    The head learns from features of parts of windows, (N, M, E), and is judged by their votes.
    """
    head = network.head
    fresh = copy.deepcopy(head.state_dict())
    best = Score(-1.0, 0.0), fresh
    for decay in Progress("training the head", "weight decay", over=HEAD_DECAYS):
        torch.manual_seed(seed)  # of dropout, and of the drawn parts
        head.load_state_dict(fresh)
        optimiser = torch.optim.AdamW(head.parameters(), lr=HEAD_RATE, weight_decay=decay)
        for step in range(1, HEAD_STEPS + 1):
            head.train()
            optimiser.zero_grad()
            F.cross_entropy(head(one_part(train[0])), train[1], weight=weight).backward()
            optimiser.step()
            if step % CHECK_STEPS == 0:
                with torch.no_grad():
                    head.eval()
                    found = score(judged(network, validation[0]), validation[1])
                if found > best[0]:
                    best = found, copy.deepcopy(head.state_dict())
    return best
