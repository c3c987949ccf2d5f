# SPDX-License-Identifier: GPL-3.0-or-later
"""Transformer: an encoder of self-attention over samples, each of which is a token.

Source: Ashish Vaswani et al., "Attention is all you need", NeurIPS 2017, its encoder. How it meets
a window is nowhere described; sizes (2 layers, 256 wide, 4 heads, feed-forward 512, dropout 0.1)
and the convolution of 3 samples that makes tokens are those of the network that the TS-DDAE
authors publish for this row.

Parameters: 1,193,739 for 11 classes and any length, counted here; there is no published figure.

Left open: what becomes of the tokens at the end. Here they are averaged.

Deviations: that published network adds a learned position to each token, which fixes the length,
and reads the tokens with a GRU. Here positions are Vaswani's sinusoids, so the network takes any
length, and there is no GRU: the row is to show what self-attention alone does.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

KERNEL_SAMPLES = 3
LONGEST_PERIOD = 10_000.0


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(NetworkConfig):
    """The encoder's shape.

    Attributes:
        width: channels of a token, E; even, and a multiple of `heads`.
        heads: attention heads.
        feedforward: hidden channels of the feed-forward sub-blocks and of the head.
        layers: encoder layers.
        dropout: dropout probability.
    """

    width: int = between(2, 4096, default=256)
    heads: int = between(1, 64, default=4)
    feedforward: int = between(1, 16384, default=512)
    layers: int = between(1, 64, default=2)
    dropout: float = between(0.0, 0.99, default=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2 or self.width % self.heads:
            raise ValueError(
                f"width is {self.width} with {self.heads} heads: it must be even and a multiple "
                "of heads"
            )


def sinusoids(tokens: int, width: int) -> torch.Tensor:
    """Encode positions as sines and cosines of geometric periods, (tokens, width)."""
    place = torch.arange(tokens, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(LONGEST_PERIOD) / width))
    return torch.stack(((place * rate).sin(), (place * rate).cos()), dim=2).flatten(1)


class TransformerBackbone(Backbone):
    """(B, 2, L) -> (B, width)."""

    def __init__(self, config: TransformerConfig):
        super().__init__(config, config.width)
        self.tokens = nn.Sequential(
            nn.Conv1d(2, config.width, KERNEL_SAMPLES, padding=KERNEL_SAMPLES // 2),
            nn.BatchNorm1d(config.width),
            nn.Tanh(),
        )
        self.dropout = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, config.feedforward, config.dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = self.tokens(rows).transpose(1, 2)  # (B, L, C)
        x = self.dropout(x + sinusoids(x.shape[1], x.shape[2]).to(x))
        return self.encoder(x).mean(1)


class Transformer(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = TransformerConfig, TransformerBackbone

    @staticmethod
    def new_head(config: TransformerConfig, feature_size: int, class_count: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(feature_size, config.feedforward),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feedforward, class_count),
        )
