# SPDX-License-Identifier: GPL-3.0-or-later
"""What all pre-training has in common."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.distributed as dist
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.nets.lsm import nt_xent
from gr_tsddae.nets.views import Views
from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.learn.method import Method


class Objective(Method):
    """A task without labels that teaches a network what signals are.

    Args:
        config: the run's.
        network: what `create` gives: what is kept of it, and what the task alone needs.
    """

    task: ClassVar[str] = zoo.FEATURES  # of the model that is left
    how: ClassVar[str]  # "pre-trained ...", for the card
    config: PretrainConfig

    @classmethod
    def networks(cls) -> list[str]:
        """Names of the networks it can pre-train; all of them, where nothing else is said."""
        return nets.names()

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        """A fresh network with what the task needs.

        Raises:
            ValueError: when it does not take windows of that length.
        """
        raise NotImplementedError

    @classmethod
    def fewest_windows(cls, config: PretrainConfig) -> int:
        """How many windows a process's share of a batch must hold."""
        return 1

    def learned(self) -> nn.Module:
        """What goes into the model folder: what `zoo.load` makes of a card of `task`."""
        return self.network.encoder

    def contrast(
        self, first: torch.Tensor, second: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """NT-Xent between two views' features, (N, E) each.

        While processes learn together, a window is told from those of all of them, so that
        dividing a batch among devices does not change what is learned.
        """
        if self.training and dist.is_available() and dist.is_initialized():
            first, second = (
                self.all_gather(features.float(), sync_grads=True).flatten(0, -2)
                for features in (first, second)
            )
        if self.config.temperature is not None:
            temperature = self.config.temperature
        return nt_xent(first, second, temperature=temperature)

    def views_for(self, network: nn.Module, rows: torch.Tensor) -> Views:
        """Cropped and turned views of windows that a network takes."""
        return Views.of(network.check_window, rows.shape[-1], share=self.config.crop)


def encoder_of(config: PretrainConfig, window_samples: int) -> nn.Module:
    """A fresh encoder by the configuration's name and options.

    Raises:
        ValueError: when it does not take windows of that length.
    """
    options = {"window_samples": window_samples, **config.network.options}
    encoder = nets.create_encoder(config.network.name, **options)
    encoder.check_window(window_samples)
    return encoder
