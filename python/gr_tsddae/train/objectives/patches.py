# SPDX-License-Identifier: GPL-3.0-or-later
"""LSM's contrast between the time signal of one patch and the spectrum of another."""

import torch
from torch import nn

from gr_tsddae.nets.lsm import TEMPERATURE
from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.objectives.objective import Objective, encoder_of


class PatchContrast(Objective):
    """LSM's two encoders learn to agree about a window (Eq. 4 of the article)."""

    how = "by contrast between the signal of one patch and the spectrum of another"
    fewest = 4

    @classmethod
    def networks(cls) -> list[str]:
        return ["lsm"]

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        return encoder_of(config, window_samples)

    def learned(self) -> nn.Module:
        return self.network

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return self.contrast(*self.network.backbone.pair(rows), TEMPERATURE)
