# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising in both domains (TS-DDAE paper, Sections 3.2, 4.1 and 4.4)."""

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.nets.diffusion import Diffusion
from gr_tsddae.nets.lsm import TEMPERATURE
from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.objectives.objective import Objective


class Denoising(Objective):
    """A denoiser that learns the noises added to a window at a random step.

    It is (noisy (B, 2, L), step (B,)) -> two estimates (B, 2, L).

    Two options of the configuration take up LSM's lesson. With `contrast_weight`, the features of
    two turned and cropped views, as a classifier will see them, learn to be alike as well. With
    `views`, noise is added to such views instead of whole windows; validation is on whole ones.
    """

    task = zoo.DENOISING
    how = "by denoising"

    def __init__(self, config: PretrainConfig, network: nn.Module):
        super().__init__(config, network)
        self.diffusion = Diffusion(ratio=config.ratio, split=config.split)

    @classmethod
    def networks(cls) -> list[str]:
        return nets.denoisers()

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        network = nets.create_denoiser(config.network.name, **config.network.options)
        network.check_window(window_samples)
        return network

    @classmethod
    def fewest_windows(cls, config: PretrainConfig) -> int:
        return 4 if config.contrast_weight else cls.fewest

    def learned(self) -> nn.Module:
        return self.network

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        config = self.config
        view = self.views_for(self.network, rows) if config.looks_at_views else None
        seen = view(rows) if config.views and self.training else rows
        loss = self.denoising_loss(seen)
        if config.contrast_weight:
            first, second = (self.network.embed(view(rows)) for _ in range(2))
            loss = loss + config.contrast_weight * self.contrast(first, second, TEMPERATURE)
        return loss

    def denoising_loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute Eq. 7 for a step t and noises epsilon and eta drawn per window."""
        step, temporal = self.step_of(rows), torch.randn_like(rows)
        spectral = torch.randn_like(rows)
        noisy = self.diffusion.corrupt(rows, step, temporal, spectral)
        temporal_estimate, spectral_estimate = self.network(noisy, step)
        weighted_step = step if self.config.weighted else None
        return self.diffusion.loss(
            temporal, spectral, temporal_estimate.float(), spectral_estimate.float(), weighted_step
        )

    def step_of(self, rows: torch.Tensor) -> torch.Tensor:
        """Draw a step per window: (B, 2, L) -> (B,)."""
        return torch.randint(1, self.diffusion.steps + 1, (len(rows),), device=rows.device)


class Restoration(Denoising):
    """A denoiser that restores the window from one noise of the same total power (Section 4.4).

    Both embeddings take part: the estimate is the sum of the two heads.
    """

    how = "by restoring windows from a single noise"

    def denoising_loss(self, rows: torch.Tensor) -> torch.Tensor:
        step, noise = self.step_of(rows), torch.randn_like(rows)
        signal = self.diffusion.alpha_bar[step].view(-1, 1, 1)
        noisy = signal * rows + (1 - signal.square()).sqrt() * noise
        temporal, spectral = self.network(noisy, step)
        return F.mse_loss(temporal.float() + spectral.float(), rows)
