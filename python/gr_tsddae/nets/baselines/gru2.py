# SPDX-License-Identifier: GPL-3.0-or-later
"""GRU2: two recurrent layers over the samples; the last state decides.

Source: Dehua Hong, Zilong Zhang, Xiaodong Xu, "Automatic modulation classification using recurrent
neural networks", ICCC 2017.

Parameters: 151,179 for 11 classes and 152,856 for 24, at any length. The survey of Zhang et al.,
Digital Signal Processing 2022, has 151.2 and 152.9 thousand.

Left open: the number of units. Here there are 128, as in the survey. It mentions no dropout, so
there is none.

Deviations: in the published code of the TS-DDAE paper, the GRU has as many units as the window has
samples: 128 for 128 samples, and 1024 for 1024. Here it always has 128.
"""

from dataclasses import dataclass

import torch
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between


@dataclass(frozen=True, kw_only=True)
class GRU2Config(NetworkConfig):
    """GRU2's shape.

    Attributes:
        width: units of each layer, E.
        layers: recurrent layers.
    """

    width: int = between(1, 2048, default=128)
    layers: int = between(1, 16, default=2)


class GRU2Backbone(Backbone):
    """(B, 2, L) -> (B, width)."""

    def __init__(self, config: GRU2Config):
        super().__init__(config, config.width)
        self.recurrent = nn.GRU(2, config.width, num_layers=config.layers, batch_first=True)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        _, last = self.recurrent(rows.transpose(1, 2))  # (layers, B, width)
        return last[-1]


class GRU2(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = GRU2Config, GRU2Backbone
