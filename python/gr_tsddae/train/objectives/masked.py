# SPDX-License-Identifier: GPL-3.0-or-later
"""Masked reconstruction and next-sample prediction, as SpectrumFM learns."""

import torch
from torch import nn

from gr_tsddae.nets.baselines.spectrum_fm import (
    SpectrumFMPretrainer,
    mask_windows,
    pretraining_loss,
)
from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.objectives.objective import Objective, encoder_of


class MaskedReconstruction(Objective):
    """SpectrumFM's two tasks: fill in masked samples, and predict the last sample.

    The weights of convolutions and attentions are kept. The recurrent layer behind them, which sums
    up a window for the classifier, does not take part and starts anew: fine-tune the whole network,
    since a probe would use a layer that has learned nothing.
    """

    how = "by filling in masked samples"

    @classmethod
    def networks(cls) -> list[str]:
        return ["spectrum-fm"]

    @classmethod
    def create(cls, config: PretrainConfig, window_samples: int) -> nn.Module:
        return SpectrumFMPretrainer(encoder_of(config, window_samples).backbone.config)

    def learned(self) -> nn.Module:
        torch.manual_seed(self.config.trainer.seed)  # of the layer that starts anew
        encoder = encoder_of(self.config, self.network.config.window_samples)
        encoder.backbone.encoder.load_state_dict(self.network.encoder.state_dict())
        return encoder

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        masked, mask = mask_windows(rows)
        reconstructed, predicted = self.network(masked)
        return pretraining_loss(rows, mask, reconstructed.float(), predicted.float())
