# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces both encoders are made of. All tensors are channels-last, (B, N, C), N tokens.

Channels-last makes every 1x1 convolution a plain matrix product and needs no transposes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class FeedForward(nn.Module):
    """Linear - GELU - Linear on the channels: (B, N, C) -> (B, N, C). The paper's FFN and FCN."""

    def __init__(self, *, width: int, hidden: int, dropout: float):
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.contract(self.dropout(F.gelu(self.expand(x)))))


class TokenConv(nn.Conv2d):
    """Convolution along the tokens with kernel 3, on channels-last data: (B, N, C) -> (B, N, C).

    A (B, N, C) tensor read as (B, C, 1, N) is already in torch's channels_last memory format, so
    the two-dimensional convolution runs on it without a copy.
    """

    def __init__(self, *, width: int, depthwise: bool):
        groups = width if depthwise else 1
        super().__init__(width, width, kernel_size=(1, 3), padding=(0, 1), groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image = x.transpose(1, 2).unsqueeze(2)  # (B, N, C) -> (B, C, 1, N), same memory
        return super().forward(image).squeeze(2).transpose(1, 2)


class TokenBatchNorm(nn.BatchNorm1d):
    """BatchNorm over batch and tokens, per channel: (B, N, C) -> (B, N, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(0, 1)).view_as(x)


class DropPath(nn.Module):
    """Stochastic depth: drops a whole residual branch per window, in training only."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.probability == 0.0:
            return x
        keep = 1.0 - self.probability
        mask = x.new_empty(x.shape[0], 1, 1).bernoulli_(keep)
        return x * (mask / keep)
