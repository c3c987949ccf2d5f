# SPDX-License-Identifier: GPL-3.0-or-later
"""VGG: seven times a small convolution and a pooling that halves time, then dense SELU layers.

Source: Timothy J. O'Shea, Tamoghna Roy, T. Charles Clancy, "Over-the-air deep learning based radio
signal classification", IEEE JSTSP 2018, the table of the "VGG" convolutional network for 1024
samples.

Parameters: 100,811 for 128 samples and 11 classes, 159,832 for 1024 and 24, counted here; they are
not checked against a published figure.

Left open: the kernel, the activation of the convolutions, and the rate of the alpha dropout. Here
the kernel has 3 samples and ReLU follows each convolution, both as in VGG, and the rate is 0.3.
SELU with alpha dropout follows the dense layers, as the paper says. There is no normalisation.

Deviations: the paper's network is for 1024 samples, which seven halvings turn into 8. At 128
samples they leave 1, so the first dense layer sees 64 values instead of 512. What is flattened
depends on the window, so the network is built for one length.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

HALVINGS = 7


@dataclass(frozen=True, kw_only=True)
class VGGConfig(NetworkConfig):
    """VGG's shape.

    Attributes:
        width: channels of each convolution.
        hidden: outputs of both inner dense layers.
        kernel_samples: length of each convolution's kernel, odd.
        dropout: rate of alpha dropout behind both inner dense layers.
    """

    ANY_WINDOW: ClassVar[bool] = False
    SHORTEST_SAMPLES: ClassVar[int] = 2**HALVINGS

    width: int = between(1, 1024, default=64)
    hidden: int = between(1, 4096, default=128)
    kernel_samples: int = between(1, 63, default=3)
    dropout: float = between(0.0, 0.99, default=0.3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_samples % 2 == 0:
            raise ValueError(
                f"kernel_samples is {self.kernel_samples}: it must be odd, so that the padding is "
                "the same on both sides"
            )


class VGGBackbone(Backbone):
    """(B, 2, L) -> (B, width * L / 128)."""

    def __init__(self, config: VGGConfig):
        super().__init__(config, config.width * (config.window_samples // 2**HALVINGS))
        width, kernel = config.width, config.kernel_samples
        self.layers = nn.Sequential()
        for before in (2, *[width] * (HALVINGS - 1)):
            self.layers += nn.Sequential(
                nn.Conv1d(before, width, kernel, padding=kernel // 2), nn.ReLU(), nn.MaxPool1d(2)
            )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers(rows).flatten(1)


class VGG(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = VGGConfig, VGGBackbone

    @staticmethod
    def new_head(config: VGGConfig, feature_size: int, class_count: int) -> nn.Sequential:
        head = nn.Sequential()
        for before in (feature_size, config.hidden):
            head += nn.Sequential(
                nn.Linear(before, config.hidden), nn.SELU(), nn.AlphaDropout(config.dropout)
            )
        return head.append(nn.Linear(config.hidden, class_count))
