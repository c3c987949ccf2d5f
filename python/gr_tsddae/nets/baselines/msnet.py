# SPDX-License-Identifier: GPL-3.0-or-later
"""MSNet: convolutions of four lengths side by side, twice.

Source: Hao Zhang, Fuhui Zhou, Qihui Wu, Wei Wu, Rose Qingyang Hu, "A novel automatic modulation
classification scheme based on multi-scale networks", IEEE TCCN 2021. The widths are those of the
network that the TS-DDAE authors publish for this row.

Parameters: 120,011 for 11 classes and any length, counted here. No published figure was found.

Left open: the number of modules, their width, and how far time is shortened before the dense
layers. Here, as in the published network, there are 2 modules of 4 x 32 channels, each of which
halves time, and 4 positions are left.

Deviations: the paper trains in two stages, with a loss of its own that draws windows of a class
together. Here, as for all networks, the loss is cross-entropy alone. The running statistics of the
BatchNorms move at PyTorch's rate, 0.1.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

KERNELS_SAMPLES = (1, 3, 5, 7)


@dataclass(frozen=True, kw_only=True)
class MSNetConfig(NetworkConfig):
    """MSNet's shape.

    Attributes:
        width: channels of each branch.
        modules: multi-scale modules; each halves time.
        positions: what time is averaged to before the dense layers.
        hidden: outputs of the first dense layer.
    """

    width: int = between(1, 512, default=32)
    modules: int = between(1, 16, default=2)
    positions: int = between(1, 64, default=4)
    hidden: int = between(1, 4096, default=128)


def _convolution(before: int, after: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, after, kernel, stride, kernel // 2), nn.BatchNorm1d(after), nn.ReLU()
    )


class MultiScale(nn.Module):
    """Halves time, then sees it at four scales: (B, before, L) -> (B, 4 * width, L / 2)."""

    def __init__(self, before: int, width: int):
        super().__init__()
        self.halve = _convolution(before, width, 3, stride=2)
        self.branches = nn.ModuleList()
        for kernel in KERNELS_SAMPLES:
            branch = nn.Sequential(_convolution(width, width, 1))
            if kernel > 1:
                branch.append(_convolution(width, width, kernel))
            self.branches.append(branch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.halve(x)
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class MSNetBackbone(Backbone):
    """(B, 2, L) -> (B, 4 * width * positions)."""

    def __init__(self, config: MSNetConfig):
        wide = len(KERNELS_SAMPLES) * config.width
        super().__init__(config, wide * config.positions)
        self.scales = nn.Sequential(
            *(MultiScale(wide if n else 2, config.width) for n in range(config.modules))
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = self.scales(rows)
        return F.adaptive_avg_pool1d(x, self.config.positions).flatten(1)


class MSNet(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = MSNetConfig, MSNetBackbone

    @staticmethod
    def new_head(config: MSNetConfig, feature_size: int, class_count: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(feature_size, config.hidden), nn.ReLU(), nn.Linear(config.hidden, class_count)
        )
