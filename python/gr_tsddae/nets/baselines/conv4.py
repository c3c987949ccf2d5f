# SPDX-License-Identifier: GPL-3.0-or-later
"""Conv4: the four convolutions that few-shot learners compare windows behind.

Source: Jake Snell, Kevin Swersky, Richard Zemel, "Prototypical networks for few-shot learning",
NIPS 2017, with one dimension in the place of an image's two: each block is a convolution of 64
channels with kernel 3, BatchNorm, ReLU, and pooling by 2.

Parameters: 43,403 for 128 samples and 11 classes, with a linear classifier. No such network for
signals has been published.

Left open: nothing of the shape.

Deviations: convolutions have no bias, which the BatchNorm behind them would take away. Features are
the last maps, flattened as in the paper, so the network is built for one length.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

BLOCKS = 4


@dataclass(frozen=True, kw_only=True)
class Conv4Config(NetworkConfig):
    """Conv4's shape.

    Attributes:
        width: channels C of every convolution.
    """

    ANY_WINDOW: ClassVar[bool] = False
    SHORTEST_SAMPLES: ClassVar[int] = 2**BLOCKS

    width: int = between(1, 1024, default=64)


class Conv4Backbone(Backbone):
    """(B, 2, L) -> (B, C * L // 16): maps (C, L // 16), flattened."""

    def __init__(self, config: Conv4Config):
        super().__init__(config, config.width * (config.window_samples // 2**BLOCKS))
        self.blocks = nn.Sequential(
            *(conv_block(config.width if i else 2, config.width) for i in range(BLOCKS))
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.blocks(rows).flatten(1)


class Conv4(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = Conv4Config, Conv4Backbone


def conv_block(before: int, after: int) -> nn.Sequential:
    """Build one block: (B, before, L) -> (B, after, L // 2)."""
    return nn.Sequential(
        nn.Conv1d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm1d(after),
        nn.ReLU(),
        nn.MaxPool1d(2),
    )
