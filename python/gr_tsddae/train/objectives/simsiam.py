# SPDX-License-Identifier: GPL-3.0-or-later
"""SimSiam: each view predicts the other, without contrast to other windows.

Source: Xinlei Chen, Kaiming He, "Exploring simple Siamese representation learning", CVPR 2021.

Left open: SimSiam disturbs images; windows are cropped and turned instead, as by LSM.

Deviations: any encoder instead of an image's ResNet. Layers are as wide as its features, as the
paper's 2048 are, with a bottleneck of a quarter. AdamW for all parts, where the paper has SGD and
a constant rate for the predictor. The loss is lowest, -1, for a network with the same features for
all windows, so it does not tell how good a network is.
"""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.objectives.objective import Objective, encoder_of


class Siamese(nn.Module):
    """An encoder with a projection of three layers, and a predictor with a bottleneck."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        size = encoder.feature_size
        self.encoder = encoder
        self.projection = nn.Sequential(
            *_layer(size, size), *_layer(size, size), nn.Linear(size, size, bias=False),
            nn.BatchNorm1d(size, affine=False),
        )  # fmt: skip
        narrow = max(1, size // 4)
        self.predictor = nn.Sequential(*_layer(size, narrow), nn.Linear(narrow, size))

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute projections and predictions of the other view: (B, 2, L) -> (B, E) each."""
        projected = self.projection(self.encoder(rows))
        return projected, self.predictor(projected)


class SimSiam(Objective):
    """The negative cosine between each view's prediction and the other view's projection.

    The gradient stops at the projection; otherwise all features would become equal.
    """

    how = "by predicting one view from another (SimSiam)"
    fewest = 2  # of a single window, BatchNorm leaves nothing

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        return Siamese(encoder_of(config, window_samples))

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        views = self.views_for(self.network.encoder, rows)
        (first, of_second), (second, of_first) = (
            self.network(views(rows)),
            self.network(views(rows)),
        )
        return agreement(of_second, second) / 2 + agreement(of_first, first) / 2


def agreement(predicted: torch.Tensor, projected: torch.Tensor) -> torch.Tensor:
    """Compute the mean negative cosine of (B, E) tensors; no gradient reaches the second."""
    return -F.cosine_similarity(predicted.float(), projected.detach().float(), dim=1).mean()


def _layer(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
