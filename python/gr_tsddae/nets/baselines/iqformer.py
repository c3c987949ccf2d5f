# SPDX-License-Identifier: GPL-3.0-or-later
"""IQFormer: the raw window and its spectrogram, fused sample by sample.

Source: Mingyuan Shao, Dingzhao Li, Shaohua Hong, Jie Qi, Haixin Sun, "IQFormer: a novel
transformer-based model with multi-modality fusion for automatic modulation recognition", IEEE
Transactions on Cognitive Communications and Networking 2024. Additive attention: Abdelrahman Shaker
et al., "SwiftFormer", 2023.

Parameters: 355,049 for 11 classes at any window length, which is what the layers of the authors'
published network add up to by hand.

Left open: sizes, layers per stage and the spectrogram. All follow that network. Its spectrogram has
one column per sample (hop 1) and is made of row I alone. A column is the lowest 32 of 128 bins of
31 samples under a Blackman window.

Deviations: the published program reads a complex array as a real one, so its spectrogram is the
real part of the transform. Here the spectrogram is the magnitude. The factor on the attention's
scores is left out, because the normalisation after it cancels it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between

TAPS = 31  # samples a spectrogram column sees
TRANSFORM_BINS = 128  # between 0 and the sample rate
BINS = 32  # the lowest of them, which the network sees


@dataclass(frozen=True, kw_only=True)
class IQFormerConfig(NetworkConfig):
    """Everything that fixes an IQFormer's shape.

    Attributes:
        width: channels C of the stages; each stem has an eighth of them.
        layers: layers of each stage; the last of a stage attends, those before it convolve.
        expansion: hidden channels of a feed-forward block, over `width`.
        dropout: probability behind the fusion and between the recurrent layers.
    """

    width: int = between(16, 1024, default=64)
    layers: tuple[int, ...] = (2, 3, 2)
    expansion: int = between(1, 8, default=4)
    dropout: float = between(0.0, 0.9, default=0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 16:  # a stem's channels are shared by I and Q
            raise ValueError(f"width is {self.width}: it must be a multiple of 16")
        try:  # a card has a list
            layers = tuple(self.layers)
        except TypeError:
            layers = ()
        if not 1 <= len(layers) <= 8 or not all(type(n) is int and 1 <= n <= 16 for n in layers):
            raise ValueError(
                f"layers is {self.layers!r}: give a list of 1 to 8 stages of 1 to 16 layers"
            )
        object.__setattr__(self, "layers", layers)


class Spectrogram(nn.Module):
    """Magnitude of the short-time transform of row I at every sample: (B, 2, L) -> (B, BINS, L).

    With hop 1 it is a bank of filters. Outside the window there are zeros.
    """

    def __init__(self):
        super().__init__()
        taper = torch.blackman_window(TAPS, periodic=True, dtype=torch.float64)
        turns = torch.outer(torch.arange(BINS), torch.arange(TAPS)).double() / TRANSFORM_BINS
        wave = torch.polar(
            (taper / taper.sum()).expand(BINS, -1).contiguous(), -2 * torch.pi * turns
        )
        filters = torch.cat((wave.real, wave.imag)).float().unsqueeze(1)  # (2 BINS, 1, TAPS)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        parts = F.conv1d(rows[:, :1], self.filters, padding=TAPS // 2)  # (B, 2 BINS, L)
        return torch.hypot(*parts.chunk(2, dim=1))


class ConvBranch(nn.Module):
    """x + scale * (pointwise - GELU - pointwise) of neighbouring samples: (B, C, L) -> same."""

    def __init__(self, *, width: int, hidden: int):
        super().__init__()
        self.neighbours = nn.Conv1d(width, width, kernel_size=3, padding=1, groups=width)
        self.norm = nn.BatchNorm1d(width)
        self.expand = nn.Conv1d(width, hidden, kernel_size=1)
        self.contract = nn.Conv1d(hidden, width, kernel_size=1)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.contract(F.gelu(self.expand(self.norm(self.neighbours(x)))))
        return x + self.scale.unsqueeze(-1) * found


class AdditiveAttention(nn.Module):
    """All queries become one, which every key meets: (B, L, C) -> (B, L, C), linear in L."""

    def __init__(self, *, width: int):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.weight = nn.Parameter(torch.randn(width, 1))
        self.meet = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = F.normalize(self.query(x), dim=-1)
        key = F.normalize(self.key(x), dim=-1)
        share = F.normalize(query @ self.weight, dim=1)  # (B, L, 1)
        everyone = (share * query).sum(1, keepdim=True)  # (B, 1, C)
        return self.out(self.meet(everyone * key) + query)


class AttentionLayer(nn.Module):
    """Neighbours, then everyone, then each sample by itself: (B, C, L) -> (B, C, L)."""

    def __init__(self, *, width: int, hidden: int):
        super().__init__()
        self.local = ConvBranch(width=width, hidden=width)
        self.attention = AdditiveAttention(width=width)
        self.feedforward = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Conv1d(width, hidden, kernel_size=1),
            nn.GELU(),
            nn.Conv1d(hidden, width, kernel_size=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.local(x)
        x = x + self.attention(x.transpose(1, 2)).transpose(1, 2)
        return x + self.feedforward(x)


class IQFormerBackbone(Backbone):
    """Scaled windows (B, 2, L) -> features (B, C), averaged over time."""

    def __init__(self, config: IQFormerConfig):
        super().__init__(config, config.width)
        width, stem = config.width, config.width // 8
        self.iq_stem = nn.Sequential(
            nn.BatchNorm1d(2),
            nn.Conv1d(2, stem, kernel_size=5, padding=2, groups=2),
            nn.BatchNorm1d(stem),
        )
        self.spectrogram = Spectrogram()
        self.spectrogram_norm = nn.BatchNorm2d(1)  # one gain for the whole picture
        self.spectrogram_stem = nn.Sequential(
            nn.Conv1d(BINS, stem, kernel_size=1), nn.BatchNorm1d(stem), nn.ReLU()
        )
        self.fusion = nn.Sequential(
            nn.Conv1d(2 * stem, 4 * stem, kernel_size=1),
            nn.BatchNorm1d(4 * stem),
            nn.GELU(),
            nn.Conv1d(4 * stem, 4 * stem, kernel_size=1),
            nn.Dropout(config.dropout),
        )
        self.recurrent = nn.LSTM(
            4 * stem,
            width // 2,
            num_layers=2,
            bidirectional=True,
            batch_first=True,
            dropout=config.dropout,
        )
        self.stages = nn.Sequential()
        hidden = config.expansion * width
        for layers in config.layers:
            for _ in range(layers - 1):
                self.stages.append(ConvBranch(width=width, hidden=hidden))
            self.stages.append(AttentionLayer(width=width, hidden=hidden))
        self.norm = nn.BatchNorm1d(width)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        picture = self.spectrogram_norm(self.spectrogram(rows).unsqueeze(1)).squeeze(1)
        both = torch.cat((self.iq_stem(rows), self.spectrogram_stem(picture)), dim=1)
        x, _ = self.recurrent(self.fusion(both).transpose(1, 2))  # (B, L, C)
        return self.norm(self.stages(x.transpose(1, 2))).mean(2)


class IQFormer(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = IQFormerConfig, IQFormerBackbone
