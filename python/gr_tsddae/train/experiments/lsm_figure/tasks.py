# SPDX-License-Identifier: GPL-3.0-or-later
"""The LSM article's two divisions of a dataset, at one SNR: who is learned from, who is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gr_tsddae.data import Dataset, DatasetError
from gr_tsddae.train.windows.feed import seed_of

BASE_CLASSES, WAYS = 6, 5  # classes to pre-train on, and classes of a few-shot task


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """Windows to pre-train on, and the tasks of all trials. Index arrays are int64.

    Attributes:
        pretrain: numbers of windows in the dataset, (P,).
        pretrain_label: their classes, from 0, (P,); for supervised rivals and episodes alone.
        windows: numbers of the windows that tasks are about, (W,).
        label: their classes among those of the task, from 0, (W,).
        support: places in `windows` of the labelled ones, (T, N, K); class n is label n. A task
            of fewer shots takes the first of them.
        query: places of those to recognise, (T, Q).
        validation: places of those that choose when a head has learned enough, (T, V); V may be 0.
    """

    pretrain: np.ndarray
    pretrain_label: np.ndarray
    windows: np.ndarray
    label: np.ndarray
    support: np.ndarray
    query: np.ndarray
    validation: np.ndarray


def few_shot_tasks(
    dataset: Dataset,
    snr_db: int,
    *,
    seed: int,
    trials: int,
    shots: int,
    queries: int,
    pretrain_windows: int,
) -> Tasks:
    """Six classes to pre-train on, tasks over the five others.

    Which six is not said in the article; each seed draws its own. Each trial draws its own support
    and queries.

    Args:
        dataset: labelled, with at least 11 classes; of more, 11 are drawn.
        snr_db: level.
        seed: of all draws.
        trials: T.
        shots: K, the most of any task.
        queries: of each class.
        pretrain_windows: of each class, at most; as many as there are, where there are fewer.

    Raises:
        DatasetError: when there are too few classes, or windows of one of them.
    """
    if len(dataset.classes) < BASE_CLASSES + WAYS:
        raise DatasetError(
            f"{dataset.path} has {len(dataset.classes)} classes; {BASE_CLASSES} to pre-train on "
            f"and {WAYS} to recognise make {BASE_CLASSES + WAYS}"
        )
    drawn = _random("classes", seed).permutation(len(dataset.classes))
    base, novel = drawn[:BASE_CLASSES], drawn[BASE_CLASSES : BASE_CLASSES + WAYS]
    needed, why = shots + queries, f"{shots} shots and {queries} queries"
    random = _random("pre-training", seed, snr_db)
    known = [_windows_of(dataset, c, snr_db, shots + 1, f"episodes of {shots} shots") for c in base]
    known = [random.permutation(of)[:pretrain_windows] for of in known]
    asked = [_windows_of(dataset, c, snr_db, needed, why) for c in novel]
    start = np.cumsum([0, *map(len, asked)])
    support, query = [], []
    for trial in range(trials):
        random = _random("trial", seed, snr_db, trial)
        places = [start[n] + random.permutation(len(of))[:needed] for n, of in enumerate(asked)]
        support.append([of[:shots] for of in places])
        query.append(np.concatenate([of[shots:] for of in places]))
    return Tasks(
        pretrain=np.concatenate(known),
        pretrain_label=_labels(known),
        windows=np.concatenate(asked),
        label=_labels(asked),
        support=np.array(support),
        query=np.array(query),
        validation=np.empty((trials, 0), np.int64),
    )


def contrastive_tasks(
    dataset: Dataset, snr_db: int, *, seed: int, trials: int, windows: tuple[int, int, int, int]
) -> Tasks:
    """All classes: windows to pre-train on, a few labelled ones, and those of two more parts.

    A network is pre-trained once per seed, on what the first trial leaves unlabelled. Every other
    trial draws its labelled windows anew from the training windows, so that it labels some that
    were seen before without their label. Validation and test windows are never learned from.

    Args:
        dataset: labelled.
        snr_db: level.
        seed: of all draws.
        trials: T.
        windows: of each class: to pre-train on, labelled, to validate on, to recognise.

    Raises:
        DatasetError: when there are too few windows.
    """
    unlabelled, shots, validated, _ = windows
    training, why = unlabelled + shots, " + ".join(map(str, windows))
    random = _random("contrastive", seed, snr_db)
    each = [
        random.permutation(_windows_of(dataset, c, snr_db, sum(windows), why))[: sum(windows)]
        for c in range(len(dataset.classes))
    ]
    places = np.arange(len(each) * sum(windows)).reshape(len(each), -1)
    support = [places[:, unlabelled:training]]
    for trial in range(1, trials):
        random = _random("labelled", seed, snr_db, trial)
        support.append(np.stack([random.permutation(of[:training])[:shots] for of in places]))
    known = [of[:unlabelled] for of in each]
    middle = training + validated
    return Tasks(
        pretrain=np.concatenate(known),
        pretrain_label=_labels(known),
        windows=np.concatenate(each),
        label=_labels(each),
        support=np.stack(support),
        query=np.tile(places[:, middle:].ravel(), (trials, 1)),
        validation=np.tile(places[:, training:middle].ravel(), (trials, 1)),
    )


def _windows_of(dataset: Dataset, label: int, snr_db: int, needed: int, why: str) -> np.ndarray:
    found = np.flatnonzero((dataset.label == label) & (dataset.level_db == snr_db))
    if len(found) < needed:
        raise DatasetError(
            f"{dataset.path} has {len(found)} windows of {dataset.classes[label]} at {snr_db:+d} "
            f"dB; {why} need {needed}: ask for fewer, or make a file with --windows {needed}"
        )
    return found


def _labels(parts: list[np.ndarray]) -> np.ndarray:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _random(*purpose: object) -> np.random.Generator:
    return np.random.default_rng(seed_of("few-shot figure", *purpose))
