# SPDX-License-Identifier: GPL-3.0-or-later
"""SpectrumFM: learned by filling in masked samples and guessing the next one.

Source: Fuhui Zhou, Chunyu Liu, Hao Zhang, Wei Wu, Qihui Wu, Derrick Wing Kwan Ng, Tony Q. S. Quek,
Chan-Byoung Chae, "SpectrumFM: a foundation model for intelligent spectrum management", 2025
(arXiv:2505.06256).

Parameters: 15,958,720 in the encoder and 16,753,867 with the head for 11 classes, at any window
length, which is what the layers of the authors' published network add up to by hand, without the
low-rank additions of its fine-tuning.

Left open: sizes, the masked share and how the tasks add up follow that network: 16 conformer layers
of 256 channels, 30 % of the samples, both losses with the same weight.

Deviations: fine-tuning trains the encoder itself, where the authors leave it as it is and train
low-rank additions to its linear layers. The classifier reads the recurrent layer's last state in
each direction; theirs reads both at the window's last sample, where the backward one has seen that
sample alone. A masked sample is zero and nothing else; their pre-training also hides masked samples
from the attention, which leaves a masked one nothing to attend to. Pre-training adds no noise.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.classifier import Backbone, Classifier, NetworkConfig, between
from gr_tsddae.nets.tsnet.layers import FeedForward, TokenBatchNorm, TokenConv

MASKED_SHARE = 0.3  # of a window's samples
REACH_SAMPLES = 1024  # distances from this on share one learned bias


@dataclass(frozen=True, kw_only=True)
class SpectrumFMConfig(NetworkConfig):
    """Everything that fixes a SpectrumFM's shape.

    Attributes:
        width: channels C.
        heads: attention heads H; divides `width`.
        feedforward: hidden channels of every feed-forward block.
        layers: conformer layers.
        dropout: dropout probability.
    """

    SHORTEST_SAMPLES: ClassVar[int] = 2

    width: int = between(4, 2048, default=256)
    heads: int = between(1, 64, default=4)
    feedforward: int = between(1, 8192, default=512)
    layers: int = between(1, 64, default=16)
    dropout: float = between(0.0, 0.9, default=0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")


class RelativeAttention(nn.Module):
    """Self-attention with a learned bias per head and distance: (B, L, C) -> (B, L, C)."""

    def __init__(self, config: SpectrumFMConfig):
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.bias_at = nn.Parameter(torch.randn(2 * REACH_SAMPLES - 1, config.heads))
        self.out = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        place = torch.arange(x.shape[1], device=x.device)
        distance = (place - place[:, None]).clamp(1 - REACH_SAMPLES, REACH_SAMPLES - 1)
        bias = self.bias_at[distance + REACH_SAMPLES - 1].permute(2, 0, 1)  # (H, L, L)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.unsqueeze(0))
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))


class LocalConv(nn.Module):
    """Gate, depthwise kernel 3, BatchNorm, SiLU, pointwise: (B, L, C) -> (B, L, C)."""

    def __init__(self, config: SpectrumFMConfig):
        super().__init__()
        self.expand = nn.Linear(config.width, 2 * config.width)
        self.depthwise = TokenConv(width=config.width, depthwise=True)
        self.norm = TokenBatchNorm(config.width)
        self.contract = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.norm(self.depthwise(F.glu(self.expand(x), dim=-1))))
        return self.dropout(self.contract(x))


class ConformerLayer(nn.Module):
    """Half a feed-forward block, attention, convolution, the other half; LayerNorm behind each."""

    def __init__(self, config: SpectrumFMConfig):
        super().__init__()
        width, hidden, dropout = config.width, config.feedforward, config.dropout
        self.feedforward_in = FeedForward(width=width, hidden=hidden, dropout=dropout)
        self.attention = RelativeAttention(config)
        self.conv = LocalConv(config)
        self.feedforward_out = FeedForward(width=width, hidden=hidden, dropout=dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norms[0](x + self.feedforward_in(x) / 2)
        x = self.norms[1](x + self.attention(x))
        x = self.norms[2](x + self.conv(x))
        return self.norms[3](x + self.feedforward_out(x) / 2)


class SpectrumFMEncoder(nn.Module):
    """Windows to one token per sample: (B, 2, L) -> (B, L, C)."""

    def __init__(self, config: SpectrumFMConfig):
        super().__init__()
        self.project = nn.Linear(2, config.width)
        self.layers = nn.Sequential(*(ConformerLayer(config) for _ in range(config.layers)))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers(self.project(rows.transpose(1, 2)))


class SpectrumFMBackbone(Backbone):
    """Encoder and a recurrent layer that sums it up: (B, 2, L) -> (B, 2C)."""

    def __init__(self, config: SpectrumFMConfig):
        super().__init__(config, 2 * config.width)
        self.encoder = SpectrumFMEncoder(config)
        self.recurrent = nn.GRU(config.width, config.width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        _, last = self.recurrent(self.encoder(rows))  # (2, B, C)
        return self.dropout(torch.cat((last[0], last[1]), dim=1))


class SpectrumFM(Classifier):
    """Scaled windows (B, 2, L) -> logits (B, K)."""

    Config, Backbone = SpectrumFMConfig, SpectrumFMBackbone


class SpectrumFMPretrainer(nn.Module):
    """The encoder with both tasks of pre-training.

    After it, `encoder` is what a classifier's `backbone.encoder` starts from.
    """

    def __init__(self, config: SpectrumFMConfig):
        super().__init__()
        self.config = config
        self.encoder = SpectrumFMEncoder(config)
        self.reconstruct = nn.Linear(config.width, 2)
        self.recurrent = nn.GRU(config.width, config.width, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.predict = nn.Linear(config.width, 2)

    def forward(self, masked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fill in what is masked, and guess the last sample from those before it.

        Args:
            masked: what `mask_windows` leaves of scaled windows, (B, 2, L).

        Returns:
            All samples, (B, 2, L), and the last one again, (B, 2).
        """
        tokens = self.encoder(masked)
        _, last = self.recurrent(tokens[:, :-1])  # (1, B, C)
        return self.reconstruct(tokens).transpose(1, 2), self.predict(self.dropout(last[0]))


