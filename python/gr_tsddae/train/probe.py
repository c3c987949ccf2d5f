# SPDX-License-Identifier: GPL-3.0-or-later
"""The linear probe (paper, Section 4.3): what frozen features are worth."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader

from gr_tsddae import zoo
from gr_tsddae.train.config import ProbeConfig
from gr_tsddae.train.feed import ResidentFeed
from gr_tsddae.train.finetune import Classification, classifier, conclude
from gr_tsddae.train.lineage import base_of
from gr_tsddae.train.run import Run
from gr_tsddae.train.sources import DatasetSource, source_of


def probe(config: ProbeConfig) -> zoo.Card | None:
    """Train the head of a classifier on the frozen backbone of `config.init`, and measure it.

    Where every window comes again as it was, its features are computed once. With augmentation, or
    endless windows, they are computed at each step.

    Returns:
        As `finetune`.

    Raises:
        ValueError: as `finetune`.
    """
    source = source_of(config, labelled=True)
    torch.manual_seed(config.trainer.seed)
    network, base = classifier(config, source).eval(), base_of(config.init)
    fixed = isinstance(source, DatasetSource)
    run = Run(config, validated=fixed)
    with run.alone():
        network.to(run.place.device)
        feed, validation = source.feed(config, run.place), source.validation(config, run.place)
        if fixed and not config.trainer.augment and isinstance(feed, ResidentFeed):
            rows = features(network, feed.rows, batch=config.optimiser.batch)
            known = ResidentFeed(
                rows, feed.label, batch=config.optimiser.batch, seed=feed.seed, place=run.place
            )
            held = [(features(network, rows, batch=len(rows)), label) for rows, label in validation]
            method = Classification(config, network.head.train())
            run.fit(method, known, DataLoader(held, batch_size=None))
        else:
            run.fit(Classification(config, network, frozen="backbone").train(), feed, validation)
        if not run.leads:
            return None
        return conclude(config, source, network.to(run.place.device).eval(), base)


@torch.no_grad()
def features(network: nn.Module, rows: torch.Tensor, *, batch: int) -> torch.Tensor:
    """Features of scaled windows by a network in evaluation mode: (B, 2, L) -> (B, C)."""
    return torch.cat([network.embed(part) for part in rows.split(batch)])
