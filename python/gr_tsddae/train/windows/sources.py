# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows to learn from, to validate on and to measure on: from a data set, or made by `synth`."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np
import torch

from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, open_dataset
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.synth.recipes import named
from gr_tsddae.train.config import SYNTH, DataConfig, FinetuneConfig, RunConfig
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

# Seed of the windows a model is measured on. Generators keep 32 bits of a seed. Those of training,
# seed * 1_000_003 + step for seeds up to 1000, are far below this one.
TEST_SEED = 4_000_000_000


class Source(Protocol):
    """Windows of one origin.

    Attributes:
        task: For the card.
        classes: Names of the labels.
        window_samples: L.
        samples_per_symbol: Of the signals, or None.
        bandwidth_multiple: Sample rate over the signals' bandwidth, or None.
        sample_rate_hz: Of all windows, or None.
        licence: Of weights learned from these windows.
        about: For the card's `training`, beside the configuration.
    """

    task: str
    classes: tuple[str, ...]
    window_samples: int
    samples_per_symbol: float | None
    bandwidth_multiple: float | None
    sample_rate_hz: float | None
    licence: str
    about: dict[str, Any]

    def feed(self, config: RunConfig, place: Place) -> Feed:
        """Give the windows to learn from."""
        ...

    def validation(self, config: RunConfig, place: Place) -> Validation | None:
        """Give the windows to validate on; None where every training window is new."""
        ...

    def test_set(self, config: FinetuneConfig) -> Dataset:
        """Give labelled windows that are not learned from.

        Raises:
            DatasetError: There are none.
        """
        ...


class SyntheticSource:
    """Windows that `synth` makes while the network trains."""

    licence = "GPL-3.0-or-later"

    def __init__(self, config: DataConfig):
        recipes = named(config.recipe)
        self.config = config
        self.window_samples = config.window_samples
        self.classes = tuple(recipes[0].classes)
        self.samples_per_symbol = recipes[0].samples_per_symbol
        self.bandwidth_multiple = recipes[0].bandwidth_multiple
        self.sample_rate_hz, self.task = recipes[0].sample_rate_hz, recipes[0].task
        self.about = {
            "source": "gr_tsddae.synth, made while training; no recording, no released dataset"
        }
        self.twice = recipes[0].twice
        # Recipes take turns. Each draws its classes equally often, but for those it holds none of.
        shares = [1 / (len(each.classes) - len(each.empty_classes)) for each in recipes]
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

    def test_set(self, config: FinetuneConfig) -> Dataset:
        return synthetic_set(
            self.config.recipe,
            window_samples=self.window_samples,
            windows_per_class=config.test_windows,
            seed=TEST_SEED,
        )


class DatasetSource:
    """Windows of a data set, split by class, SNR and recording.

    Raises:
        DatasetError: The data set cannot be read, or holds nothing to learn from.
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
        self.bandwidth_multiple = dataset.bandwidth_multiple
        self.sample_rate_hz = dataset.sample_rate_hz

    @property
    def about(self) -> dict[str, Any]:
        parts = {"train": self.train, "validation": self.validated, "test": self.test}
        return {"windows": {name: len(part) for name, part in parts.items()}}

    def few_shot(self, shots: int) -> DatasetSource:
        """Give the same data set with so many windows per class and SNR to learn from."""
        from gr_tsddae.data.splits import few_shot

        source = object.__new__(DatasetSource)
        source.__dict__.update(self.__dict__)
        source.train = few_shot(self.dataset, self.train, shots=shots, seed=self.config.split_seed)
        return source

    def feed(self, config: RunConfig, place: Place) -> ResidentFeed | StreamedFeed:
        windows = self.dataset.select(self.train)
        seed, batch = config.trainer.seed, config.optimiser.batch
        if self._fits():
            rows, label = resident(windows, scaling=self.config.scaling, device=place.device)
            return ResidentFeed(rows, label, batch=batch, seed=seed, place=place)
        return StreamedFeed(
            windows,
            scaling=self.config.scaling,
            batch=batch,
            shuffle_windows=self.config.shuffle_windows,
            seed=seed,
            place=place,
        )

    def validation(self, config: RunConfig, place: Place) -> Validation:
        windows = self.validation_set()
        if self._fits():
            rows, label = resident(windows, scaling=self.config.scaling, device=place.device)

            def take(index: np.ndarray) -> Batch:
                where = torch.from_numpy(index).to(place.device)
                return rows[where], label[where]
        else:
            scale = SCALINGS[self.config.scaling]

            def take(index: np.ndarray) -> Batch:
                found = torch.from_numpy(windows.rows(index)).to(place.device)
                return scale(found), torch.from_numpy(windows.label[index]).to(place.device)

        return Validation(take, len(windows), config.optimiser.batch, place)

    def test_set(self, config: FinetuneConfig) -> Dataset:
        if not len(self.test):
            raise DatasetError(f"{self.config.path}: the test set is empty, so nothing is measured")
        return self.dataset.select(self.test)

    def validation_set(self) -> Dataset:
        """Give the windows to validate on, unscaled."""
        return self.dataset.select(self.validated)

    def _fits(self) -> bool:
        bytes_per_window = 2 * 4 * self.window_samples
        count = len(self.train) + len(self.validated)
        return count * bytes_per_window <= self.config.resident_gb * 1e9


def source_of(config: RunConfig, *, labelled: bool) -> SyntheticSource | DatasetSource:
    """Open the windows that a configuration asks for."""
    if config.data.scaling not in SCALINGS:
        raise ValueError(
            f"data.scaling is {config.data.scaling!r}; there are: {', '.join(SCALINGS)}"
        )
    if config.data.kind == SYNTH:
        return SyntheticSource(config.data)
    return DatasetSource(config.data, labelled=labelled)


def _check_classes(dataset: Dataset) -> None:
    """Refuse fewer than two classes; some kinds list classes of which a file holds no window."""
    held = {name for i, name in enumerate(dataset.classes) if (dataset.label == i).any()}
    if len(held) < 2:
        found = f"windows of one class, {held.pop()!r}" if held else "no labelled window"
        raise DatasetError(
            f"{dataset.path} has {found}: a classifier needs at least 2 classes (pretrain needs no "
            "labels)"
        )
    check_class_names(dataset.path, dataset.classes)
    if empty := [name for name in dataset.classes if name not in held]:
        log.warning("%s has no window of %s", dataset.path, ", ".join(empty))
