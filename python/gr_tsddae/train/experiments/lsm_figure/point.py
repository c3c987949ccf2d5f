# SPDX-License-Identifier: GPL-3.0-or-later
"""One point of the few-shot figure: a method at one SNR with one seed, over all trials."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae import nets
from gr_tsddae.data import Dataset, open_dataset
from gr_tsddae.files import write_json
from gr_tsddae.iq.windows import SCALINGS, to_complex, to_rows
from gr_tsddae.nets.prototypes import Prototypical, Relation
from gr_tsddae.train.config import NetworkChoice, PretrainConfig, TrainerConfig, at_least
from gr_tsddae.train.experiments.lsm_figure.episodes import learn_by_episodes, recognised
from gr_tsddae.train.experiments.lsm_figure.tasks import (
    WAYS,
    Tasks,
    contrastive_tasks,
    few_shot_tasks,
)
from gr_tsddae.train.experiments.lsm_figure.trial_heads import accuracy, train_heads
from gr_tsddae.train.learn.parts import parts_of
from gr_tsddae.train.objectives import objective_of
from gr_tsddae.train.windows.feed import Batch, seed_of

FEATURE_BATCH = 500  # windows whose features are computed at once
CHECKS = 5  # so often a head is validated while it trains, where there are windows for it


@dataclass(frozen=True)
class Contender:
    """A method that the figure compares.

    Attributes:
        title: In legends.
        network: The network that learns.
        how: An objective of pre-training, or "labels", "prototypical", "relation".
    """

    title: str
    network: str
    how: str


# SimCLR and SimSiam come with a ResNet. SemiAMC has the same network here, so that the objectives
# are compared and not the networks.
CONTENDERS = {
    "lsm": Contender("LSM", "lsm", "lsm"),
    "ts-ddae": Contender("TS-DDAE (tsnet-mini)", "tsnet-mini", "noise"),
    "simclr": Contender("SimCLR", "resnet18", "simclr"),
    "simsiam": Contender("SimSiam", "resnet18", "simsiam"),
    "semiamc": Contender("SemiAMC", "resnet18", "semiamc"),
    "prototypical": Contender("prototypical", "conv4", "prototypical"),
    "relation": Contender("relation", "conv4", "relation"),
    "cnn2": Contender("CNN2", "cnn2", "labels"),
    "cnn-lstm": Contender("CNN-LSTM", "cnn-lstm", "labels"),
    "resnet18": Contender("ResNet18", "resnet18", "labels"),
}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Windows and steps for every method, by default those of the article or its program.

    Attributes:
        trials: Tasks per seed and SNR, each with its own windows and its own head.
        shots: Labelled windows per class of the five-way tasks.
        queries: Windows to recognise per class and task.
        pretrain_windows: Windows per class to pre-train on for those tasks, at most.
        contrast_windows: For panel (a), four numbers of windows per class: to pre-train on,
            labelled, to validate on, to recognise.
        epochs: Epochs of pre-training, with or without labels.
        batch: Windows per step of pre-training.
        learning_rate: Of Adam, in pre-training and episodes.
        head_steps: Steps of Adam for a head, each with all labelled windows.
        head_learning_rate: Of Adam, for heads.
        turns: Show each labelled window to a head in so many phases, evenly around the circle; 1
            shows it as it is.
        episodes: Training steps of prototypical and relation networks.
        networks: Network -> options that differ from its own size, e.g. {lsm: {layers: 3}}.
    """

    trials: int = 10
    shots: tuple[int, ...] = (1, 5)
    queries: int = 500
    pretrain_windows: int = 1000
    contrast_windows: tuple[int, int, int, int] = (495, 5, 250, 250)
    epochs: int = 300
    batch: int = 1400
    learning_rate: float = 1e-3
    head_steps: int = 2000
    head_learning_rate: float = 1e-4
    turns: int = 8
    episodes: int = 2000
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        at_least(1, self, "trials", "queries", "epochs", "turns", "episodes")
        at_least(2, self, "pretrain_windows")
        at_least(4, self, "batch")
        at_least(CHECKS, self, "head_steps")
        for name in ("learning_rate", "head_learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be over 0")
        if not self.shots or len(set(self.shots)) < len(self.shots) or min(self.shots) < 1:
            raise ValueError(f"shots is {list(self.shots)}: give different numbers of at least 1")
        if self.pretrain_windows <= max(self.shots):
            raise ValueError(
                f"pretrain_windows is {self.pretrain_windows} and shots up to {max(self.shots)}: "
                "an episode needs one window of a class more than shots"
            )
        if len(self.contrast_windows) != 4 or min(self.contrast_windows) < 1:
            raise ValueError(
                f"contrast_windows is {list(self.contrast_windows)}: give four numbers of at least "
                "1, to pre-train on, labelled, to validate on, to recognise"
            )
        used = {method.network for method in CONTENDERS.values()}
        if unknown := sorted(set(self.networks) - used):
            raise ValueError(
                f"networks names {', '.join(unknown)}; the figure has {', '.join(sorted(used))}"
            )


