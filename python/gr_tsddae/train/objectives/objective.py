# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of all pre-training tasks."""

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
    """A task without labels that teaches a network what signals are."""

    task: ClassVar[str] = zoo.FEATURES  # of the model that is written
    how: ClassVar[str]  # "pre-trained ...", for the card
    fewest: ClassVar[int] = 1  # windows in a process's share of a batch
    config: PretrainConfig

    @classmethod
    def networks(cls) -> list[str]:
        """List the networks it can pre-train; by default all."""
        return nets.names()

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        """Make a network with what the task needs.

        Raises:
            ValueError: It does not take windows of that length.
        """
        raise NotImplementedError

    @classmethod
    def fewest_windows(cls, config: PretrainConfig) -> int:
        """Count the windows that a process's share of a batch must hold at least."""
        return cls.fewest

    def learned(self) -> nn.Module:
        """Give the network to write, which `zoo.load` reads by a card of `task`."""
        return self.network.encoder

    def contrast(
        self, first: torch.Tensor, second: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """Compute NT-Xent between two views' features, (N, E) each.

        With several processes, a window is contrasted with those of all processes, so that dividing
        a batch among devices does not change the loss.
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
        """Make what draws cropped and turned views that a network takes."""
        return Views.of(network.check_window, rows.shape[-1], share=self.config.crop)


def encoder_of(config: PretrainConfig, window_samples: int) -> nn.Module:
    """Make an encoder by the configuration's name and options.

    Raises:
        ValueError: It does not take windows of that length.
    """
    options = {"window_samples": window_samples, **config.network.options}
    encoder = nets.create_encoder(config.network.name, **options)
    encoder.check_window(window_samples)
    return encoder
