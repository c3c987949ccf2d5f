# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a classifier from a pre-trained network, or from nothing."""

import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.labels import NOISE
from gr_tsddae.nets.tsnet import TSNet
from gr_tsddae.nets.tsnet.growth import can_deepen, can_see_more, deepen, see_more
from gr_tsddae.train.config import SYNTH, DataConfig, FinetuneConfig, ProbeConfig, for_card
from gr_tsddae.train.learn.calibration import calibrate
from gr_tsddae.train.learn.method import Method
from gr_tsddae.train.learn.parts import PartLogits
from gr_tsddae.train.measure.details import summary_lines
from gr_tsddae.train.measure.predict import measure, predict_finite
from gr_tsddae.train.run.run import Run, write_model
from gr_tsddae.train.windows.sources import DatasetSource, Source, SyntheticSource, source_of
from gr_tsddae.zoo.lineage import ancestry, base_of, joint_licence, schooling

log = logging.getLogger(__name__)


class Classification(Method):
    """A classifier, (B, 2, L) -> logits (B, K), that learns labels by cross-entropy.

    Windows of no class, labelled `OUTLIER`, teach it to hold all classes for equally likely
    (outlier exposure, Hendrycks et al. 2019).
    """

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        logits = self.network(rows).float()
        if (label >= 0).all():
            return F.cross_entropy(logits, label)
        evenly = torch.full_like(logits, 1 / logits.shape[1])
        target = torch.where(
            (label >= 0)[:, None], F.one_hot(label.clamp(min=0), logits.shape[1]).float(), evenly
        )
        return F.cross_entropy(logits, target)


def finetune(config: FinetuneConfig) -> zoo.Card | None:
    """Train, measure, and write the model folder `config.out`; resumes from its checkpoint.

    Returns:
        The card, with accuracy on windows the model never saw; None in processes that write no
        files.

    Raises:
        ValueError: Configuration, data, `init` or checkpoint do not fit; the message says what to
            do.
    """
    return train_classifier(config, source_of(config, labelled=True))


def train_classifier(
    config: FinetuneConfig,
    source: Source,
    learn: Callable[[FinetuneConfig, nn.Module], Method] = Classification,
    *,
    teacher: zoo.Card | None = None,
) -> zoo.Card | None:
    """Train on windows of any source, by any method; `teacher` goes into the card."""
    torch.manual_seed(config.trainer.seed)
    network, base = classifier(config, source), base_of(config.init)
    run = Run(config, validated=isinstance(source, DatasetSource))
    with run.alone():
        network = run.fit(
            learn(config, network),
            source.feed(config, run.place),
            source.validation(config, run.place),
        )
        return conclude(config, source, network, base, teacher) if run.leads else None


def classifier(config: FinetuneConfig, source: Source) -> nn.Module:
    """Make a classifier for a source, with the weights of `config.init` if there is one."""
    options = {"window_samples": source.window_samples, **config.network.options}
    network = nets.create(config.network.name, class_count=len(source.classes), **options)
    network.check_window(source.window_samples)
    if config.init:
        start_from(network, config.init, config=config, source=source)
    return network


def start_from(network: nn.Module, init: Path, *, config: FinetuneConfig, source: Source) -> None:
    """Give a classifier the backbone of a model, and its head where the classes are the same.

    The prior of `noise` that was folded into that head is undone; the end of this run folds it in
    again. A temperature stays: it only scales the logits to start from, and the end of this run
    fits another one.

    Raises:
        ValueError: The model is of another network, length or scaling, or would be overwritten. A
            shallower network of the same width will do.
    """
    model = zoo.load(init)
    card = model.card
    if model.folder.resolve() == config.out.resolve():
        raise ValueError(f"out is {config.out}, the folder of init: choose another")
    for what, theirs, ours in (
        ("window_samples", card.window_samples, source.window_samples),
        ("scaling", card.scaling, config.data.scaling),
    ):
        if theirs != ours:
            raise ValueError(f"init {init} has {what} {theirs}; this run has {ours}")
    take_backbone(network.backbone, model.network.backbone, init)
    if card.classes == source.classes:
        network.head.load_state_dict(model.network.head.state_dict(), strict=True)
        undo_noise_prior(network, card)
        log.info("started from backbone and head of %s", card.name)
    else:
        log.info("started from the backbone of %s; the head is new", card.name)