@dataclass(frozen=True, kw_only=True)
class PointConfig:
    """Everything that fixes a point.

    Attributes:
        out: Folder to write metrics.json to.
        dataset: Kind of the file.
        path: The file.
        protocol: "contrastive", or "few-shot".
        method: A name in `CONTENDERS`.
        seed: Of the division into classes, the windows and the weights.
        snr_db: Level of all windows.
        budget: Windows and steps.
    """

    out: Path
    dataset: str
    path: Path
    protocol: str
    method: str
    seed: int
    snr_db: int
    budget: Budget


@functools.lru_cache(maxsize=1)
def opened(kind: str, path: Path) -> Dataset:
    """Open the data set; a process reads it once."""
    return open_dataset(kind, path)


def tasks_of(config: PointConfig, dataset: Dataset) -> Tasks:
    """Draw the tasks of a point, the same for every method: trials are compared in pairs."""
    budget = config.budget
    shared = {"seed": config.seed, "trials": budget.trials}
    if config.protocol == "contrastive":
        return contrastive_tasks(dataset, config.snr_db, windows=budget.contrast_windows, **shared)
    return few_shot_tasks(
        dataset, config.snr_db, shots=max(budget.shots), queries=budget.queries,
        pretrain_windows=budget.pretrain_windows, **shared,
    )  # fmt: skip


def measure_point(config: PointConfig, *, device: str) -> None:
    """Pre-train, adapt to every task, recognise its queries, and write metrics.json."""
    began = time.monotonic()
    dataset = opened(config.dataset, config.path)
    tasks = tasks_of(config, dataset)
    scaled = SCALINGS["unit_power"]

    def batch(which: np.ndarray, label: np.ndarray) -> Batch:
        rows = scaled(torch.from_numpy(dataset.rows(which)))
        return rows.to(device), torch.from_numpy(label).to(device)

    torch.manual_seed(seed_of("point", config.protocol, config.method, config.seed, config.snr_db))
    adapt = _by_comparison if CONTENDERS[config.method].how in _LEARNERS else _by_heads
    known = batch(tasks.pretrain, tasks.pretrain_label)
    accuracies = adapt(config, tasks, known, batch(tasks.windows, tasks.label))
    write_json(
        config.out / "metrics.json",
        {"accuracy": accuracies, "seconds": round(time.monotonic() - began, 1)},
    )


def _by_heads(
    config: PointConfig, tasks: Tasks, known: Batch, asked: Batch
) -> dict[str, list[float]]:
    """Train a head per trial on the frozen encoder: shots -> accuracy of each trial."""
    budget, ways, (rows, true) = config.budget, tasks.support.shape[1], asked
    network = pretrained(config, *known, class_count=ways)
    features = parts_of(network, rows, batch=FEATURE_BATCH)  # (W, M, E)
    turned = parts_of(
        network, turns(rows[tasks.support.ravel()], budget.turns), batch=FEATURE_BATCH
    )  # (T N K R, M, E)
    turned = turned.unflatten(0, (*tasks.support.shape, budget.turns)).flatten(3, 4)
    validated = tasks.validation.shape[1] > 0
    found = {}
    for shots in _shots(config):
        few = turned[:, :, :shots].flatten(1, 2)  # (T, N K, R M, E)
        target = torch.arange(ways, device=rows.device).repeat_interleave(shots)
        best = [(-1.0, 0.0)] * budget.trials  # validation and test accuracy
        for heads in train_heads(
            network.head, few, target, steps=budget.head_steps,
            learning_rate=budget.head_learning_rate, checks=CHECKS if validated else 1,
        ):  # fmt: skip
            for trial, head in enumerate(heads):
                validation, query = (
                    accuracy(network, head, features[of], true[of], batch=FEATURE_BATCH)
                    if len(of)
                    else 0.0
                    for of in (tasks.validation[trial], tasks.query[trial])
                )
                if validation > best[trial][0]:
                    best[trial] = validation, query
        found[str(shots)] = [query for _, query in best]
    return found


