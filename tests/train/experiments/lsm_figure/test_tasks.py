# SPDX-License-Identifier: GPL-3.0-or-later
"""The article's two divisions: nothing that is asked has been learned from."""

import numpy as np
import pytest

from gr_tsddae.data import Dataset, DatasetError, MemoryStore
from gr_tsddae.train.experiments.lsm_figure.tasks import contrastive_tasks, few_shot_tasks

CLASSES, WINDOWS, SNRS = 11, 20, (0, 10)
SIZES = {"seed": 1, "trials": 4, "shots": 5, "queries": 12, "pretrain_windows": 15}


@pytest.fixture(scope="module")
def dataset():
    """20 windows of each class at each SNR, in no order."""
    number = np.random.default_rng(0).permutation(CLASSES * WINDOWS * len(SNRS))
    return Dataset(
        kind="npz",
        path="windows.npz",
        store=MemoryStore(np.zeros((len(number), 2, 32), np.float32)),
        index=np.arange(len(number)),
        label=number % CLASSES,
        level_db=np.array(SNRS)[number // CLASSES % len(SNRS)],
        classes=tuple("abcdefghijk"),
    )


def test_tasks_are_about_other_classes_than_pre_training(dataset):
    tasks = few_shot_tasks(dataset, 10, **SIZES)
    base, novel = (set(dataset.label[of].tolist()) for of in (tasks.pretrain, tasks.windows))
    assert (len(base), len(novel), base & novel) == (6, 5, set())
    assert set(dataset.level_db[np.concatenate((tasks.pretrain, tasks.windows))]) == {10}
    assert np.bincount(tasks.pretrain_label).tolist() == [15] * 6
    assert len(set(tasks.pretrain.tolist())) == len(tasks.pretrain)


@pytest.mark.parametrize("kind", ["few-shot", "contrastive"])
def test_support_and_queries_have_nothing_in_common(dataset, kind):
    if kind == "few-shot":
        tasks, ways, queries = few_shot_tasks(dataset, 0, **SIZES), 5, 12
    else:
        tasks = contrastive_tasks(dataset, 0, seed=1, trials=4, windows=(8, 3, 4, 5))
        ways, queries = 11, 5
        seen = set(tasks.pretrain.tolist())
        first = tasks.windows[tasks.support[0].ravel()]
        assert not seen & set(first.tolist())
        for parts in (tasks.query, tasks.validation):
            assert not seen & set(tasks.windows[parts.ravel()].tolist())
            assert not set(parts.ravel()) & set(tasks.support.ravel())
        assert not set(tasks.query.ravel()) & set(tasks.validation.ravel())
    # A place's label is that of its window's class, one to one.
    pairs = set(zip(tasks.label.tolist(), dataset.label[tasks.windows].tolist(), strict=True))
    assert len(pairs) == ways
    for support, query in zip(tasks.support, tasks.query, strict=True):
        assert len(set(support.ravel()) | set(query)) == support.size + len(query)
        assert np.bincount(tasks.label[query]).tolist() == [queries] * ways
        assert (tasks.label[support] == np.arange(ways)[:, None]).all()
    assert not np.array_equal(tasks.support[0], tasks.support[1])


def test_a_seed_draws_its_own_and_always_the_same(dataset):
    first, again = few_shot_tasks(dataset, 0, **SIZES), few_shot_tasks(dataset, 0, **SIZES)
    other = few_shot_tasks(dataset, 0, **SIZES | {"seed": 2})
    assert np.array_equal(first.query, again.query)
    assert set(dataset.label[first.windows]) != set(dataset.label[other.windows])


def test_too_few_windows_are_named(dataset):
    with pytest.raises(DatasetError, match=r"has 20 windows of \w at \+10 dB.*5 shots and 500 "):
        few_shot_tasks(dataset, 10, **SIZES | {"queries": 500})
    with pytest.raises(DatasetError, match=r"has 20 windows of a .*495 \+ 5.*--windows 1000"):
        contrastive_tasks(dataset, 10, seed=1, trials=1, windows=(495, 5, 250, 250))
    with pytest.raises(DatasetError, match="has 0 windows"):
        few_shot_tasks(dataset, 4, **SIZES)