def take_backbone(ours: nn.Module, theirs: nn.Module, init: Path) -> None:
    """Copy trained weights into a network like it, into a deeper one, or one that sees more.

    Raises:
        ValueError: They do not fit.
    """
    if type(theirs) is not type(ours):
        raise ValueError(
            f"init {init} is a {type(theirs).__name__} where this run has a {type(ours).__name__}; "
            "choose network.name alike"
        )
    if isinstance(ours, TSNet) and can_deepen(theirs, ours):
        deepen(theirs, ours)
        log.info("grown from %d to %d layers", theirs.config.layers, ours.config.layers)
        return
    if isinstance(ours, TSNet) and can_see_more(theirs, ours):
        see_more(theirs, ours)
        log.info("grown to see derived rows, too")
        return
    had, wanted = dataclasses.asdict(theirs.config), dataclasses.asdict(ours.config)
    differing = [
        f"{name} {had[name]} where this run has {wanted[name]}"
        for name in wanted
        if had[name] != wanted[name] and name not in ("dropout", "drop_path")  # for training alone
    ]
    if differing:
        raise ValueError(
            f"init {init} has {', '.join(differing)}; choose network.name and network.options alike"
        )
    ours.load_state_dict(theirs.state_dict(), strict=True)


def conclude(
    config: FinetuneConfig,
    source: Source,
    network: nn.Module,
    base: zoo.Card | None,
    teacher: zoo.Card | None = None,
) -> zoo.Card:
    """Calibrate, measure and write a trained classifier, and return its card.

    The weights are calibrated and measured as they are stored.
    """
    training: dict[str, Any] = {**source.about, **for_card(config), **ancestry(base)}
    training |= schooling(teacher)
    owed = [card.licence for card in (base, teacher) if card]
    zoo.round_as_stored(network)
    if isinstance(source, SyntheticSource):
        balance(network, source)
        shift_noise_prior(
            network, source.classes.index(NOISE), config.noise_prior, source.noise_share
        )
        training["windows"] = config.trainer.steps * config.optimiser.batch
    elif config.calibrate:
        logits, label, _ = predict_finite(
            PartLogits(network), source.validation_set(), scaling=config.data.scaling
        )
        training["calibration"] = calibrate(network, logits, label)
    zoo.round_as_stored(network)  # the last layer has changed
    test_set = source.test_set(config)
    accuracy = measure(network, test_set, scaling=config.data.scaling)
    origin = f"fine-tuned from {config.init.name}" if config.init else "trained from scratch"
    if isinstance(config, ProbeConfig):
        origin = f"a head trained on the frozen {config.init.name},"
    if teacher:
        origin += f", taught by {teacher.name},"
    kind = test_set.kind
    if isinstance(source, SyntheticSource):
        kind = f"synthetic windows of the recipe '{config.data.recipe}'"
        counts = {"recipe": config.data.recipe, "windows_per_class_and_snr": config.test_windows}
        accuracy = counts | accuracy
    for line in summary_lines({**accuracy, "level_name": test_set.level_name}):
        log.info("%s", line)
    return write_model(
        config,
        source,
        network,
        task=source.task,
        classes=source.classes,
        licence=joint_licence(*owed, source.licence) if owed else source.licence,
        description=f"{len(source.classes)} classes, {origin} on {kind}.",
        training=training,
        accuracy=accuracy,
    )


@torch.no_grad()
def balance(network: nn.Module, source: SyntheticSource, *, undo: bool = False) -> None:
    """Make a classifier expect all classes alike, where training drew some of them twice as often.

    By Bayes' rule, as `shift_noise_prior` does.
    """
    for name in source.twice:
        network.head[-1].bias[source.classes.index(name)] -= math.log(0.5 if undo else 2)


@torch.no_grad()
def shift_noise_prior(network: nn.Module, noise: int, prior: float, training_share: float) -> None:
    """Make a classifier expect class `noise` as often as `prior`, not as in training.

    By Bayes' rule, the logit of the class grows by the logarithm of the new prior's odds over the
    old one's. The bias of the last layer takes it up.
    """
    odds = prior / (1 - prior) / (training_share / (1 - training_share))
    network.head[-1].bias[noise] += math.log(odds)


def undo_noise_prior(network: nn.Module, card: zoo.Card) -> None:
    """Make a classifier expect `noise` as often as in training, if its card tells of a shift.

    Without this, a run that starts from the classifier and is too short to unlearn the shift would
    end with twice the shift.
    """
    # A card's training has a free form: any other content tells of no prior.
    with contextlib.suppress(LookupError, TypeError, ValueError, ArithmeticError):
        data, prior = card.training["data"], card.training["noise_prior"]
        if data["kind"] == SYNTH:
            source = SyntheticSource(DataConfig(recipe=data["recipe"]))
            balance(network, source, undo=True)
            shift_noise_prior(network, card.classes.index(NOISE), source.noise_share, prior)
