# SPDX-License-Identifier: GPL-3.0-or-later
"""The linear probe (paper, Section 4.3): train a classifier on frozen features."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from gr_tsddae import zoo
from gr_tsddae.train.config import ProbeConfig
from gr_tsddae.train.finetune import classifier, conclude
from gr_tsddae.train.learn.method import Method
from gr_tsddae.train.learn.parts import judged, one_part, parts_of
from gr_tsddae.train.run.run import Run
from gr_tsddae.train.windows.feed import ResidentFeed
from gr_tsddae.train.windows.sources import DatasetSource, source_of
from gr_tsddae.zoo.lineage import base_of


class HeadTraining(Method):
    """A classifier's head that learns from an encoder, which stays as it is.

    The head learns from one part of each window at a time, and is validated by the votes of all.

    Args:
        network: The classifier, on the run's device and in evaluation mode. Only its head is a
            module of the method: the encoder does not learn, stays in evaluation mode, where the
            running statistics of BatchNorms do not change, and is not in checkpoints.
        known: Batches hold the windows' `parts`, (B, M, E), instead of windows, (B, 2, L).
    """

    def __init__(self, config: ProbeConfig, network: nn.Module, *, known: bool):
        super().__init__(config, network.head.train())
        self._classifier = (network,)  # a tuple hides it from torch
        self._known = known

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        (network,) = self._classifier
        if not self._known:
            with torch.no_grad():
                rows = network.parts(rows)
        logits = self.network(one_part(rows)) if self.training else judged(network, rows)
        return F.cross_entropy(logits.float(), label)


def probe(config: ProbeConfig) -> zoo.Card | None:
    """Train the head of a classifier on the frozen backbone of `config.init`, and measure it.

    Features are computed once, if every window comes again unchanged and they fit into
    `data.resident_gb`. With augmentation or endless windows they are computed at each step.

    Returns:
        As `finetune`.

    Raises:
        ValueError: As `finetune`.
    """
    source = source_of(config, labelled=True)
    torch.manual_seed(config.trainer.seed)
    network, base = classifier(config, source).eval(), base_of(config.init)
    fixed = isinstance(source, DatasetSource)
    run = Run(config, validated=fixed)
    with run.alone():
        network.to(run.place.device)
        feed, validation = source.feed(config, run.place), source.validation(config, run.place)
        known = fixed and not config.trainer.augment and isinstance(feed, ResidentFeed)
        known = known and _fits(network, feed.rows, config.data.resident_gb)
        if known:
            batch = config.optimiser.batch
            rows = parts_of(network, feed.rows, batch=batch)
            feed = ResidentFeed(rows, feed.label, batch=batch, seed=feed.seed, place=run.place)
            held = [(parts_of(network, rows, batch=len(rows)), label) for rows, label in validation]
            validation = DataLoader(held, batch_size=None)
        elif config.trainer.compile:
            network.backbone.compile()
        run.fit(HeadTraining(config, network, known=known), feed, validation)
        if not run.leads:
            return None
        return conclude(config, source, network.to(run.place.device).eval(), base)


def _fits(network: nn.Module, rows: torch.Tensor, limit_gb: float) -> bool:
    """Tell whether the features of all windows fit into the memory that windows may take."""
    values = parts_of(network, rows[:1], batch=1).numel()
    return 4 * values * len(rows) <= 1e9 * limit_gb
