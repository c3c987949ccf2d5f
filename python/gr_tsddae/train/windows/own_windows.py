# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of one's own, in three sets: to learn from, to choose by, to be measured on."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gr_tsddae import zoo
from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, open_dataset
from gr_tsddae.data.readers.recording_store import window_power
from gr_tsddae.inference.pauses import is_on
from gr_tsddae.labels import NOISE
from gr_tsddae.survey.naming.taught import facts_of
from gr_tsddae.synth import air
from gr_tsddae.train.windows.class_names import check_class_names
from gr_tsddae.train.windows.feed import seed_of
from gr_tsddae.train.windows.on_air import Heard, OnAir, cut_recordings
from gr_tsddae.train.windows.parts import CHOOSE, LEARN, MEASURE, parts, spread

log = logging.getLogger(__name__)

FEWEST_WINDOWS = 10  # of a class: 6 to learn from, 2 to choose by, 2 to be measured on
PLENTY_WINDOWS = 50  # to learn from; with fewer, the results of a class depend on chance
CHOOSE_WINDOWS, MEASURE_WINDOWS = 200, 500  # per class at most
NOISE_SHARE = 3  # times as many windows of noise as of another class, at most
AVERAGED_WINDOWS = 4  # whose levels tell pauses
PARTS = {"train": LEARN, "validation": CHOOSE, "test": MEASURE}
MOST_MEASURED = 64  # recordings of a class whose measurements a card lists
MADE = -1  # recording of noise that is made


@dataclass(frozen=True)
class Subset:
    """Windows for one purpose.

    Attributes:
        rows: Unscaled, float32 (N, 2, L).
        label: int64 (N,).
        group: int64 (N,), the burst or pause a window is from; every made one has its own.
        recording: int64 (N,), index into `OwnWindows.names`; `MADE` for made noise.
        at_s: float64 (N,), where in the recording the window lies.
    """

    rows: torch.Tensor
    label: torch.Tensor
    group: torch.Tensor
    recording: torch.Tensor
    at_s: torch.Tensor


