# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that both encoders share. All tensors are channels-last, (B, N, C), N tokens.

Channels-last makes every 1x1 convolution a plain matrix product and needs no transposes.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


class FeedForward(nn.Module):
    """Linear - GELU - Linear on the channels: (B, N, C) -> (B, N, C). The paper's FFN and FCN."""

    def __init__(self, *, width: int, hidden: int, dropout: float):
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.contract(self.dropout(F.gelu(self.expand(x)))))


class TokenConv(nn.Conv2d):
    """Convolution along the tokens with kernel 3, on channels-last data: (B, N, C) -> (B, N, C).

    A (B, N, C) tensor read as (B, C, 1, N) is already in torch's channels_last memory format, so
    the two-dimensional convolution runs on it without a copy.
    """

    def __init__(self, *, width: int, depthwise: bool):
        groups = width if depthwise else 1
        super().__init__(width, width, kernel_size=(1, 3), padding=(0, 1), groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.groups > 1 and self.training and x.is_cuda and torch.compiler.is_compiling():
            return self.sum_of_shifts(x)
        image = x.transpose(1, 2).unsqueeze(2)  # (B, N, C) -> (B, C, 1, N), same memory
        return super().forward(image).squeeze(2).transpose(1, 2)

    def sum_of_shifts(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the depthwise convolution as a sum of shifts: (B, N, C) -> (B, N, C).

        So a compiler makes one kernel of it and what stands around it, forwards and backwards,
        where the library's convolution reads and writes memory on its own.
        """
        if torch.is_autocast_enabled(x.device.type):  # as the convolution itself would
            x = x.to(torch.get_autocast_dtype(x.device.type))
        before, here, behind = self.weight.to(x.dtype).flatten(1).unbind(1)  # each (C,)
        padded = F.pad(x, (0, 0, 1, 1))  # (B, N + 2, C)
        shifted = before * padded[:, :-2] + here * x + behind * padded[:, 2:]
        return shifted + self.bias.to(x.dtype)


class TokenBatchNorm(nn.BatchNorm1d):
    """BatchNorm over batch and tokens, per channel: (B, N, C) -> (B, N, C).

    When several processes train together, the batch is that of all of them, in equal shares, so
    that dividing a batch among devices does not change what is learned. (torch's SyncBatchNorm
    wants channels first, and a GPU.)
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(0, 1)  # (B*N, C)
        if self.training and dist.is_available() and dist.is_initialized():
            return self._over_processes(rows).view_as(x)
        return super().forward(rows).view_as(x)

    def _over_processes(self, rows: torch.Tensor) -> torch.Tensor:
        local_variance, local_mean = torch.var_mean(rows.float(), dim=0, correction=0)
        # In double precision: the difference of squares below would lose digits.
        moments = torch.stack((local_mean.double(), local_variance + local_mean.double().square()))
        mean, square = _MeanOverProcesses.apply(moments)
        variance = square - mean.square()
        count = len(rows) * dist.get_world_size()
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_((variance * count / (count - 1)).float(), self.momentum)
        gain = self.weight * (variance + self.eps).rsqrt().float()
        return (rows.float() * gain + (self.bias - mean.float() * gain)).to(rows.dtype)


class _MeanOverProcesses(torch.autograd.Function):
    """The mean of a tensor over all processes; training minimises the mean of their losses."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x / dist.get_world_size()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _MeanOverProcesses.forward(context, gradient)


class DropPath(nn.Module):
    """Stochastic depth: drops a whole residual branch per window, in training only."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.probability == 0.0:
            return x
        keep = 1.0 - self.probability
        mask = x.new_empty(x.shape[0], 1, 1).bernoulli_(keep)
        return x * (mask / keep)
