# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-training by denoising in both domains (paper, Sections 3.2 and 4.1)."""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.nets.diffusion import Diffusion
from gr_tsddae.train.config import PretrainConfig, for_card
from gr_tsddae.train.method import VALIDATION_LOSS, Method
from gr_tsddae.train.run import Run, write_json
from gr_tsddae.train.sources import DatasetSource, Source, source_of

log = logging.getLogger(__name__)


class Pretraining(Method):
    """A denoiser, which learns the noises that were added to a window at a random step.

    Args:
        config: the run's.
        network: (noisy (B, 2, L), step (B,)) -> two estimates (B, 2, L).
    """

    def __init__(self, config: PretrainConfig, network: nn.Module):
        super().__init__(config, network)
        self.diffusion = Diffusion(ratio=config.ratio, split=config.split)

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Eq. 7 for a step t and noises epsilon and eta drawn per window; labels are not used."""
        diffusion = self.diffusion
        step = torch.randint(1, diffusion.steps + 1, (len(rows),), device=rows.device)
        weighted_step = step if self.config.weighted else None
        temporal = torch.randn_like(rows)
        if self.config.objective == "single":
            return self._restoration_loss(rows, step, temporal)
        spectral = torch.randn_like(rows)
        noisy = diffusion.corrupt(rows, step, temporal, spectral)
        temporal_estimate, spectral_estimate = self.network(noisy, step)
        return diffusion.loss(
            temporal, spectral, temporal_estimate.float(), spectral_estimate.float(), weighted_step
        )

    def _restoration_loss(
        self, rows: torch.Tensor, step: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """One noise of the same total power, and the window itself as the target (Section 4.4).

        Both embeddings take part: the estimate is the sum of the two heads.
        """
        signal = self.diffusion.alpha_bar[step].view(-1, 1, 1)
        noisy = signal * rows + (1 - signal.square()).sqrt() * noise
        temporal, spectral = self.network(noisy, step)
        return F.mse_loss(temporal.float() + spectral.float(), rows)


def pretrain(config: PretrainConfig) -> zoo.Card | None:
    """Pre-train, and write the model folder `config.out`; resumes from its checkpoint.

    Returns:
        The card, with the losses on the validation part; None in processes that write no files.

    Raises:
        ValueError: when configuration, data or checkpoint do not fit; the message says what to do.
    """
    return pretrain_on(config, source_of(config, labelled=False))


def pretrain_on(
    config: PretrainConfig, source: Source, *, what: str = "by denoising"
) -> zoo.Card | None:
    """`pretrain` on windows of any source; `what` goes into the card's description."""
    torch.manual_seed(config.trainer.seed)
    network = nets.create_denoiser(config.network.name, **config.network.options)
    network.check_window(source.window_samples)
    run = Run(config, validated=isinstance(source, DatasetSource))
    with run.alone():
        network = run.fit(
            Pretraining(config, network),
            source.feed(config, run.place),
            source.validation(config, run.place),
        )
        return _written(config, source, network, run, what) if run.leads else None


def _written(
    config: PretrainConfig, source: Source, network: nn.Module, run: Run, what: str
) -> zoo.Card:
    losses = run.losses()
    measured = {}
    if losses:
        best = min(losses, key=lambda line: line[VALIDATION_LOSS])
        measured = {"validation_loss": best[VALIDATION_LOSS], "step": best["step"]}
    card = zoo.save(
        config.out,
        zoo.Card(
            name=config.name,
            task=zoo.DENOISING,
            network=config.network.name,
            network_options=config.network.options,
            classes=(),
            window_samples=source.window_samples,
            scaling=config.data.scaling,
            samples_per_symbol=source.samples_per_symbol,
            sample_rate_hz=source.sample_rate_hz,
            weights_sha256="",
            licence=source.licence,
            description=f"{config.network.name}, pre-trained {what}; knows no classes.",
            training={**source.about, **for_card(config)},
            accuracy=measured,
        ),
        network,
    )
    write_json(config.out / "metrics.json", {"model": config.name, **measured})
    log.info("wrote %s", config.out)
    return card