def _by_comparison(
    config: PointConfig, tasks: Tasks, known: Batch, asked: Batch
) -> dict[str, list[float]]:
    """Learn by episodes of the known classes, and compare: shots -> accuracy of each trial."""
    found, (rows, true) = {}, asked
    for shots in _shots(config):
        learner = _LEARNERS[CONTENDERS[config.method].how](_encoder(config, rows.shape[-1]))
        learner.to(rows.device)
        learn_by_episodes(
            learner, *known, ways=WAYS, shots=shots, episodes=config.budget.episodes,
            learning_rate=config.budget.learning_rate,
        )  # fmt: skip
        with torch.no_grad():
            features = torch.cat([learner.encoder(some) for some in rows.split(FEATURE_BATCH)])
        found[str(shots)] = [
            float((
                recognised(learner, features[few[:, :shots]], features[query], batch=FEATURE_BATCH)
                == true[query]
            ).double().mean())
            for few, query in zip(tasks.support, tasks.query, strict=True)
        ]  # fmt: skip
    return found


def pretrained(
    config: PointConfig, rows: torch.Tensor, label: torch.Tensor, *, class_count: int
) -> nn.Module:
    """Make a classifier with a fresh head and an encoder that has learned from these windows."""
    method, length = CONTENDERS[config.method], rows.shape[-1]
    options = {"window_samples": length} if method.network not in nets.denoisers() else {}
    options |= config.budget.networks.get(method.network, {})

    def classifier(count: int) -> nn.Module:
        return nets.create(method.network, class_count=count, **options).to(rows.device)

    if method.how == "labels":
        learned = classifier(int(label.max()) + 1)
        _learn(config.budget, learned, lambda x, y: F.cross_entropy(learned(x), y), rows, label)
    else:
        asked = PretrainConfig(
            name="encoder", out=config.out, objective=method.how,
            network=NetworkChoice(
                name=method.network, options=config.budget.networks.get(method.network, {})
            ),
            trainer=TrainerConfig(steps=1),  # not used: `_learn` trains, in seconds
        )  # fmt: skip
        kind = objective_of(asked)
        objective = kind(asked, kind.create(asked, length)).to(rows.device)
        _learn(config.budget, objective, objective.loss, rows, label)
        learned = objective.learned()
    network = classifier(class_count)
    network.backbone.load_state_dict(learned.backbone.state_dict())
    return network.eval()


def turns(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Turn windows to so many phases: (B, 2, L) -> (B * count, 2, L), a window's together."""
    angle = 2 * torch.pi * torch.arange(count, device=rows.device) / count
    phase = torch.polar(torch.ones_like(angle), angle).view(1, -1, 1)
    return to_rows((to_complex(rows).unsqueeze(1) * phase).flatten(0, 1))


def _learn(
    budget: Budget,
    learner: nn.Module,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    rows: torch.Tensor,
    label: torch.Tensor,
) -> None:
    """Train by Adam on whole batches: a remainder of one window has no contrast, no statistics."""
    optimiser = torch.optim.Adam(learner.parameters(), lr=budget.learning_rate)
    batch = min(budget.batch, len(rows))
    learner.train()
    for _ in range(budget.epochs):
        order = torch.randperm(len(rows), device=rows.device)
        for some in order[: len(rows) // batch * batch].split(batch):
            optimiser.zero_grad()
            loss(rows[some], label[some]).backward()
            optimiser.step()


def _shots(config: PointConfig) -> tuple[int, ...]:
    few_shot = config.protocol == "few-shot"
    return config.budget.shots if few_shot else (config.budget.contrast_windows[1],)


def _encoder(config: PointConfig, length: int) -> nn.Module:
    name = CONTENDERS[config.method].network
    options = {"window_samples": length, **config.budget.networks.get(name, {})}
    return nets.create_encoder(name, **options)


_LEARNERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "prototypical": Prototypical,
    "relation": lambda encoder: Relation(encoder, encoder.backbone.config.width),
}
