# SPDX-License-Identifier: GPL-3.0-or-later
"""CGDNN: three convolutions with Gaussian dropout, a GRU over their channels, dense layers.

Source: Judith Nkechinyere Njoku, Manuel Eugenio Morocho-Cayamcela, Wansu Lim, "CGDNet: efficient
hybrid deep learning model for robust automatic modulation recognition", IEEE Networking Letters
2021.

Parameters: 124,933 for 128 samples and 11 classes, 665,874 for 1024 and 24. The survey of Zhang et
al., Digital Signal Processing 2022, has 124.9 and 665.9 thousand.

Left open: what a step of the GRU is. Here, as in the survey, it steps through the 50 channels and
sees all samples of both rows of one, of the first and the third convolution side by side.

Deviations: none known in shape. The GRU's input is as long as the window, so the network is built
for one length. The published code of the TS-DDAE paper leaves out the pooling, which has no
parameters; it is here.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

KERNEL_SAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class CGDNNConfig(NetworkConfig):
    """CGDNN's shape.

    Attributes:
        width: channels of each convolution and units of the GRU, E.
        hidden: outputs of the first dense layer.
        dropout: rate p of Gaussian dropout, noise of variance p / (1 - p).
    """

    ANY_WINDOW: ClassVar[bool] = False
    SHORTEST_SAMPLES: ClassVar[int] = 3 * (KERNEL_SAMPLES - 1) + 1

    width: int = between(1, 512, default=50)
    hidden: int = between(1, 4096, default=256)
    dropout: float = between(0.0, 0.99, default=0.2)


class GaussianDropout(nn.Module):
    """In training, every value times noise of mean 1 and variance p / (1 - p)."""

    def __init__(self, rate: float):
        super().__init__()
        self.deviation = (rate / (1 - rate)) ** 0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.deviation:
            return x
        return x * (1 + self.deviation * torch.randn_like(x))


class CGDNNBackbone(Backbone):
    """(B, 2, L) -> (B, width). A window is an image of one channel, two rows and L columns."""

    def __init__(self, config: CGDNNConfig):
        super().__init__(config, config.width)
        width = config.width
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, width, (1, KERNEL_SAMPLES)) for before in (1, width, width)
        )
        self.dropout = GaussianDropout(config.dropout)
        lost = KERNEL_SAMPLES - 1  # samples, in each convolution
        after_first, after_third = config.window_samples - lost, config.window_samples - 3 * lost
        self.recurrent = nn.GRU(2 * (after_first + after_third), width, batch_first=True)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x, kept = rows[:, None], []  # (B, 1, 2, L)
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
            # Nothing is below the zeros of the padding, so they never win.
            x = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2, stride=1)
            x = self.dropout(x)
            kept.append(x)
        both = torch.cat((kept[0], kept[2]), dim=3)  # (B, C, 2, 2L - 20)
        _, last = self.recurrent(both.flatten(2))  # (1, B, C)
        return self.dropout(last[0])


class CGDNN(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = CGDNNConfig, CGDNNBackbone

    @staticmethod
    def new_head(config: CGDNNConfig, feature_size: int, class_count: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(feature_size, config.hidden),
            nn.ReLU(),
            GaussianDropout(config.dropout),
            nn.Linear(config.hidden, class_count),
        )
