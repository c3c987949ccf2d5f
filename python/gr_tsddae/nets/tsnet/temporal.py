# SPDX-License-Identifier: GPL-3.0-or-later
"""The temporal encoder: self-attention over time (paper, Section 3.3, Eq. 9 and 10)."""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.tsnet.config import TSNetConfig
from gr_tsddae.nets.tsnet.layers import DropPath, FeedForward, TokenBatchNorm, TokenConv

ROTARY_BASE = 10_000.0


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Apply softmax attention, Eq. 9; all tensors (B, H, N, C/H)."""
    if query.device.type == "cpu" and torch.is_grad_enabled():
        # The fused kernel's backward pass on a CPU takes longer in bfloat16 than the rest of the
        # network together; windows are short, so the plain products are cheap.
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5  # (B, H, N, N)
        return scores.softmax(-1).to(value.dtype) @ value
    return F.scaled_dot_product_attention(query, key, value)


class RotaryAttention(nn.Module):
    """Multi-head self-attention with rotary position embedding: (B, N, C) -> (B, N, C)."""

    def __init__(self, *, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)  # W^Q, W^K, W^V of Eq. 9, stacked
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        half = width // heads // 2
        # On the CPU, as in StepEmbedding.
        inverse_period = ROTARY_BASE ** -(torch.arange(half, device="cpu") / half)
        self.register_buffer("inverse_period", inverse_period, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        turned, value = self._project(x)
        query, key = turned.view(batch, tokens, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        value = value.view(batch, tokens, self.heads, -1).transpose(1, 2)  # each (B, H, N, C/H)
        mixed = attend(query, key, value)
        return self.out(self.norm(mixed.transpose(1, 2).reshape(batch, tokens, width)))

    def _project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute queries and keys, turned by token, (B, N, 2C), and values (B, N, C).

        Within a head, channels i and i + C/2H are a pair (a, b); it becomes
        (a, b) cos + (b, a) (-sin, sin), on whole rows of channels at once.
        """
        batch, tokens, width = x.shape
        plain, value = self.qkv(x).split((2 * width, width), dim=-1)
        halves = plain.view(batch, tokens, 2 * self.heads, 2, -1)
        swapped = halves.flip(3).view(batch, tokens, 2 * width)
        position = torch.arange(tokens, device=x.device, dtype=torch.float32)
        angle = torch.outer(position, self.inverse_period.float())  # (N, C/2H)
        cos = angle.cos().repeat(1, 4 * self.heads).to(x.dtype)  # (N, 2C)
        sin = torch.cat((-angle.sin(), angle.sin()), 1).repeat(1, 2 * self.heads).to(x.dtype)
        return plain * cos + swapped * sin, value


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
        both = torch.cat((step, step), dim=-1)
        if both.shape[0] == 1:  # one step for all windows, as at inference: it is a bias
            expanded = F.linear(x, self.expand.weight, self.expand.bias + both.flatten())
        else:
            expanded = self.expand(x) + both
        gated = F.glu(expanded, dim=-1)
        return self.dropout(self.contract(F.silu(self.norm(self.depthwise(gated)))))


class TemporalEncoder(nn.Module):
    """One temporal layer. Every residual sub-block is followed by LayerNorm."""

    def __init__(self, config: TSNetConfig, *, step_width: int):
        super().__init__()
        width = config.width
        if config.coupled:
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

    def forward(self, x: torch.Tensor, z: torch.Tensor | None, step: torch.Tensor) -> torch.Tensor:
        """Refine the temporal embedding.

        Args:
            x: temporal embedding, (B, N, C).
            z: spectral embedding, (B, N, C); None when the encoders are not coupled.
            step: embedded diffusion step, (B or 1, step_width).
        """
        shift = self.step(F.silu(step)).unsqueeze(1)  # (B or 1, 1, C)
        if z is not None:  # the two domains meet here
            x = x + self.cross_scale * z
        x = x + shift
        x = self.norms[0](x + self.feedforward_in(x))
        x = self.norms[1](x + self.attention(x))  # Eq. 9
        x = self.norms[2](x + self.conv(x, shift))  # Eq. 10
        return self.norms[3](x + self.drop_path(self.feedforward_out(x)))
