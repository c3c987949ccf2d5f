# SPDX-License-Identifier: GPL-3.0-or-later
"""ResNet: four convolutions with one shortcut around the first two.

Source: Xiaoyu Liu, Diyu Yang, Aly El Gamal, "Deep neural network architectures for modulation
classification", Asilomar 2017, which the TS-DDAE paper cites for this row. The sizes of kernels and
layers are those of the survey of Zhang et al., "Deep learning based automatic modulation
recognition: models, datasets, and challenges", Digital Signal Processing 2022.

Parameters: 3,098,283 for 128 samples and 11 classes, 21,450,040 for 1024 and 24. Both are exactly
the survey's figures.

Left open: what the shortcut adds to 256 channels, since the window is one. Here, as in the survey,
the window is added to every channel. The dropout of 0.6 is the survey's.

Deviations: none known in shape. The window is flattened, so the network is built for one length.
Features are the 128 outputs of the first dense layer, not the 20,480 before it.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(NetworkConfig):
    """ResNet's shape.

    Attributes:
        width: channels of the first two convolutions.
        narrow_width: channels of the last two.
        hidden: outputs of the first dense layer, E.
        dropout: dropout probability before each dense layer.
    """

    ANY_WINDOW: ClassVar[bool] = False

    width: int = between(1, 1024, default=256)
    narrow_width: int = between(1, 1024, default=80)
    hidden: int = between(1, 4096, default=128)
    dropout: float = between(0.0, 0.99, default=0.6)


class ResNetBackbone(Backbone):
    """(B, 2, L) -> (B, hidden). A window is an image of one channel, two rows and L columns."""

    def __init__(self, config: ResNetConfig):
        super().__init__(config, config.hidden)
        width, narrow = config.width, config.narrow_width
        self.first = nn.Conv2d(1, width, (1, 3), padding=(0, 1))
        self.second = nn.Conv2d(width, width, (2, 3), padding=(0, 1))
        self.third = nn.Conv2d(width, narrow, (1, 3), padding=(0, 1))
        self.fourth = nn.Conv2d(narrow, narrow, (1, 3), padding=(0, 1))
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(narrow * 2 * config.window_samples, config.hidden)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        image = rows[:, None]  # (B, 1, 2, L)
        x = F.relu(self.first(image))
        x = self.second(F.pad(x, (0, 0, 0, 1)))  # a third, empty row: two rows stay two
        x = F.relu(x + image)
        x = F.relu(self.fourth(F.relu(self.third(x))))
        x = self.dropout(x).flatten(1)
        return self.dropout(F.relu(self.dense(x)))


class ResNet(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = ResNetConfig, ResNetBackbone
