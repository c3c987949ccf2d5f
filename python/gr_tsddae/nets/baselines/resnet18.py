# SPDX-License-Identifier: GPL-3.0-or-later
"""ResNet18 along time: eight residual blocks of two convolutions in four stages.

Source: Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun, "Deep residual learning for image
recognition", CVPR 2016, which the LSM article names without a version for signals.

Parameters: 3,849,995 for 11 classes, at any length. The network for images has 11.7 million: its
kernels are 3 x 3, and it has three channels and 1000 classes.

Left open: how a network for images takes a window. Here the I and Q rows are its channels, and
every convolution and pooling keeps its length, stride and padding in one dimension.

Deviations: one dimension instead of two, and two channels instead of three.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

STAGES, BLOCKS = 4, 2


@dataclass(frozen=True, kw_only=True)
class ResNet18Config(NetworkConfig):
    """ResNet18's shape.

    Attributes:
        width: channels of the first stage; each later one has twice as many.
    """

    width: int = between(1, 256, default=64)


class ResidualBlock(nn.Module):
    """(B, before, L) -> (B, after, L / stride), rounded up."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.first = _convolution(before, after, 3, stride)
        self.second = _convolution(after, after, 3, 1)
        alike = before == after and stride == 1
        self.shortcut = nn.Identity() if alike else _convolution(before, after, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class ResNet18Backbone(Backbone):
    """(B, 2, L) -> (B, 8 * width)."""

    def __init__(self, config: ResNet18Config):
        super().__init__(config, config.width * 2 ** (STAGES - 1))
        self.stem = _convolution(2, config.width, 7, 2)
        self.pool = nn.MaxPool1d(3, stride=2, padding=1)
        blocks, before = [], config.width
        for stage in range(STAGES):
            after = config.width * 2**stage
            for block in range(BLOCKS):
                blocks.append(ResidualBlock(before, after, 2 if stage and not block else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.pool(F.relu(self.stem(rows)))).mean(2)


class ResNet18(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = ResNet18Config, ResNet18Backbone


def _convolution(before: int, after: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(after),
    )
