# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads on TS-Net's two embeddings: a classifier, or the two noise estimates."""

import torch
from torch import nn

from gr_tsddae.nets.classifier import Encoder
from gr_tsddae.nets.diffusion import STEPS
from gr_tsddae.nets.tsnet import TSNet, TSNetConfig
from gr_tsddae.nets.tsnet.inputs import rows_of

FINE_TUNING_STEP = 4  # the paper's timestep t of Table 5; a constant at inference, no noise drawn


class TSNetEncoder(Encoder):
    """TS-Net alone: scaled windows (B, 2, L) -> feature vectors (B, 2C), or (B, C) of one domain.

    Both embeddings are averaged over their tokens and concatenated (end of Section 3.3).
    """

    def __init__(self, config: TSNetConfig):
        super().__init__(TSNet(config), config.embeddings * config.width)
        step_fraction = torch.tensor([FINE_TUNING_STEP / STEPS])
        self.register_buffer("step_fraction", step_fraction, persistent=False)

    def check_window(self, window_samples: int) -> None:
        """Raise ValueError when windows of this length do not fit the network."""
        self.backbone.config.tokens(window_samples)

    def embed(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute feature vectors: scaled (B, 2, L) -> (B, 2C), or (B, C) of one domain."""
        dtype = next(self.backbone.parameters()).dtype
        seen = rows_of(self.backbone.config, rows.float())
        embeddings = self.backbone(*(part.to(dtype) for part in seen), self.step_fraction)
        return torch.cat([embedding.mean(1) for embedding in embeddings], dim=1)


class TSNetClassifier(TSNetEncoder):
    """TS-Net and a classifier: scaled windows (B, 2, L) -> logits (B, K)."""

    def __init__(self, config: TSNetConfig, *, class_count: int):
        super().__init__(config)
        hidden = config.head_width or config.width
        self.head = nn.Sequential(
            nn.Linear(self.feature_size, hidden),
            nn.Dropout(config.dropout),
            nn.PReLU(),
            nn.Linear(hidden, class_count),
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(rows))


class TSNetDenoiser(TSNetEncoder):
    """TS-Net and one head per noise: noisy windows (B, 2, L) -> two estimates (B, 2, L).

    Each head is LayerNorm - SiLU - Linear. The temporal embedding estimates the temporal noise
    epsilon, the spectral embedding the spectral noise eta (Eq. 7); where there is one embedding,
    it estimates both.
    """

    def __init__(self, config: TSNetConfig):
        super().__init__(config)
        self.temporal_head = _noise_head(config)
        self.spectral_head = _noise_head(config)

    def forward(self, noisy: torch.Tensor, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Estimate both noises.

        Args:
            noisy: x_t of Eq. 5, (B, 2, L).
            step: t, integers 0..STEPS, (B,).

        Returns:
            Estimates of epsilon and eta, each (B, 2, L).
        """
        seen = rows_of(self.backbone.config, noisy.float())
        embeddings = self.backbone(*(part.to(noisy.dtype) for part in seen), step / STEPS)
        x, z = embeddings[0], embeddings[-1]
        return _to_rows(self.temporal_head(x)), _to_rows(self.spectral_head(z))


def _noise_head(config: TSNetConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(config.width),
        nn.SiLU(),
        nn.Linear(config.width, 2 * config.stride_samples),
    )


def _to_rows(tokens: torch.Tensor) -> torch.Tensor:
    """Turn tokens of `stride` samples, (B, N, 2*stride), back to rows (B, 2, N*stride)."""
    batch, count, _ = tokens.shape
    return tokens.view(batch, count, 2, -1).transpose(1, 2).reshape(batch, 2, -1)
