# SPDX-License-Identifier: GPL-3.0-or-later
"""AMC-Net: the spectrum is corrected, then convolutions at three scales, then attention.

Source: Jiawei Zhang, Tiantian Wang, Zhixi Feng, Shuyuan Yang, "AMC-Net: an effective network for
automatic modulation classification", ICASSP 2023, arXiv:2304.00445. The widths (36, 64, 128, 256),
the 2 heads and the dropout of 0.5 are those of the network that the TS-DDAE authors publish for
this row.

Parameters: 466,016 for 128 samples and 11 classes, counted here. No published figure was found.

Left open: what the attention's tokens are. Here, as in the published network, a token is a channel,
and its samples are the token's vector. What a head gives for a channel is averaged, so there are
heads * 256 features. Keys have no bias, since the softmax would cancel it. A row of zeros cannot be
scaled to length 1, and stays zero.

Deviations: none known in shape. Correction and attention see a whole window as one vector, so the
network is built for one length.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

KERNELS_SAMPLES = (3, 5, 7)
WIDENINGS = (64, 128, 256)


@dataclass(frozen=True, kw_only=True)
class AMCNetConfig(NetworkConfig):
    """AMC-Net's shape.

    Attributes:
        scale_width: channels at each of the three scales.
        heads: attention heads; divides `window_samples`.
        dropout: dropout probability, of attention and between the dense layers.
    """

    ANY_WINDOW: ClassVar[bool] = False
    SHORTEST_SAMPLES: ClassVar[int] = 4

    scale_width: int = between(1, 512, default=12)
    heads: int = between(1, 64, default=2)
    dropout: float = between(0.0, 0.99, default=0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_samples % self.heads:
            raise ValueError(
                f"window_samples is {self.window_samples} with {self.heads} heads: it must be a "
                "multiple of heads"
            )


class SpectrumCorrection(nn.Module):
    """Every bin of each row's spectrum gets a gain in -1..1; the result is added to the row."""

    def __init__(self, samples: int):
        super().__init__()
        self.real = self._gain(samples)
        self.imaginary = self._gain(samples)

    @staticmethod
    def _gain(samples: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(samples, samples // 4),
            nn.ReLU(),
            nn.Linear(samples // 4, samples),
            nn.Tanh(),
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.fft(rows.float())  # there is no transform of bfloat16
        real, imaginary = spectrum.real.to(rows), spectrum.imag.to(rows)
        corrected = torch.complex(
            (self.real(real) * real).float(), (self.imaginary(imaginary) * imaginary).float()
        )
        return rows + torch.fft.ifft(corrected).real.to(rows)


class AttentionBetweenChannels(nn.Module):
    """Self-attention between channels: (B, C, L) -> (B, heads, C, L / heads)."""

    def __init__(self, samples: int, *, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(samples, samples)
        self.key = nn.Linear(samples, samples, bias=False)
        self.value = nn.Linear(samples, samples)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)


def _convolution(before: int, after: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, after, kernel, padding=kernel // 2), nn.ReLU(), nn.BatchNorm1d(after)
    )


class AMCNetBackbone(Backbone):
    """(B, 2, L) -> (B, heads * 256)."""

    def __init__(self, config: AMCNetConfig):
        super().__init__(config, config.heads * WIDENINGS[-1])
        self.correction = SpectrumCorrection(config.window_samples)
        self.scales = nn.ModuleList(
            _convolution(2, config.scale_width, kernel) for kernel in KERNELS_SAMPLES
        )
        widths = (len(KERNELS_SAMPLES) * config.scale_width, *WIDENINGS)
        self.stem = nn.Sequential(
            *(_convolution(before, after, 3) for before, after in pairwise(widths))
        )
        self.attention = AttentionBetweenChannels(
            config.window_samples, heads=config.heads, dropout=config.dropout
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        rows = F.normalize(self.correction(rows), dim=2)
        x = torch.cat([scale(rows) for scale in self.scales], dim=1)
        return self.attention(self.stem(x)).mean(3).flatten(1)


class AMCNet(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = AMCNetConfig, AMCNetBackbone

    @staticmethod
    def new_head(config: AMCNetConfig, feature_size: int, class_count: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(feature_size, feature_size),
            nn.Dropout(config.dropout),
            nn.PReLU(),
            nn.Linear(feature_size, class_count),
        )