def mask_windows(
    rows: torch.Tensor, *, share: float = MASKED_SHARE, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Set some samples of each window to zero, I and Q together; the last one always.

    Args:
        rows: scaled windows, (B, 2, L).
        share: of the samples, rounded down, 0 to 1.
        generator: of the device of `rows`; torch's own when None.

    Returns:
        The masked windows, (B, 2, L), and what is masked, bool (B, L).

    Raises:
        ValueError: for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}: masked samples are 0 to 1 of a window")
    batch, _, length = rows.shape
    order = torch.rand(batch, length, generator=generator, device=rows.device).argsort(1)
    mask = order < int(share * length)  # a random order holds each number once
    mask[:, -1] = True  # it is what the other task guesses
    return rows.masked_fill(mask.unsqueeze(1), 0), mask


def pretraining_loss(
    clean: torch.Tensor, mask: torch.Tensor, reconstructed: torch.Tensor, predicted: torch.Tensor
) -> torch.Tensor:
    """Add the mean squared errors of the masked samples and of the guessed last sample.

    Args:
        clean: scaled windows before masking, (B, 2, L).
        mask: what was masked, bool (B, L); at least one sample.
        reconstructed: (B, 2, L); what is not masked does not count.
        predicted: the last sample, (B, 2).

    Returns:
        A scalar.
    """
    squared = (reconstructed - clean).square().sum(1)  # (B, L)
    filled = squared.where(mask, 0).sum() / (2 * mask.sum())
    return filled + F.mse_loss(predicted, clean[:, :, -1])
