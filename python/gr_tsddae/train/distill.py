# SPDX-License-Identifier: GPL-3.0-or-later
"""Distillation: a small network learns the outputs of a large one.

Sources: Geoffrey Hinton, Oriol Vinyals, Jeff Dean, "Distilling the knowledge in a neural network",
2015 (logits). Adriana Romero, Nicolas Ballas, Samira Ebrahimi Kahou, Antoine Chassang, Carlo Gatta,
Yoshua Bengio, "FitNets: hints for thin deep nets", ICLR 2015 (features, behind a regressor).

Deviation: FitNets compares features by their squared distance. Here it is the cosine of their
angle, which does not depend on the size of a teacher's features.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae import zoo
from gr_tsddae.nets.classifier import Encoder
from gr_tsddae.train.config import DistillConfig
from gr_tsddae.train.finetune import train_classifier, undo_noise_prior
from gr_tsddae.train.learn.method import Method
from gr_tsddae.train.windows.sources import Source, source_of


def distillation_loss(
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    label: torch.Tensor,
    *,
    temperature: float,
    hard_weight: float,
) -> torch.Tensor:
    """Compute (1 - w) T^2 KL(teacher at T || student at T) + w cross-entropy, a scalar.

    The gradient of the first term falls with 1 / T^2. The factor T^2 makes up for that, so that
    the weight means the same at every temperature (Hinton, Section 2).

    Args:
        logits: The student's, (B, K).
        teacher_logits: (B, K).
        label: True classes, (B,).
        temperature: T, which divides the logits of both.
        hard_weight: w, from 0 to 1.
    """
    ours = (logits.float() / temperature).log_softmax(1)
    theirs = (teacher_logits.float() / temperature).log_softmax(1)
    soft = F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2
    return torch.lerp(soft, F.cross_entropy(logits.float(), label), hard_weight)


class Distillation(Method):
    """A classifier that learns from labels and from the outputs of another one.

    Args:
        network: The student, (B, 2, L) -> logits (B, K).
        teacher: (B, 2, L) -> logits (B, K). It is no module of the method: it does not learn, and
            is neither averaged nor in checkpoints.
    """

    config: DistillConfig

    def __init__(self, config: DistillConfig, network: nn.Module, teacher: nn.Module):
        super().__init__(config, network)
        self._teacher = (teacher.eval().requires_grad_(False),)  # a tuple hides it from torch
        # Brings the student's features to the teacher's size; needed while training only.
        self.regressor = (
            nn.Linear(network.feature_size, teacher.feature_size) if config.feature_weight else None
        )

    def on_fit_start(self) -> None:
        self._teacher[0].to(self.device)

    def compile_networks(self) -> None:
        for network in (self.network, *self._teacher):
            if self.regressor is None:
                network.compile()
            else:  # `loss` calls `embed` alone
                network.embed = torch.compile(network.embed)

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        config, (teacher,) = self.config, self._teacher
        weights = {"temperature": config.temperature, "hard_weight": config.hard_weight}
        if self.regressor is None:
            with torch.no_grad():
                theirs = teacher(rows)
            return distillation_loss(self.network(rows), theirs, label, **weights)
        with torch.no_grad():
            wanted = teacher.embed(rows)
            theirs = teacher.head(wanted)
        features = self.network.embed(rows)
        loss = distillation_loss(self.network.head(features), theirs, label, **weights)
        likeness = F.cosine_similarity(self.regressor(features).float(), wanted.float())  # (B,)
        return loss + config.feature_weight * (1 - likeness).mean()


def distill(config: DistillConfig) -> zoo.Card | None:
    """Train a classifier on the outputs of a teacher, measure it, and write the model folder.

    Returns:
        As `finetune`.

    Raises:
        ValueError: As `finetune`; or teacher and windows do not fit.
    """
    source = source_of(config, labelled=True)
    teacher = teacher_for(config, source)
    learn = functools.partial(Distillation, teacher=teacher.network)
    return train_classifier(config, source, learn, teacher=teacher.card)


def teacher_for(config: DistillConfig, source: Source) -> zoo.Model:
    """Load the teacher without the prior of `noise` that was folded into its head.

    The student learns from windows with all classes equally often, and gets a prior of its own at
    the end.

    Raises:
        ValueError: Its classes, window or scaling are others, or it would be overwritten.
    """
    model = zoo.load(config.teacher)
    zoo.need_classes(model.card)
    if model.folder.resolve() == config.out.resolve():
        raise ValueError(f"out is {config.out}, the folder of teacher: choose another")
    for what, theirs, ours in (
        ("window_samples", model.card.window_samples, source.window_samples),
        ("scaling", model.card.scaling, config.data.scaling),
        ("classes", ", ".join(model.card.classes), ", ".join(source.classes)),
    ):
        if theirs != ours:
            raise ValueError(
                f"teacher {config.teacher} has {what} {theirs}; these windows have {ours}: choose "
                "a teacher of the same, or other data"
            )
    if config.feature_weight and type(model.network).vote is not Encoder.vote:
        raise ValueError(
            f"feature_weight is {config.feature_weight}, and teacher {config.teacher} is a "
            f"{model.card.network}, which judges a window's parts: use 0"
        )
    undo_noise_prior(model.network, model.card)
    return model
