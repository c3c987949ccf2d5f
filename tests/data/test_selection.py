# SPDX-License-Identifier: GPL-3.0-or-later
"""Which windows are chosen, in which order: held against loops over plain lists."""

from dataclasses import replace

import numpy as np
import pytest

from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, MemoryStore
from gr_tsddae.data.selection import Selection, as_complex, truth_of
from gr_tsddae.data.splits import split

CLASSES = ("8PSK", "BPSK", "WBFM")


@pytest.fixture
def dataset():
    """600 windows, classes and levels mixed; the first window of the file is left out."""
    random = np.random.default_rng(4)
    count = 601
    index = np.arange(1, count)
    return Dataset(
        kind="npz",
        path="x.npz",
        store=MemoryStore(random.standard_normal((count, 2, 8)).astype(np.float32)),
        index=index,
        label=random.integers(0, 3, count)[index],
        level_db=random.choice([-10, 0, 10], count)[index],
        classes=CLASSES,
    )


def played(dataset, **selection):
    """Numbers in the file, in the order they are played."""
    return Selection(**selection).of(dataset).index.tolist()


def everything(dataset):
    """(number in the file, label, level) of each window."""
    return list(
        zip(dataset.index.tolist(), dataset.label.tolist(), dataset.level_db.tolist(), strict=True)
    )


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("file", lambda w: w[0]),
        ("by_snr", lambda w: (w[2], w[0])),
        ("by_class", lambda w: (w[1], w[0])),
        ("by_class_and_snr", lambda w: (w[1], w[2], w[0])),
    ],
)
def test_orders(dataset, order, key):
    expected = [w[0] for w in sorted(everything(dataset), key=key)]
    shuffled = dataset.select(np.random.default_rng(0).permutation(len(dataset)))
    assert played(dataset, order=order) == expected == played(shuffled, order=order)


def test_shuffled_is_all_once_and_the_same_for_a_seed(dataset):
    first = played(dataset, order="shuffled", seed=3)
    assert sorted(first) == dataset.index.tolist() != first
    assert first == played(dataset, order="shuffled", seed=3)
    assert first != played(dataset, order="shuffled", seed=4)


def test_filters(dataset):
    got = played(dataset, classes=["WBFM", "8PSK"], snr_min_db=-3, snr_max_db=10)
    assert got == [n for n, label, level in everything(dataset) if label in (0, 2) and level >= -3]
    got = played(dataset, snrs_db=[10, -10])
    assert got == [n for n, _, level in everything(dataset) if level in (10, -10)]


@pytest.mark.parametrize("order", ["file", "shuffled", "by_class_and_snr"])
def test_the_first_of_each_class_and_level(dataset, order):
    all_windows = {n: (label, level) for n, label, level in everything(dataset)}
    expected, seen = [], {}
    for number in played(dataset, order=order):
        key = all_windows[number]
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= 7:
            expected.append(number)
    assert played(dataset, order=order, windows_per_key=7) == expected
    assert len(expected) == 9 * 7


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_parts_are_those_of_training_whatever_else_is_chosen(dataset, part):
    numbers = getattr(split(dataset, seed=9), part)
    expected = set(dataset.index[numbers].tolist())
    assert set(played(dataset, part=part, split_seed=9)) == expected
    only = set(dataset.index[dataset.label == 1].tolist())
    assert set(played(dataset, part=part, split_seed=9, classes=["BPSK"])) == expected & only


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"order": "random"}, "order is 'random'.*shuffled"),
        ({"part": "half"}, "part is 'half'.*validation"),
        ({"windows_per_key": -1}, "windows_per_key is -1"),
        ({"snr_min_db": 3, "snr_max_db": 2}, "snr_min_db is 3"),
        ({"classes": "BPSK"}, r"give a list, as \['BPSK'\]"),
        ({"classes": ["64QAM"]}, "has no class 64QAM; there are: 8PSK, BPSK, WBFM"),
        ({"snrs_db": [0, 3]}, "no windows at 3 dB; there are: -10, 0, 10"),
        ({"snr_min_db": 11}, "no window for this selection"),
    ],
)
def test_what_cannot_be_chosen_is_said(dataset, bad, said):
    with pytest.raises(ValueError, match=said):
        Selection(**bad).of(dataset)


def test_truth_that_is_not_known(dataset):
    unknown = replace(
        dataset, label=np.full(600, UNLABELLED), level_db=np.zeros(600, int), level_name=None
    )
    assert truth_of(unknown, 5) == (None, None)
    assert truth_of(dataset, 5) == (CLASSES[dataset.label[5]], dataset.level_db[5])
    assert played(unknown, snr_min_db=-200, snr_max_db=200) == unknown.index.tolist()
    for name in ("snr_min_db", "snr_max_db"):
        with pytest.raises(DatasetError, match=f"{name} is 3, and x.npz does not know its SNRs"):
            Selection(**{name: 3}).of(unknown)
    with pytest.raises(DatasetError, match="does not know its SNRs"):
        Selection(snrs_db=[0]).of(unknown)


def test_a_stream_of_windows(dataset):
    rows = dataset.rows(slice(0, 3))
    expected = np.concatenate([row[0] + 1j * row[1] for row in rows]) * np.float32(2)
    np.testing.assert_array_equal(as_complex(rows, 2.0), expected.astype(np.complex64))