class OwnWindows:
    """Labelled recordings, ready to learn from. Their pauses are noise.

    Args:
        path: As for the data set kind "captures".
        card: Of the model to be adapted.
        shots: Windows per class to learn from, at most, evenly spread over its recordings.
        gate_db: How much weaker than its signal a pause is, at least; None: no pause is looked for.
        noise_class: Have a class "noise": pauses and, where no recording is labelled so, made
            noise.
        options: Of the reader.
        measure: Parts of paths: recordings to be measured on alone. None: they are drawn.
        fewest_classes: How many there must be.
        cut: What `cut_recordings` gives, where it was called already.
        seed: Of the draw and of the noise.

    Attributes:
        classes: Names of the classes, including that of the noise.
        names: Of recordings.
        apart: Indices of the recordings that are measured on alone.
        heard: What the survey heard, for a model that wants a multiple of the bandwidth.
        left_out: Reason -> number of windows or recordings.
        task, licence, sample_rate_hz: For the card; the rate is None where there is no common one.

    Raises:
        DatasetError: A recording cannot be read, there is only one class, or a class has too few
            windows; the message says how much is needed.
    """

    def __init__(
        self,
        path: Path,
        *,
        card: zoo.Card,
        shots: int,
        gate_db: float | None,
        noise_class: bool,
        options: Mapping[str, Any],
        measure: Sequence[str] | None = None,
        fewest_classes: int = 2,
        cut: OnAir | None = None,
        seed: int,
    ):
        self._cut = cut
        self.path, self._card, self._seed = path, card, seed
        self.task, self.sample_rate_hz = "amc", None
        take = self._cut_by_bandwidth if card.bandwidth_multiple else self._cut_at_one_rate
        self.heard: list[Heard] = []
        exact, at_s, reach_s = take(gate_db, options)
        self._at_s = at_s
        _check_classes(path, self._named, fewest_classes)
        self.classes = self._named
        if noise_class and NOISE not in self._named:
            self.classes = (*self._named, NOISE)
        self._makes_noise = self.classes != self._named
        pauses = ~self._on
        noise = self.classes.index(NOISE) if noise_class else UNLABELLED
        self._label = np.where(pauses, noise, self._spoken)
        if not noise_class and pauses.any():
            self.left_out["pauses"] = int((pauses & exact).sum())
        held_out = None
        if measure is not None:
            held_out = [i for i, name in enumerate(self.names) if any(m in name for m in measure)]
        # A pause goes where its recording goes.
        part, self.apart = parts(
            self._spoken, self._recording, self._on, at_s, reach_s, exact,
            held_out=held_out, seed=seed,
        )  # fmt: skip
        self._exact = exact
        _check_counts(path, card, self._named, self._spoken[exact & self._on])
        limits = {"train": shots, "validation": CHOOSE_WINDOWS, "test": MEASURE_WINDOWS}
        self.split = {}
        for name, number in PARTS.items():
            which = np.flatnonzero((part == number) & (self._label >= 0))
            # Pauses of all recordings are one class: each receiver's noise is another.
            most = {noise: NOISE_SHARE * limits[name]}
            self.split[name] = which[
                spread(self._label[which], self._recording[which], limits[name], most)
            ]

    def _cut_by_bandwidth(
        self, gate_db: float | None, options: Mapping[str, Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = self._cut
        if found is None:
            found = cut_recordings(self.path, self._card, gate_db=gate_db, options=options)
        self._named, self.names, self.licence = found.classes, found.names, found.licence
        self.left_out = {reason: count for reason, count in found.left_out.items() if count}
        self._read, self.heard = found.rows.__getitem__, found.heard
        self._spoken, self._recording = found.label, found.recording
        self._burst, self._on = found.burst, found.on
        return found.exact, found.at_s, found.window_s

    def _cut_at_one_rate(
        self, gate_db: float | None, options: Mapping[str, Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # The reader leaves out windows without a usable sample, whatever the options say.
        settings = {**options, "window_samples": self._card.window_samples, "scan": True}
        dataset = open_dataset("captures", self.path, **settings)
        _check_rates(dataset)
        labelled = dataset.label != UNLABELLED
        notes = dict(dataset.skipped) | {"no label": int((~labelled).sum())}
        self.left_out = {reason: count for reason, count in notes.items() if count}
        dataset = dataset.select(labelled)
        store = dataset.store
        self._named, self.task, self.licence = dataset.classes, dataset.task, dataset.licence
        self.sample_rate_hz = store.captures[0].sample_rate_hz
        paths = [str(capture.path) for capture in store.captures]
        self.names = tuple(dict.fromkeys(paths))
        file = store.file[dataset.index]
        at = store.first_sample[dataset.index].astype(np.float64)
        self._recording = np.array([self.names.index(name) for name in paths])[file]
        self._spoken, self._read = dataset.label, dataset.rows
        self._on = np.ones(len(dataset), bool)
        if gate_db is not None:
            power = window_power(store)[dataset.index]
            for here in _alike(file, self._spoken):
                if dataset.classes[self._spoken[here[0]]] != NOISE:
                    self._on[here] = is_on(_averaged(power[here]), gate_db)
        changes = np.diff(file) | np.diff(self._spoken) | np.diff(self._on)
        self._burst = np.concatenate(([0], np.cumsum(changes != 0)))
        return np.ones(len(dataset), bool), at, np.zeros(len(dataset))

    def subset(self, name: str) -> Subset:
        """Read the windows of "train", "validation" or "test", and make noise for them."""
        which = self.split[name]
        rows, label = self._read(which), self._label[which]
        group, recording, at_s = (
            each[which] for each in (self._burst, self._recording, self._at_s)
        )
        if self._makes_noise:
            noise = len(self._named)
            # As much as the mean of a class, with the pauses; half of it at least is made.
            mean = -(-int((label != noise).sum()) // len(self._named))
            count = max(mean - int((label == noise).sum()), -(-mean // 2))
            rows = np.concatenate((rows, self._noise(count, name)))
            label = np.concatenate((label, np.full(count, noise)))
            group = np.concatenate((group, self._burst.max() + 1 + np.arange(count)))
            recording = np.concatenate((recording, np.full(count, MADE)))
            at_s = np.concatenate((at_s, np.zeros(count)))
        return Subset(*map(torch.from_numpy, (rows, label, group, recording, at_s)))

    def measured(self) -> dict[str, list[dict[str, Any]]]:
        """List what the survey measured of each class's recordings that are learned from."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in self.heard:
            if each.recording not in self.apart:
                found.setdefault(self._named[each.label], []).append(facts_of(each.strongest))
        return {name: facts[:MOST_MEASURED] for name, facts in found.items()}

    def _noise(self, count: int, name: str) -> np.ndarray:
        """Make noise as receivers have it: white or, for a multiple of the bandwidth, filtered."""
        seed = seed_of(NOISE, name, self._seed)
        if not self._card.bandwidth_multiple:
            random = np.random.default_rng(seed)
            return random.standard_normal((count, 2, self._card.window_samples), np.float32)
        return air.draw(
            torch.full((count,), air.CLASSES.index(NOISE)), torch.zeros(count),
            window_samples=self._card.window_samples, generator=torch.Generator().manual_seed(seed),
        ).numpy()  # fmt: skip

    def recordings(self) -> dict[str, int]:
        """Count the recordings of each class."""
        return {
            name: len(np.unique(self._recording[self._spoken == number]))
            for number, name in enumerate(self._named)
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the windows of each class in each set, without made noise."""
        return {
            name: {
                part: int((self._label[which] == number).sum())
                for part, which in self.split.items()
            }
            for number, name in enumerate(self.classes)
        }

    def lines(self) -> list[str]:
        """Format the counts for a terminal, with warnings where windows are few."""
        recordings, counts = self.recordings(), self.counts()
        rate = "an unknown sample rate"
        if self._card.bandwidth_multiple:
            rate = f"{self._card.bandwidth_multiple:g} times the bandwidth of each signal"
        elif self.sample_rate_hz is not None:
            rate = f"{self.sample_rate_hz:g} samples/s"
        width = max(map(len, (*self.classes, "class")))
        lines = [
            f"{int(self._exact.sum())} windows of {self._card.window_samples} samples at {rate}",
            f"{'class':<{width}}  recordings  windows   pauses    learn   choose  measure",
        ]
        for number, name in enumerate(self.classes):
            spoken = self._exact & (self._spoken == number)
            row = (int((spoken & self._on).sum()), int((spoken & ~self._on).sum()))
            lines.append(
                f"{name:<{width}}  {recordings.get(name, 0):>10}"
                + "".join(f"{n:>9}" for n in (*row, *counts[name].values()))
            )
        lines += [f"left out: {count}, {why}" for why, count in self.left_out.items()]
        few = [name for name in self._named if counts[name]["train"] < PLENTY_WINDOWS]
        if few:
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


def _alike(*columns: np.ndarray) -> list[np.ndarray]:
    """Group indices whose values in all columns (N,) agree."""
    found: dict[tuple, list[int]] = {}
    for number, key in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        found.setdefault(key, []).append(number)
    return [np.array(each) for each in found.values()]


def _averaged(power: np.ndarray) -> np.ndarray:
    """Average over neighbours, since a window is short: (N,) -> (N,)."""
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(power, AVERAGED_WINDOWS, mode="nearest")


def _check_rates(dataset: Dataset) -> None:
    """Refuse recordings of which some say their sample rate: their signals may differ in speed."""
    rates_hz = {capture.path: capture.sample_rate_hz for capture in dataset.store.captures}
    silent = [path for path, rate_hz in rates_hz.items() if rate_hz is None]
    if silent and len(silent) < len(rates_hz):
        raise DatasetError(
            f"{silent[0]} does not say its sample rate, and others do: a model cannot tell a "
            "signal from its speed; say the rate in a sidecar, or give the option sample_rate_hz"
        )


def _check_classes(path: Path, classes: Sequence[str], fewest: int) -> None:
    check_class_names(path, classes)
    if len(classes) < fewest:
        found = f"one class, {classes[0]!r}" if classes else "no class"
        raise DatasetError(
            f"{path} has {found}: put recordings into one folder per class, at least {fewest}, "
            "or annotate them"
        )


def _check_counts(path: Path, card: zoo.Card, classes: Sequence[str], label: np.ndarray) -> None:
    counts = Counter(label.tolist())
    least = min(range(len(classes)), key=lambda number: counts[number])
    if counts[least] < FEWEST_WINDOWS:
        unit = "at the sample rate"
        if card.bandwidth_multiple:
            unit = f"at {card.bandwidth_multiple:g} times its bandwidth"
        needed = FEWEST_WINDOWS * card.window_samples
        raise DatasetError(
            f"{path}: class {classes[least]!r} has {counts[least]} windows of "
            f"{card.window_samples} samples; {FEWEST_WINDOWS} are needed, that is {needed} "
            f"samples of signal {unit}: record more of it"
        )
