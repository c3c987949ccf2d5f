# SPDX-License-Identifier: GPL-3.0-or-later
"""SimCLR, and SemiAMC, its variant with quarter turns: contrast between two views of a window.

Sources: Ting Chen, Simon Kornblith, Mohammad Norouzi, Geoffrey Hinton, "A simple framework for
contrastive learning of visual representations", ICML 2020. Dongxin Liu, Peng Wang, Tianshi Wang,
Tarek Abdelzaher, "Self-contrastive learning based semi-supervised radio modulation classification",
MILCOM 2021.

Left open: SimCLR disturbs images; windows are cropped and turned instead, as by LSM. SemiAMC's
projection head and temperature are those of its authors' published program.

Deviations: both take any encoder. SimCLR's own is an image's ResNet; SemiAMC's two convolutions
around two LSTM layers. SemiAMC's program draws one pair of turns for a whole batch; here each
window has its own. AdamW with its weight decay takes the place of LARS and of an L2 penalty.
"""

import torch
from torch import nn

from gr_tsddae.nets.views import quarter_turns
from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.objectives.objective import Objective, encoder_of

TEMPERATURE = 0.1


class Projected(nn.Module):
    """An encoder and a head whose outputs are compared: (B, 2, L) -> (B, D)."""

    def __init__(self, encoder: nn.Module, projection: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.projection = projection

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.projection(self.encoder(rows))


class SimCLR(Objective):
    """NT-Xent between two cropped and turned views, behind a head of two layers.

    The head has as many hidden channels as there are features, and 128 outputs.
    """

    how = "by contrast between cropped and turned views (SimCLR)"
    fewest = 4

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        encoder = encoder_of(config, window_samples)
        size = encoder.feature_size
        head = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 128))
        return Projected(encoder, head)

    def pair(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw two views of each window."""
        views = self.views_for(self.network.encoder, rows)
        return views(rows), views(rows)

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        first, second = (self.network(view) for view in self.pair(rows))
        return self.contrast(first, second, TEMPERATURE)


class SemiAMC(SimCLR):
    """NT-Xent between views of a window, turned by different multiples of a right angle.

    The head is 128 channels with BatchNorm and ReLU, then 64 with BatchNorm.
    """

    how = "by contrast between quarter turns (SemiAMC)"

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        encoder = encoder_of(config, window_samples)
        head = nn.Sequential(
            nn.Linear(encoder.feature_size, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.BatchNorm1d(64),
        )
        return Projected(encoder, head)

    def pair(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return quarter_turns(rows)
