# SPDX-License-Identifier: GPL-3.0-or-later
"""Where windows come from, in parts: to learn from, to validate on and to measure on."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, open_dataset
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.synth import CLASSES
from gr_tsddae.synth.recipes import named
from gr_tsddae.train.config import SYNTH, DataConfig, FinetuneConfig, RunConfig
from gr_tsddae.train.measure.metrics import metrics
from gr_tsddae.train.measure.predict import predict
from gr_tsddae.train.windows.class_names import check_class_names
from gr_tsddae.train.windows.feed import (
    Batch,
    Feed,
    Place,
    ResidentFeed,
    StreamedFeed,
    SyntheticFeed,
    Validation,
    resident,
)
from gr_tsddae.train.windows.synthetic_set import synthetic_set

log = logging.getLogger(__name__)

# Seed of the windows a model is measured on. Generators keep 32 bits of a seed; training's are
# seed * 1_000_003 + step, for seeds up to 1000 far below this one.
TEST_SEED = 4_000_000_000


class Source(Protocol):
    """Windows of a kind.

    Attributes:
        task: for the card.
        classes: names of the labels.
        window_samples: L.
        samples_per_symbol: of the signals, or None.
        sample_rate_hz: of the recordings, or None.
        licence: of weights learned from them.
        about: for the card's `training`, beside the configuration.
    """

    task: str
    classes: tuple[str, ...]
    window_samples: int
    samples_per_symbol: float | None
    sample_rate_hz: float | None
    licence: str
    about: dict[str, Any]

    def feed(self, config: RunConfig, place: Place) -> Feed:
        """Windows to learn from."""
        ...

    def validation(self, config: RunConfig, place: Place) -> Validation | None:
        """Windows to validate on; None where every window is new anyway."""
        ...

    def measure(self, network: nn.Module, config: FinetuneConfig) -> dict[str, Any]:
        """`metrics` on windows that were not learned from."""
        ...


class SyntheticSource:
    """Windows that are made while training."""

    task = "amc"
    classes = CLASSES
    sample_rate_hz = None
    licence = "GPL-3.0-or-later"

    def __init__(self, config: DataConfig):
        recipes = named(config.recipe)
        self.config = config
        self.window_samples = config.window_samples
        self.samples_per_symbol = recipes[0].samples_per_symbol
        self.about = {
            "source": "gr_tsddae.synth, made while training; no recording, no released dataset"
        }
        # Recipes take turns, and each draws its classes alike, those that are empty in it left out.
        shares = [1 / (len(CLASSES) - len(each.empty_classes)) for each in recipes]
        self.noise_share = sum(shares) / len(shares)

    def feed(self, config: RunConfig, place: Place) -> SyntheticFeed:
        return SyntheticFeed(
            self.config.recipe,
            window_samples=self.window_samples,
            scaling=self.config.scaling,
            batch=config.optimiser.batch,
            steps=config.trainer.steps,
            seed=config.trainer.seed,
            place=place,
        )

    def validation(self, config: RunConfig, place: Place) -> None:
        return None

    def measure(self, network: nn.Module, config: FinetuneConfig) -> dict[str, Any]:
        dataset = synthetic_set(
            self.config.recipe,
            window_samples=self.window_samples,
            windows_per_class=config.test_windows,
            seed=TEST_SEED,
        )
        counts = {"recipe": self.config.recipe, "windows_per_class_and_snr": config.test_windows}
        return counts | _metrics(network, dataset, self.config.scaling)


class DatasetSource:
    """Windows of a dataset, split by class, SNR and recording.

    Args:
        config: of the data.
        labelled: whether windows without a label are left out.

    Raises:
        DatasetError: when the dataset cannot be read, or has nothing to learn from.
    """

    def __init__(self, config: DataConfig, *, labelled: bool):
        from gr_tsddae.data.splits import split

        dataset = open_dataset(config.kind, config.path, **config.options)
        if labelled:
            _check_classes(dataset)
        if labelled and (unlabelled := int((dataset.label == UNLABELLED).sum())):
            log.info("%d of %d windows have no label", unlabelled, len(dataset))
            dataset = dataset.select(dataset.label != UNLABELLED)
        for reason, count in dataset.skipped.items():
            log.info("%s: left out: %d, %s", config.path, count, reason)  # windows, or files
        self.config, self.dataset = config, dataset
        parts = split(dataset, seed=config.split_seed)
        self.train, self.validated, self.test = parts.train, parts.validation, parts.test
        for name, part in (("learn from", self.train), ("validate on", self.validated)):
            if not len(part):
                raise DatasetError(f"{config.path}: {len(dataset)} windows leave none to {name}")
        self.task, self.classes = dataset.task, dataset.classes
        self.window_samples = dataset.window_samples
        self.samples_per_symbol, self.licence = dataset.samples_per_symbol, dataset.licence
        self.sample_rate_hz = dataset.sample_rate_hz

    @property
    def about(self) -> dict[str, Any]:
        parts = {"train": self.train, "validation": self.validated, "test": self.test}
        return {"windows": {name: len(part) for name, part in parts.items()}}

    def few_shot(self, shots: int) -> DatasetSource:
        """The same dataset with so many windows per class and SNR to learn from."""
        from gr_tsddae.data.splits import few_shot

        source = object.__new__(DatasetSource)
        source.__dict__.update(self.__dict__)
        source.train = few_shot(self.dataset, self.train, shots=shots, seed=self.config.split_seed)
        return source

    def feed(self, config: RunConfig, place: Place) -> ResidentFeed | StreamedFeed:
        part = self.dataset.select(self.train)
        seed, batch = config.trainer.seed, config.optimiser.batch
        if self._fits():
            rows, label = resident(part, scaling=self.config.scaling, device=place.device)
            return ResidentFeed(rows, label, batch=batch, seed=seed, place=place)
        return StreamedFeed(
            part,
            scaling=self.config.scaling,
            batch=batch,
            shuffle_windows=self.config.shuffle_windows,
            seed=seed,
            place=place,
        )

    def validation(self, config: RunConfig, place: Place) -> Validation:
        part = self.dataset.select(self.validated)
        if self._fits():
            rows, label = resident(part, scaling=self.config.scaling, device=place.device)

            def take(index: np.ndarray) -> Batch:
                where = torch.from_numpy(index).to(place.device)
                return rows[where], label[where]
        else:
            scale = SCALINGS[self.config.scaling]

            def take(index: np.ndarray) -> Batch:
                found = torch.from_numpy(part.rows(index)).to(place.device)
                return scale(found), torch.from_numpy(part.label[index]).to(place.device)

        return Validation(take, len(part), config.optimiser.batch, place)

    def measure(self, network: nn.Module, config: FinetuneConfig) -> dict[str, Any]:
        if not len(self.test):
            raise DatasetError(f"{self.config.path}: there is no test part to measure on")
        return _metrics(network, self.dataset.select(self.test), self.config.scaling)

    def validation_logits(self, network: nn.Module) -> Batch:
        """Outputs (N, ...) on the validation part, and its labels (N,)."""
        part = self.dataset.select(self.validated)
        logits, finite = predict(network, part, scaling=self.config.scaling)
        return logits[finite], torch.from_numpy(part.label)[finite]

    def _fits(self) -> bool:
        bytes_per_window = 2 * 4 * self.window_samples
        count = len(self.train) + len(self.validated)
        return count * bytes_per_window <= self.config.resident_gb * 1e9


def source_of(config: RunConfig, *, labelled: bool) -> SyntheticSource | DatasetSource:
    """The windows a configuration means."""
    if config.data.scaling not in SCALINGS:
        raise ValueError(
            f"data.scaling is {config.data.scaling!r}; there are: {', '.join(SCALINGS)}"
        )
    if config.data.kind == SYNTH:
        return SyntheticSource(config.data)
    return DatasetSource(config.data, labelled=labelled)


def _check_classes(dataset: Dataset) -> None:
    """Some kinds know their classes beforehand, whatever a file of theirs holds."""
    held = {name for i, name in enumerate(dataset.classes) if (dataset.label == i).any()}
    if len(held) < 2:
        found = f"windows of one class, {held.pop()!r}" if held else "no labelled window"
        raise DatasetError(
            f"{dataset.path} has {found}: a classifier needs at least 2 classes (pretrain needs no "
            "labels)"
        )
    check_class_names(dataset)
    if empty := [name for name in dataset.classes if name not in held]:
        log.warning("%s has no window of %s", dataset.path, ", ".join(empty))


def _metrics(network: nn.Module, dataset: Dataset, scaling: str) -> dict[str, Any]:
    logits, finite = predict(network, dataset, scaling=scaling)
    dataset = dataset.select(finite)
    return metrics(
        logits[finite].softmax(1),
        torch.from_numpy(dataset.label),
        torch.from_numpy(dataset.level_db) if dataset.level_name else None,
        dataset.classes,
        group=None if dataset.group is None else torch.from_numpy(dataset.group),
    )
