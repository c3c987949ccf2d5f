# SPDX-License-Identifier: GPL-3.0-or-later
"""CNN2: four convolutions over both rows, each halving time.

Source: Kürşat Tekbıyık, Ali Rıza Ekti, Ali Görçin, Güneş Karabulut Kurt, Cihat Keçeci, "Robust and
fast automatic modulation classification with CNN under multipath fading channels", VTC 2020. The
field calls this network CNN2; it has 256-128-64-64 channels. The TS-DDAE paper publishes it in its
code, but cites O'Shea, Roy, Clancy, "Over-the-air deep learning based radio signal classification",
IEEE JSTSP 2018, for it. The only convolutional network without shortcuts there is called VGG.

Parameters: 858,123 for 128 samples and 11 classes, exactly the figure of the survey of Zhang et
al., Digital Signal Processing 2022.

Left open: where the odd row and column of an even kernel's padding lie. Here the lesser half comes
first.

Deviations: none known in shape. The window is flattened, so the network is built for one length.
Features are the 128 outputs of the first dense layer, not the 1,024 before it.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

KERNEL_ROWS, KERNEL_SAMPLES = 2, 8


@dataclass(frozen=True, kw_only=True)
class CNN2Config(NetworkConfig):
    """CNN2's shape.

    Attributes:
        width: channels of the last two convolutions; the first has four times as many, the
            second twice.
        hidden: outputs of the first dense layer, E.
        dropout: dropout probability after each convolution.
    """

    ANY_WINDOW: ClassVar[bool] = False
    SHORTEST_SAMPLES: ClassVar[int] = 16

    width: int = between(1, 512, default=64)
    hidden: int = between(1, 4096, default=128)
    dropout: float = between(0.0, 0.99, default=0.5)


class CNN2Backbone(Backbone):
    """(B, 2, L) -> (B, hidden). A window is an image of one channel, two rows and L columns."""

    def __init__(self, config: CNN2Config):
        super().__init__(config, config.hidden)
        widths = (1, 4 * config.width, 2 * config.width, config.width, config.width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, (KERNEL_ROWS, KERNEL_SAMPLES))
            for before, after in pairwise(widths)
        )
        self.dropout = nn.Dropout(config.dropout)
        samples = config.window_samples // 2 ** len(self.convolutions)
        self.dense = nn.Linear(2 * config.width * samples, config.hidden)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = rows[:, None]  # (B, 1, 2, L)
        for convolution in self.convolutions:
            before = (KERNEL_SAMPLES - 1) // 2
            x = F.pad(x, (before, KERNEL_SAMPLES - 1 - before, 0, KERNEL_ROWS - 1))
            x = self.dropout(F.max_pool2d(F.relu(convolution(x)), (1, 2)))
        return F.relu(self.dense(x.flatten(1)))


class CNN2(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = CNN2Config, CNN2Backbone
