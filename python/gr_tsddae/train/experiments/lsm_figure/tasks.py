# SPDX-License-Identifier: GPL-3.0-or-later
"""The LSM article's two divisions of a data set at one SNR, into windows to learn and to ask."""

from dataclasses import dataclass

import numpy as np

from gr_tsddae.data import Dataset, DatasetError
from gr_tsddae.train.windows.feed import seed_of

BASE_CLASSES, WAYS = 6, 5  # classes to pre-train on, and classes of a few-shot task


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """Windows to pre-train on, and the tasks of all trials. Index arrays are int64.

    Attributes:
        pretrain: Numbers of windows in the data set, (P,).
        pretrain_label: Their classes, from 0, (P,); only supervised methods and episodes use them.
        windows: Numbers of the windows of all tasks, (W,).
        label: Their classes among those of the task, from 0, (W,).
        support: Places in `windows` of the labelled ones, (T, N, K); class n is label n. A task
            of fewer shots takes the first of them.
        query: Places in `windows` of those to recognise, (T, Q).
        validation: Places in `windows` of those that choose when a head has learned enough,
            (T, V); V may be 0.
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
    """Draw six classes to pre-train on, and tasks over five others.

    The article does not name the six; each seed draws its own. Each trial draws its own support
    and queries.

    Args:
        dataset: Labelled, with at least 11 classes; of more, 11 are drawn.
        snr_db: Level of all windows.
        seed: Of all draws.
        trials: T.
        shots: K, the most of any task.
        queries: Per class.
        pretrain_windows: Per class, at most; a class with fewer gives all it has.

    Raises:
        DatasetError: There are too few classes, or too few windows of one of them.
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
    """Draw, of all classes, windows to pre-train on, labelled ones, and two sets to measure on.

    A network is pre-trained once per seed, on the windows that the first trial leaves unlabelled.
    Every other trial draws its labelled windows anew from the training windows, so that some of
    them were seen before without their label. Validation and test windows are never learned from.

    Args:
        dataset: Labelled.
        snr_db: Level of all windows.
        seed: Of all draws.
        trials: T.
        windows: Per class: to pre-train on, labelled, to validate on, to recognise.

    Raises:
        DatasetError: There are too few windows.
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
