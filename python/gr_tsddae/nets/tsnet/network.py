# SPDX-License-Identifier: GPL-3.0-or-later
"""TS-Net: two input projections, the diffusion step, and coupled encoders (paper, Figure 2)."""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.tsnet.config import TSNetConfig
from gr_tsddae.nets.tsnet.inputs import spectrum_rows, time_rows
from gr_tsddae.nets.tsnet.spectral import SpectralEncoder
from gr_tsddae.nets.tsnet.temporal import TemporalEncoder


class StepEmbedding(nn.Module):
    """Diffusion step t/T to a vector: sinusoids of `width` channels, then a SiLU MLP.

    (B,) -> (B, 4 * width).
    """

    def __init__(self, *, width: int):
        super().__init__()
        half = width // 2
        # On the CPU also where shapes alone are wanted: computing on the device "meta" would import
        # the compiler of torch, for seconds.
        period_ratio = 10_000.0 ** (-torch.arange(half, device="cpu") / max(1, half - 1))
        self.register_buffer("angular", period_ratio, persistent=False)
        self.first = nn.Linear(2 * half, 4 * width)
        self.second = nn.Linear(4 * width, 4 * width)

    def forward(self, step_fraction: torch.Tensor) -> torch.Tensor:
        angle = step_fraction.float()[:, None] * self.angular.float()  # (B, width/2)
        waves = torch.cat((angle.sin(), angle.cos()), dim=1).to(self.first.weight.dtype)
        return self.second(F.silu(self.first(waves)))


class InputProjection(nn.Module):
    """Rows to tokens, Eq. 8: (B, R, L) -> (B, N, C), N = L / stride. The paper has two rows.

    With kernel and stride 1 it is the paper's 1x1 convolution.
    """

    def __init__(self, config: TSNetConfig, *, rows: int):
        super().__init__()
        self.conv = nn.Conv1d(
            rows,
            config.width,
            kernel_size=config.kernel_samples,
            stride=config.stride_samples,
            padding=(config.kernel_samples - config.stride_samples) // 2,
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.conv(rows).transpose(1, 2).contiguous()


class TSNet(nn.Module):
    """The encoder pair. Time first (it sees the spectrum), then spectrum (it sees the new time)."""

    def __init__(self, config: TSNetConfig):
        super().__init__()
        self.config = config
        if config.temporal:
            self.time_projection = InputProjection(config, rows=time_rows(config))
        if config.spectral:
            self.spectrum_projection = InputProjection(config, rows=spectrum_rows(config))
        self.step_embedding = StepEmbedding(width=config.width)
        step_width = 4 * config.width
        self.temporal = nn.ModuleList(
            TemporalEncoder(config, step_width=step_width)
            for _ in range(config.layers * config.temporal)
        )
        self.spectral = nn.ModuleList(
            SpectralEncoder(config, step_width=step_width)
            for _ in range(config.layers * config.spectral)
        )

    def forward(
        self, rows: torch.Tensor, spectrum_rows: torch.Tensor, step_fraction: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Embed windows.

        Args:
            rows: of scaled windows, by `inputs.rows_of`, (B, R, L); L a multiple of the stride.
            spectrum_rows: by the same, (B, R, L).
            step_fraction: diffusion step t/T, (B,), or (1,) for all windows.

        Returns:
            Temporal and spectral embeddings, each (B, N, C); or the one there is.
        """
        self.config.tokens(rows.shape[-1])  # raises on a length that does not fit
        step = self.step_embedding(step_fraction)
        if not self.config.coupled:
            return self._apart(rows, spectrum_rows, step)
        x = self.time_projection(rows)
        z = self.spectrum_projection(spectrum_rows)
        for temporal, spectral in zip(self.temporal, self.spectral, strict=True):
            x = temporal(x, z, step)
            z = spectral(z, x, step)
        return x, z

    def _apart(
        self, rows: torch.Tensor, spectrum_rows: torch.Tensor, step: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Run encoders that do not see each other, or one domain alone (Table 2)."""
        embeddings = []
        if self.config.temporal:
            x = self.time_projection(rows)
            for temporal in self.temporal:
                x = temporal(x, None, step)
            embeddings.append(x)
        if self.config.spectral:
            z = self.spectrum_projection(spectrum_rows)
            for spectral in self.spectral:
                z = spectral(z, None, step)
            embeddings.append(z)
        return tuple(embeddings)
