# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the parts of windows, from which a head learns and by which it is judged."""

import torch
from torch import nn


@torch.no_grad()
def parts_of(network: nn.Module, rows: torch.Tensor, *, batch: int) -> torch.Tensor:
    """Compute features of scaled windows' parts, without gradients: (N, 2, L) -> (N, M, E)."""
    return torch.cat([network.parts(some) for some in rows.split(batch)])


def one_part(parts: torch.Tensor) -> torch.Tensor:
    """Draw one part of each window, anew at each call: (N, M, E) -> (N, E).

    A head that learns one part of a window at a time is as quick as one that learns whole windows,
    and soon meets all parts.
    """
    count, many = parts.shape[:2]
    if many == 1:
        return parts[:, 0]
    drawn = torch.randint(many, (count,), device=parts.device)
    return parts[torch.arange(count, device=parts.device), drawn]


def judged(network: nn.Module, parts: torch.Tensor) -> torch.Tensor:
    """Compute logits of windows by a classifier's head and all votes: (N, M, E) -> (N, K)."""
    return network.vote(network.head(parts.flatten(0, 1)).unflatten(0, parts.shape[:2]))


class PartLogits(nn.Module):
    """A classifier before the vote: scaled windows (B, 2, L) -> logits of their parts (B, M, K)."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        parts = self.classifier.parts(rows)  # (B, M, E)
        return self.classifier.head(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])
