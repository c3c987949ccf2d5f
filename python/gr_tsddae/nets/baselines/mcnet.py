# SPDX-License-Identifier: GPL-3.0-or-later
"""MCNet: blocks of three small convolutions side by side, with shortcuts around the blocks.

Source: Thien Huynh-The, Cam-Hao Hua, Quoc-Viet Pham, Dong-Seong Kim, "MCNet: an efficient CNN
architecture for robust automatic modulation classification", IEEE Communications Letters 2020.
The widths of the layers are those of the survey of Zhang et al., Digital Signal Processing 2022.

Parameters: 121,611 for 11 classes and 126,616 for 24, at any length. The survey's table prints
121,511 for 11 classes, which must be a slip: a class has 385 parameters, and the table's 121,226
for 10 classes and 126,616 for 24 are exactly those of this network.

Left open: the padding at the edges, and the pooling of the shortcuts where time is halved. Here the
padding is the same on both sides, and the pooling takes 3 samples, as everywhere else.

Deviations: the last pooling averages all that is left of a window (1 position of 128 samples, 8 of
1024), so the network takes any length.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between


@dataclass(frozen=True, kw_only=True)
class MCNetConfig(NetworkConfig):
    """MCNet's shape, which is fixed.

    Attributes:
        dropout: dropout probability before the last layer.
    """

    dropout: float = between(0.0, 0.99, default=0.5)


def _convolution(
    before: int, after: int, kernel: tuple[int, int], *, halve: bool = False
) -> nn.Sequential:
    """Build a convolution and ReLU that keep the size, or halve time."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    stride = (1, 2) if halve else 1
    return nn.Sequential(nn.Conv2d(before, after, kernel, stride, padding), nn.ReLU())


def _halve(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, (1, 3), stride=(1, 2), padding=(0, 1))


class PreBlock(nn.Module):
    """Rows in one branch, samples in the other; halves time: 64 channels -> 64."""

    def __init__(self):
        super().__init__()
        self.across_rows = _convolution(64, 32, (3, 1))
        self.along_samples = _convolution(64, 32, (1, 3), halve=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = F.avg_pool2d(
            self.across_rows(x), (1, 3), stride=(1, 2), padding=(0, 1), count_include_pad=False
        )
        return torch.cat((rows, self.along_samples(x)), dim=1)


class MBlock(nn.Module):
    """A bottleneck of 32 channels, then kernels 1x1, 3x1 and 1x3 side by side.

    Args:
        before: channels that come in.
        point: channels of the 1x1 branch.
        line: channels of each of the other two.
        halve: whether time is halved.
    """

    def __init__(self, before: int, *, point: int = 32, line: int = 48, halve: bool = False):
        super().__init__()
        self.halve = halve
        self.squeeze = _convolution(before, 32, (1, 1))
        self.point = _convolution(32, point, (1, 1), halve=halve)
        self.across_rows = _convolution(32, line, (3, 1))
        self.along_samples = _convolution(32, line, (1, 3), halve=halve)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        rows = self.across_rows(x)
        if self.halve:
            rows = _halve(rows)
        return torch.cat((self.point(x), rows, self.along_samples(x)), dim=1)


class MCNetBackbone(Backbone):
    """(B, 2, L) -> (B, 384). A window is an image of one channel, two rows and L columns."""

    def __init__(self, config: MCNetConfig):
        super().__init__(config, feature_size=384)
        self.stem = _convolution(1, 64, (3, 7), halve=True)
        self.before = PreBlock()
        self.shortcut = _convolution(64, 128, (1, 1), halve=True)
        self.first = MBlock(64, halve=True)
        self.blocks = nn.ModuleList(
            MBlock(128, halve=halve) for halve in (False, True, False, True)
        )
        self.last = MBlock(128, point=64, line=96)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = _halve(self.stem(rows[:, None]))  # (B, 64, 2, L/4)
        x = self.before(x)  # (B, 64, 2, L/8)
        x = self.first(_halve(x)) + _halve(self.shortcut(x))  # (B, 128, 2, L/32)
        for block in self.blocks:
            x = block(x) + (_halve(x) if block.halve else x)
        x = torch.cat((self.last(x), x), dim=1)  # (B, 384, 2, L/128)
        return self.dropout(x.mean((2, 3)))


class MCNet(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = MCNetConfig, MCNetBackbone
