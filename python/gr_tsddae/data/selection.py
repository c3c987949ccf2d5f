# SPDX-License-Identifier: GPL-3.0-or-later
"""Select and order windows of a dataset, to replay them as one stream."""

import math
from dataclasses import dataclass

import numpy as np

from gr_tsddae.data.dataset import UNLABELLED, Dataset, DatasetError
from gr_tsddae.data.splits import Split, cells, places, split

ORDERS = ("file", "shuffled", "by_snr", "by_class", "by_class_and_snr")
PARTS = ("all", *Split._fields)
NO_LIMIT_DB = 200  # a level of so many decibels, up or down, is none; GRC cannot write infinity


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A part of a dataset, in an order.

    Attributes:
        order: one of `ORDERS`. "file" is the order in the file; the sorted ones go from the lowest
            SNR and the first class upwards, and by the file's order among equals.
        seed: of the shuffled order.
        classes: names; empty takes all, unlabelled windows too.
        snr_min_db: lowest level, inclusive.
        snr_max_db: highest level, inclusive.
        snrs_db: levels; empty takes all between the limits.
        part: one of `PARTS`, of the split 60/20/20 that training and measuring use.
        split_seed: seed of that split.
        windows_per_key: at most so many windows of each class and level, the first in this order;
            0: all.

    Raises:
        ValueError: when an argument is out of its range.
    """

    order: str = "file"
    seed: int = 1
    classes: tuple[str, ...] = ()
    snr_min_db: float = -math.inf
    snr_max_db: float = math.inf
    snrs_db: tuple[float, ...] = ()
    part: str = "all"
    split_seed: int = 1
    windows_per_key: int = 0

    def __post_init__(self) -> None:
        for name, known in (("order", ORDERS), ("part", PARTS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}: choose one of {', '.join(known)}"
                )
        for name in ("classes", "snrs_db"):
            if isinstance(value := getattr(self, name), str):
                raise ValueError(f"{name} is {value!r}: give a list, as [{value!r}]")
            object.__setattr__(self, name, tuple(value))
        for name in ("seed", "split_seed", "windows_per_key"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 or more")
        if not self.snr_min_db <= self.snr_max_db:
            raise ValueError(
                f"snr_min_db is {self.snr_min_db} and snr_max_db {self.snr_max_db}: "
                "the first must not be above the second"
            )

    def of(self, dataset: Dataset) -> Dataset:
        """Select the windows asked for, in the order asked for; read no window.

        Raises:
            DatasetError: a class or level is not there, the dataset knows no levels, it cannot be
                split, or nothing is left.
        """
        if self.part != "all":
            dataset = dataset.select(getattr(split(dataset, seed=self.split_seed), self.part))
        dataset = dataset.select(self._wanted(dataset))
        dataset = dataset.select(self._ordered(dataset))
        if self.windows_per_key:
            cell, _ = cells(dataset.label, dataset.level_db)
            place = places(cell, np.arange(len(dataset)))
            dataset = dataset.select(place < self.windows_per_key)
        if not len(dataset):
            raise DatasetError(
                f"{dataset.path} has no window for this selection: choose more classes or SNRs"
            )
        return dataset

    def _wanted(self, dataset: Dataset) -> np.ndarray:
        wanted = np.ones(len(dataset), bool)
        if unknown := sorted(set(self.classes) - set(dataset.classes)):
            raise DatasetError(
                f"{dataset.path} has no class {', '.join(unknown)}; "
                f"there are: {', '.join(dataset.classes) or 'none, it is unlabelled'}"
            )
        if self.classes:
            wanted &= np.isin(dataset.label, [dataset.classes.index(c) for c in self.classes])
        limits = (self.snr_min_db, self.snr_max_db)
        if dataset.level_name is None:
            if self.snrs_db:
                raise DatasetError(f"{dataset.path} does not know its SNRs: leave snrs_db empty")
            for name, limit in zip(("snr_min_db", "snr_max_db"), limits, strict=True):
                if abs(limit) < NO_LIMIT_DB:
                    raise DatasetError(
                        f"{name} is {limit:g}, and {dataset.path} does not know its SNRs: leave "
                        f"{name} out"
                    )
            return wanted
        levels = np.unique(dataset.level_db).tolist()
        if unknown := sorted(set(self.snrs_db) - set(levels)):
            raise DatasetError(
                f"{dataset.path} has no windows at {', '.join(f'{s:g}' for s in unknown)} dB; "
                f"there are: {', '.join(map(str, levels))}"
            )
        if self.snrs_db:
            wanted &= np.isin(dataset.level_db, self.snrs_db)
        return wanted & (dataset.level_db >= limits[0]) & (dataset.level_db <= limits[1])

    def _ordered(self, dataset: Dataset) -> np.ndarray:
        if self.order == "shuffled":
            return np.random.default_rng(self.seed).permutation(len(dataset))
        keys = {  # the last is the first to sort by
            "file": (),
            "by_snr": (dataset.level_db,),
            "by_class": (dataset.label,),
            "by_class_and_snr": (dataset.level_db, dataset.label),
        }[self.order]
        return np.lexsort((dataset.index, *keys))


def truth_of(dataset: Dataset, number: int) -> tuple[str | None, int | None]:
    """Return class name and level in dB of a window; None for each that is not known."""
    label = int(dataset.label[number])
    return (
        None if label == UNLABELLED else dataset.classes[label],
        int(dataset.level_db[number]) if dataset.level_name else None,
    )


def as_complex(rows: np.ndarray, gain: float) -> np.ndarray:
    """Join windows to one stream: float32 (n, 2, L) -> complex64 (n * L,)."""
    stream = np.empty((len(rows), rows.shape[2]), np.complex64)
    np.multiply(rows[:, 0], np.float32(gain), out=stream.real)
    np.multiply(rows[:, 1], np.float32(gain), out=stream.imag)
    return stream.reshape(-1)
