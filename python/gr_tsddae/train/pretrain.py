# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-train a network without labels."""

import torch

from gr_tsddae import zoo
from gr_tsddae.train.config import PretrainConfig, for_card
from gr_tsddae.train.learn.method import VALIDATION_LOSS
from gr_tsddae.train.objectives import Objective, objective_of
from gr_tsddae.train.run.run import Run, write_model
from gr_tsddae.train.windows.sources import DatasetSource, Source, source_of


def pretrain(config: PretrainConfig) -> zoo.Card | None:
    """Pre-train, and write the model folder `config.out`; resumes from its checkpoint.

    Returns:
        The card, with the losses on the validation set; None in processes that write no files.

    Raises:
        ValueError: Configuration, data or checkpoint do not fit; the message says what to do.
    """
    objective_of(config)  # before anything is read
    return pretrain_on(config, source_of(config, labelled=False))


def pretrain_on(
    config: PretrainConfig, source: Source, *, how: str | None = None
) -> zoo.Card | None:
    """Pre-train on windows of any source; `how` goes into the card's description."""
    kind = objective_of(config)
    _check_batches(config, source, kind.fewest_windows(config))
    torch.manual_seed(config.trainer.seed)
    objective = kind(config, kind.create(config, source.window_samples))
    run = Run(config, validated=isinstance(source, DatasetSource))
    with run.alone():
        run.fit(objective, source.feed(config, run.place), source.validation(config, run.place))
        return _written(config, source, objective, run, how or kind.how) if run.leads else None


def _check_batches(config: PretrainConfig, source: Source, fewest: int) -> None:
    """Refuse batches too short for an objective that tells windows from each other."""
    devices = config.trainer.devices * config.trainer.nodes
    found = {"optimiser.batch is": config.optimiser.batch}
    if isinstance(source, DatasetSource):
        found["windows to learn from:"] = len(source.train)
        found["windows to validate on:"] = len(source.validated)
    for what, count in found.items():
        if count < fewest * devices:
            raise ValueError(
                f"{what} {count}: objective {config.objective} needs at least {fewest} per device"
            )


def _written(
    config: PretrainConfig, source: Source, objective: Objective, run: Run, how: str
) -> zoo.Card:
    losses = run.losses()
    measured = {}
    if losses:
        best = min(losses, key=lambda line: line[VALIDATION_LOSS])
        measured = {"validation_loss": best[VALIDATION_LOSS], "step": best["step"]}
    return write_model(
        config,
        source,
        objective.learned(),
        task=objective.task,
        classes=(),
        licence=source.licence,
        description=f"{config.network.name}, pre-trained {how}; knows no classes.",
        training={**source.about, **for_card(config)},
        accuracy=measured,
    )
