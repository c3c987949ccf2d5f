# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of one's own, in three sets that lie apart in time, and noise as a class."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, open_dataset
from gr_tsddae.data.readers.cutting import thin_out
from gr_tsddae.data.readers.recording_store import window_power
from gr_tsddae.data.splits import Split, by_group
from gr_tsddae.labels import NOISE
from gr_tsddae.train.windows.class_names import check_class_names
from gr_tsddae.train.windows.feed import seed_of

log = logging.getLogger(__name__)

FEWEST_WINDOWS = 10  # of a class: 6 to learn from, 2 to choose by, 2 to be measured on
PLENTY_WINDOWS = 50  # to learn from; with fewer, the results of a class depend on chance
CHOOSE_WINDOWS, MEASURE_WINDOWS = 200, 500  # per class at most


@dataclass(frozen=True)
class Subset:
    """Windows for one purpose.

    Attributes:
        rows: Unscaled, float32 (N, 2, L).
        label: int64 (N,).
        group: int64 (N,), the stretch of time a window is from; every noise window has its own.
    """

    rows: torch.Tensor
    label: torch.Tensor
    group: torch.Tensor


class OwnWindows:
    """Labelled recordings, ready to learn from.

    Args:
        path: As for the data set kind "captures".
        window_samples: L.
        shots: Windows per class to learn from, at most, evenly spread over its recordings.
        gate_db: Leave out windows so many dB weaker than the strongest of their recording, except
            those labelled "noise", which are meant to be weak.
        noise_class: Add a class of white noise, if the recordings have no class "noise".
        options: Of the reader.
        seed: Of split and noise.

    Attributes:
        dataset: The windows that were recorded.
        split: Of `dataset`, thinned out.
        classes: Names of the classes, including that of the noise.

    Raises:
        DatasetError: A recording cannot be read, there is only one class, or a class has too few
            windows; the message says how much is needed.
    """

    def __init__(
        self,
        path: Path,
        *,
        window_samples: int,
        shots: int,
        gate_db: float | None,
        noise_class: bool,
        options: Mapping[str, Any],
        seed: int,
    ):
        # The reader leaves out windows without a usable sample, whatever the options say.
        settings = {**options, "window_samples": window_samples, "scan": True}
        dataset = open_dataset("captures", path, **settings)
        _check_classes(dataset)
        _check_rates(dataset)
        notes = dict(dataset.skipped)
        labelled = dataset.label != UNLABELLED
        notes["no label"] = int((~labelled).sum())
        dataset = dataset.select(labelled)
        if gate_db is not None:
            loud = _loud(dataset, gate_db)
            notes[f"over {gate_db:g} dB weaker than the strongest"] = int((~loud).sum())
            dataset = dataset.select(loud)
        self.left_out = {reason: count for reason, count in notes.items() if count}
        _check_counts(dataset)
        parts = by_group(dataset, seed=seed)
        limits = Split(shots, CHOOSE_WINDOWS, MEASURE_WINDOWS)
        self.split = Split(
            *(
                part[thin_out(dataset.label[part], limit)]
                for part, limit in zip(parts, limits, strict=True)
            )
        )
        self.dataset, self._seed = dataset, seed
        self._adds_noise = noise_class and NOISE not in dataset.classes
        self.classes = (*dataset.classes, NOISE) if self._adds_noise else dataset.classes
        self.sample_rate_hz = dataset.store.captures[0].sample_rate_hz

    def subset(self, name: str) -> Subset:
        """Read the windows of "train", "validation" or "test" from the files."""
        which = getattr(self.split, name)
        rows, label = self.dataset.rows(which), self.dataset.label[which]
        group = self.dataset.group[which]
        if self._adds_noise:
            count = -(-len(which) // len(self.dataset.classes))  # the mean of a class
            random = np.random.default_rng(seed_of(NOISE, name, self._seed))
            noise = random.standard_normal((count, *rows.shape[1:]), np.float32)
            rows = np.concatenate((rows, noise))
            label = np.concatenate((label, np.full(count, len(self.dataset.classes))))
            group = np.concatenate((group, group.max() + 1 + np.arange(count)))
        return Subset(*map(torch.from_numpy, (rows, label, group)))

    def recordings(self) -> dict[str, int]:
        """Count the recordings of each class."""
        file = self.dataset.store.file[self.dataset.index]
        paths = [capture.path for capture in self.dataset.store.captures]
        return {
            name: len({paths[each] for each in np.unique(file[self.dataset.label == number])})
            for number, name in enumerate(self.dataset.classes)
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the windows of each class in each set, without the added noise."""
        return {
            name: {
                part: int((self.dataset.label[which] == number).sum())
                for part, which in self.split._asdict().items()
            }
            for number, name in enumerate(self.dataset.classes)
        }

    def lines(self) -> list[str]:
        """Format the counts for a terminal, with warnings where windows are few."""
        dataset, recordings, counts = self.dataset, self.recordings(), self.counts()
        rate = "an unknown sample rate"
        if self.sample_rate_hz is not None:
            rate = f"{self.sample_rate_hz:g} samples/s"
        width = max(map(len, (*dataset.classes, "class")))
        lines = [
            f"{len(dataset)} windows of {dataset.window_samples} samples at {rate}",
            f"{'class':<{width}}  recordings  windows    learn   choose  measure",
        ]
        for number, (name, parts) in enumerate(counts.items()):
            row = (int((dataset.label == number).sum()), *parts.values())
            lines.append(
                f"{name:<{width}}  {recordings[name]:>10}" + "".join(f"{n:>9}" for n in row)
            )
        lines += [f"left out: {count} windows, {why}" for why, count in self.left_out.items()]
        if few := [name for name, parts in counts.items() if parts["train"] < PLENTY_WINDOWS]:
            lines.append(
                f"warning: under {PLENTY_WINDOWS} windows to learn from: {', '.join(few)}; "
                "record more of it"
            )
        if once := [name for name, count in recordings.items() if count == 1]:
            lines.append(
                f"warning: only one recording of {', '.join(once)}: it is measured on other "
                "moments of the same recording, and may do worse on another day"
            )
        return lines


def _loud(dataset: Dataset, gate_db: float) -> np.ndarray:
    """Mark windows of noise, or at most `gate_db` weaker than their recording's strongest: (N,)."""
    store = dataset.store
    power, file = window_power(store)[dataset.index], store.file[dataset.index]
    strongest = np.zeros(len(store.captures))
    np.maximum.at(strongest, file, power)
    loud = power >= strongest[file] * 10 ** (-gate_db / 10)
    if NOISE in dataset.classes:
        loud |= dataset.label == dataset.classes.index(NOISE)
    return loud


def _check_rates(dataset: Dataset) -> None:
    """Refuse recordings of which some say their sample rate: their signals may differ in speed."""
    rates_hz = {capture.path: capture.sample_rate_hz for capture in dataset.store.captures}
    silent = [path for path, rate_hz in rates_hz.items() if rate_hz is None]
    if silent and len(silent) < len(rates_hz):
        raise DatasetError(
            f"{silent[0]} does not say its sample rate, and others do: a model cannot tell a "
            "signal from its speed; say the rate in a sidecar, or give the option sample_rate_hz"
        )


def _check_classes(dataset: Dataset) -> None:
    if len(dataset.classes) < 2:
        found = f"one class, {dataset.classes[0]!r}" if dataset.classes else "no class"
        raise DatasetError(
            f"{dataset.path} has {found}: put recordings into one folder per class, at least 2, "
            "or annotate them"
        )
    check_class_names(dataset)


def _check_counts(dataset: Dataset) -> None:
    counts = np.bincount(dataset.label, minlength=len(dataset.classes))
    if counts[least := int(counts.argmin())] < FEWEST_WINDOWS:
        needed = FEWEST_WINDOWS * dataset.window_samples
        raise DatasetError(
            f"{dataset.path}: class {dataset.classes[least]!r} has {counts[least]} windows of "
            f"{dataset.window_samples} samples; {FEWEST_WINDOWS} are needed, that is {needed} "
            "samples of signal: record more of it"
        )
