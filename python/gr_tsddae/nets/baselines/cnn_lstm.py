# SPDX-License-Identifier: GPL-3.0-or-later
"""CNN-LSTM: convolutions that find short patterns, and an LSTM that reads their sequence.

Source: the LSM article compares itself with a "CNN-LSTM" without saying whose. The idea is that of
Nathan E. West, Tim O'Shea, "Deep architectures for modulation recognition", DySPAN 2017.

Parameters: 215,063 for 11 classes, at any length; there is no published figure to hold it against.

Left open: all sizes. Here there are three convolutions of 64 channels with kernel 8, each of which
halves time, and two LSTM layers of 100 units. The last state of the LSTM is the features.

Deviations: none can be named, because the source gives no sizes.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

CONVOLUTIONS, KERNEL_SAMPLES = 3, 8


@dataclass(frozen=True, kw_only=True)
class CNNLSTMConfig(NetworkConfig):
    """CNN-LSTM's shape.

    Attributes:
        width: channels of the convolutions.
        hidden: units of each LSTM layer, E.
        layers: LSTM layers.
        dropout: dropout probability after each convolution.
    """

    SHORTEST_SAMPLES: ClassVar[int] = 2**CONVOLUTIONS

    width: int = between(1, 1024, default=64)
    hidden: int = between(1, 2048, default=100)
    layers: int = between(1, 16, default=2)
    dropout: float = between(0.0, 0.99, default=0.2)


class CNNLSTMBackbone(Backbone):
    """(B, 2, L) -> (B, hidden)."""

    def __init__(self, config: CNNLSTMConfig):
        super().__init__(config, config.hidden)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.width if i else 2, config.width, KERNEL_SAMPLES)
            for i in range(CONVOLUTIONS)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = nn.LSTM(
            config.width, config.hidden, num_layers=config.layers, batch_first=True
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = rows
        for convolution in self.convolutions:
            before = (KERNEL_SAMPLES - 1) // 2
            x = F.relu(convolution(F.pad(x, (before, KERNEL_SAMPLES - 1 - before))))
            x = self.dropout(F.max_pool1d(x, 2))
        _, (last, _) = self.recurrent(x.transpose(1, 2))  # (layers, B, hidden)
        return last[-1]


class CNNLSTM(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = CNNLSTMConfig, CNNLSTMBackbone
