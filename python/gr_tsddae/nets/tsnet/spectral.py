# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectral encoder: convolution and channel attention (paper, Section 3.3, Eq. 11 and 12)."""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.tsnet.config import TSNetConfig
from gr_tsddae.nets.tsnet.layers import DropPath, FeedForward, TokenBatchNorm, TokenConv


class LocalSpectrum(nn.Module):
    """Convolutions over neighbouring bins, Eq. 11: Conv(Conv(BN(Conv3(z)))), (B, N, C) -> same.

    As in the authors' published network, GELU stands between the two 1x1 convolutions (which would
    be one without it), and a learned weight per channel behind them.
    """

    def __init__(self, *, width: int):
        super().__init__()
        self.depthwise = TokenConv(width=width, depthwise=True)
        self.norm = TokenBatchNorm(width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.scale * self.second(F.gelu(self.first(self.norm(self.depthwise(z)))))


class ChannelAttention(nn.Module):
    """Channel attention, Eq. 12: z * FFN(Pool(z)), (B, N, C) -> (B, N, C)."""

    def __init__(self, *, width: int, squeeze: int):
        super().__init__()
        bottleneck = max(1, width // squeeze)
        self.squeeze = nn.Linear(width, bottleneck)
        self.excite = nn.Linear(bottleneck, width)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        pooled = z.mean(1, keepdim=True)  # (B, 1, C)
        return z * torch.sigmoid(self.excite(F.silu(self.squeeze(pooled))))


class AttendedSpectrum(nn.Module):
    """Channel attention between a gated 1x1 convolution and a kernel-3 convolution.

    Eq. 12 gives the attention alone. The gate in front and the convolution behind it are what the
    authors' published network has around it, and what brings the base size to 10.3 M parameters.
    """

    def __init__(self, config: TSNetConfig):
        super().__init__()
        width = config.width
        self.expand = nn.Linear(width, 2 * width)
        self.norm_in = TokenBatchNorm(width)
        self.attention = ChannelAttention(width=width, squeeze=config.squeeze)
        self.conv = TokenConv(width=width, depthwise=False)
        self.norm_out = TokenBatchNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        # step: (B or 1, 1, C)
        features = F.silu(self.norm_in(F.glu(self.expand(z), dim=-1))) + step
        features = F.silu(self.norm_out(self.conv(self.attention(features))))
        return F.silu(self.dropout(z + features))


class SpectralEncoder(nn.Module):
    """One spectral layer. Every residual sub-block is followed by BatchNorm."""

    def __init__(self, config: TSNetConfig, *, step_width: int):
        super().__init__()
        width = config.width
        if config.coupled:
            self.cross_scale = nn.Parameter(torch.tensor(-0.5))  # weight of the temporal embedding
        self.step = nn.Linear(step_width, width)
        self.local = LocalSpectrum(width=width)
        self.attended = AttendedSpectrum(config)
        self.feedforward_norm = TokenBatchNorm(width)
        self.feedforward = FeedForward(
            width=width, hidden=config.feedforward, dropout=config.dropout
        )
        self.drop_path = DropPath(config.drop_path)
        self.norms = nn.ModuleList(TokenBatchNorm(width) for _ in range(3))

    def forward(self, z: torch.Tensor, x: torch.Tensor | None, step: torch.Tensor) -> torch.Tensor:
        """Refine the spectral embedding.

        Args:
            z: spectral embedding, (B, N, C).
            x: temporal embedding of this same layer, (B, N, C); None when the encoders are not
                coupled.
            step: embedded diffusion step, (B or 1, step_width).
        """
        shift = self.step(F.silu(step)).unsqueeze(1)  # (B or 1, 1, C)
        if x is not None:
            z = z + self.cross_scale * x
        z = z + shift
        z = self.norms[0](z + self.local(z))  # Eq. 11
        z = self.norms[1](z + self.attended(z, shift))  # Eq. 12
        return self.norms[2](z + self.drop_path(self.feedforward(self.feedforward_norm(z))))
