# SPDX-License-Identifier: GPL-3.0-or-later
"""The temporal encoder: self-attention over time (paper, Section 3.3, Eq. 9 and 10)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.tsnet.config import TSNetConfig
from gr_tsddae.nets.tsnet.layers import DropPath, FeedForward, TokenBatchNorm, TokenConv

ROTARY_BASE = 10_000.0


class RotaryAttention(nn.Module):
    """Multi-head self-attention with rotary position embedding: (B, N, C) -> (B, N, C)."""

    def __init__(self, *, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)  # W^Q, W^K, W^V of Eq. 9, stacked
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        half = width // heads // 2
        inverse_period = ROTARY_BASE ** -(torch.arange(half) / half)
        self.register_buffer("inverse_period", inverse_period, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        angle = torch.outer(
            torch.arange(tokens, device=x.device, dtype=torch.float32), self.inverse_period.float()
        )  # (N, C/2H)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, C/H)
        mixed = F.scaled_dot_product_attention(
            _rotate(query, cos, sin), _rotate(key, cos, sin), value
        )
        return self.out(self.norm(mixed.transpose(1, 2).reshape(batch, tokens, width)))


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the channel pairs (i, i + C/2H) of (B, H, N, C/H) by their token's angle."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class GatedConv(nn.Module):
    """Local structure in time, Eq. 10: Conv(BN(Conv3(GLU(Conv(x) + t)))), (B, N, C) -> same."""

    def __init__(self, *, width: int, dropout: float):
        super().__init__()
        self.expand = nn.Linear(width, 2 * width)
        self.depthwise = TokenConv(width=width, depthwise=True)
        self.norm = TokenBatchNorm(width)
        self.contract = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        # step: (B or 1, 1, C); it shifts values and gates alike
        gated = F.glu(self.expand(x) + torch.cat((step, step), dim=-1), dim=-1)
        return self.dropout(self.contract(F.silu(self.norm(self.depthwise(gated)))))


class TemporalEncoder(nn.Module):
    """One temporal layer. Every residual sub-block is followed by LayerNorm."""

    def __init__(self, config: TSNetConfig, *, step_width: int):
        super().__init__()
        width = config.width
        self.cross_scale = nn.Parameter(torch.tensor(-0.5))  # weight of the spectral embedding
        self.step = nn.Linear(step_width, width)
        self.feedforward_in = FeedForward(
            width=width, hidden=config.feedforward, dropout=config.dropout
        )
        self.attention = RotaryAttention(width=width, heads=config.heads)
        self.conv = GatedConv(width=width, dropout=config.dropout)
        self.feedforward_out = FeedForward(
            width=width, hidden=config.feedforward, dropout=config.dropout
        )
        self.drop_path = DropPath(config.drop_path)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))

    def forward(self, x: torch.Tensor, z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """Refine the temporal embedding.

        Args:
            x: temporal embedding, (B, N, C).
            z: spectral embedding, (B, N, C).
            step: embedded diffusion step, (B or 1, step_width).
        """
        shift = self.step(F.silu(step)).unsqueeze(1)  # (B or 1, 1, C)
        x = x + self.cross_scale * z + shift  # the two domains meet here
        x = self.norms[0](x + self.feedforward_in(x))
        x = self.norms[1](x + self.attention(x))  # Eq. 9
        x = self.norms[2](x + self.conv(x, shift))  # Eq. 10
        return self.norms[3](x + self.drop_path(self.feedforward_out(x)))
