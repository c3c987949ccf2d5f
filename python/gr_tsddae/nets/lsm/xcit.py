# SPDX-License-Identifier: GPL-3.0-or-later
"""XCiT on a sequence: attention between channels, not between samples.

El-Nouby, Touvron, Caron, Bojanowski, Douze, Joulin, Laptev, Neverova, Synnaeve, Verbeek and Jégou,
2021, "XCiT: Cross-Covariance Image Transformers". A sequence is an image one pixel wide, so what
sees two axes there sees one here: the 3x3 kernels become 3, the position one number. All tensors
are channels-last, (B, N, C), unless they say otherwise.
"""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.lsm.config import LSMConfig
from gr_tsddae.nets.tsnet.layers import FeedForward, TokenBatchNorm, TokenConv

WAVES = 16  # sinusoids that tell a token's place
LONGEST_PERIOD = 10_000.0  # of the slowest, over the fastest


class ScaledResidual(nn.Module):
    """x + scale * body(norm(x)), with a learned weight per channel."""

    def __init__(self, body: nn.Module, *, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = body
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.body(self.norm(x))


class CrossCovarianceAttention(nn.Module):
    """Attention between channels, by their covariance: (B, N, C) -> (B, N, C).

    Queries and keys are of length one along the tokens, so that their products are correlations;
    a learned temperature per head says how sharply they choose.
    """

    def __init__(self, *, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 4, 1)  # each (B, H, C/H, N)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        weights = (self.temperature * (query @ key.transpose(-1, -2))).softmax(-1)
        mixed = (weights @ value).permute(0, 3, 1, 2).reshape(batch, tokens, width)
        return self.dropout(self.out(mixed))


class LocalInteraction(nn.Module):
    """Depthwise convolutions over neighbouring tokens: (B, N, C) -> (B, N, C)."""

    def __init__(self, *, width: int):
        super().__init__()
        self.first = TokenConv(width=width, depthwise=True)
        self.norm = TokenBatchNorm(width)
        self.second = TokenConv(width=width, depthwise=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.norm(F.gelu(self.first(x))))


class ClassAttention(nn.Module):
    """Attention of the class token, the first one, to all tokens: (B, 1 + N, C) -> (B, 1, C)."""

    def __init__(self, *, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x[:, :1]), self.key(x), self.value(x))
        )  # (B, H, 1 or 1 + N, C/H)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))


class ClassLayer(nn.Module):
    """Update the class token from all tokens; the others stay: (B, 1 + N, C) -> same."""

    def __init__(self, config: LSMConfig):
        super().__init__()
        width = config.width
        self.attention = ScaledResidual(
            ClassAttention(width=width, heads=config.heads, dropout=config.dropout), width=width
        )
        self.feedforward = ScaledResidual(_feedforward(config), width=width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The branch gives one token; the residual sum would spread it, so the first alone is kept.
        return torch.cat((self.feedforward(self.attention(x)[:, :1]), x[:, 1:]), dim=1)


class Stem(nn.Sequential):
    """Samples to tokens: (B, 2, P) -> (B, C, N). Every strided convolution halves the length."""

    def __init__(self, config: LSMConfig):
        channels = config.width // (config.token_samples // 2)
        layers, seen = [], 2
        while channels <= config.width:
            layers += [
                nn.Conv1d(seen, channels, kernel_size=5, stride=2, padding=2),
                nn.BatchNorm1d(channels),
                nn.SiLU(),
            ]
            seen, channels = channels, 2 * channels
        super().__init__(*layers, nn.Conv1d(config.width, config.width, kernel_size=1))


class XCiT(nn.Module):
    """The sequence encoder: patches (B, 2, P) -> features (B, F), all tokens side by side."""

    def __init__(self, config: LSMConfig):
        super().__init__()
        width = config.width
        self.stem = Stem(config)
        self.position = nn.Linear(2 * WAVES, width)
        self.layers = nn.Sequential()
        for _ in range(config.layers):
            attention = CrossCovarianceAttention(
                width=width, heads=config.heads, dropout=config.dropout
            )
            for body in (attention, LocalInteraction(width=width), _feedforward(config)):
                self.layers.append(ScaledResidual(body, width=width))
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.class_layers = nn.Sequential(*(ClassLayer(config) for _ in range(config.class_layers)))
        self.norm = nn.LayerNorm(width)
        nn.init.trunc_normal_(self.class_token, std=0.02)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        x = self.stem(patches).transpose(1, 2)  # (B, N, C)
        x = self.layers(x + self.position(_places(x)))
        x = torch.cat((self.class_token.expand(len(x), -1, -1), x), dim=1)
        return self.norm(self.class_layers(x)).flatten(1)


def _feedforward(config: LSMConfig) -> FeedForward:
    return FeedForward(
        width=config.width, hidden=config.expansion * config.width, dropout=config.dropout
    )


def _places(x: torch.Tensor) -> torch.Tensor:
    """Encode where each token lies, the patch being one turn: (B, N, C) -> (N, 2 WAVES)."""
    tokens = x.shape[1]
    turn = 2 * torch.pi * torch.arange(1, tokens + 1, device=x.device) / tokens
    slowness = LONGEST_PERIOD ** (torch.arange(WAVES, device=x.device) / WAVES)
    angle = turn[:, None] / slowness  # (N, WAVES)
    return torch.cat((angle.sin(), angle.cos()), dim=1).to(x.dtype)
