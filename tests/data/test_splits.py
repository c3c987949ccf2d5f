# SPDX-License-Identifier: GPL-3.0-or-later
"""Splits: disjoint, complete, fair in every cell, and never through a group."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, MemoryStore, splits
from gr_tsddae.data.splits import TEST, VALIDATION, by_group, few_shot, split, stratified

CLASSES = ("bpsk", "qpsk", "fm", "am", "cpfsk")


def made(label, level_db=None, group=None):
    label = np.asarray(label)
    level = np.zeros(len(label), np.int64) if level_db is None else np.asarray(level_db)
    return Dataset(
        kind="npz",
        path="file.npz",
        store=MemoryStore(np.zeros((len(label), 2, 4), np.float32)),
        index=np.arange(len(label)),
        label=label,
        level_db=level,
        classes=CLASSES,
        group=None if group is None else np.asarray(group),
    )


def from_cells(cells, seed):
    """{(class, level): windows} in a mixed order."""
    label = np.repeat([c for c, _ in cells], list(cells.values()))
    level = np.repeat([s for _, s in cells], list(cells.values()))
    order = np.random.default_rng(seed).permutation(len(label))
    return made(label[order], level[order])


def assert_partition(parts, count):
    together = np.concatenate(parts)
    assert len(together) == count
    assert sorted(together.tolist()) == list(range(count))
    for part in parts:
        assert part.dtype == np.int64 and (np.diff(part) > 0).all()


CELLS = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(-3, 3)), st.integers(12, 40), min_size=1
)


@settings(max_examples=60, deadline=None)
@given(CELLS, st.integers(0, 99))
def test_stratified_is_fair_in_every_cell(cells, seed):
    dataset = from_cells(cells, seed)
    parts = stratified(dataset, seed=seed)
    assert_partition(parts, len(dataset))
    assert len(parts.test) == round(len(dataset) * TEST)
    rest = len(dataset) - len(parts.test)
    assert len(parts.validation) == round(rest * VALIDATION)
    for (label, level), count in cells.items():
        in_cell = (dataset.label == label) & (dataset.level_db == level)
        tested, validated = in_cell[parts.test].sum(), in_cell[parts.validation].sum()
        assert abs(tested - count * TEST) < 1
        assert abs(validated - (count - tested) * VALIDATION) < 1


def test_the_papers_split_of_rml2016_10a():
    label, level = np.meshgrid(np.arange(3), np.arange(-20, 20, 2), indexing="ij")
    dataset = made(np.repeat(label.ravel(), 100), np.repeat(level.ravel(), 100))
    parts = stratified(dataset, seed=1)
    assert [len(part) for part in parts] == [3600, 1200, 1200]
    for part, each in zip(parts, (60, 20, 20), strict=True):
        _, counts = np.unique(
            np.stack([dataset.label[part], dataset.level_db[part]]), axis=1, return_counts=True
        )
        assert len(counts) == 60 and (counts == each).all()


def test_remainders_are_shared_fairly():
    """Cells of 4 give 0.8 of a window to the test: four of five cells give one, by chance."""
    cells = {(c, s): 4 for c in range(3) for s in range(100)}
    dataset = from_cells(cells, 0)
    given_by = np.zeros(300)
    for seed in range(30):
        parts = stratified(dataset, seed=seed)
        assert len(parts.test) == 240
        np.add.at(given_by, dataset.label[parts.test] * 100 + dataset.level_db[parts.test], 1)
    assert given_by.min() > 10 and given_by.max() <= 30  # 24 expected, sigma 2.2
    assert abs(given_by.reshape(3, 100).sum(1) - 2400).max() < 120


def test_seeds_decide_and_repeat():
    dataset = from_cells({(c, s): 20 for c in range(3) for s in range(5)}, 1)
    once, again, other = (stratified(dataset, seed=seed) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once.test, other.test)


def test_too_few_windows_are_said_to_be():
    with pytest.raises(DatasetError, match="class 'fm' has 1 windows, and none"):
        stratified(made([0] * 50 + [1] * 50 + [2]), seed=0)
    with pytest.raises(DatasetError, match="too few to split"):
        stratified(made(np.zeros(0, np.int64)), seed=0)
    unlabelled = stratified(made([UNLABELLED] * 100), seed=0)
    assert [len(part) for part in unlabelled] == [60, 20, 20]


GROUPS = st.lists(  # of each class: sizes of its groups
    st.lists(st.integers(1, 30), min_size=3, max_size=12), min_size=1, max_size=3
)


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.integers(0, 99))
def test_groups_never_straddle_and_every_class_is_everywhere(sizes, seed):
    label = np.concatenate([np.repeat(c, sum(counts)) for c, counts in enumerate(sizes)])
    flat = [count for counts in sizes for count in counts]
    group = np.repeat(np.random.default_rng(seed).permutation(len(flat)) * 7, flat)
    order = np.random.default_rng(seed).permutation(len(label))
    dataset = made(label[order], group=group[order])
    parts = split(dataset, seed=seed)
    assert_partition(parts, len(dataset))
    where = [set(dataset.group[part].tolist()) for part in parts]
    assert not (where[0] & where[1] or where[0] & where[2] or where[1] & where[2])
    for part in parts:
        assert set(dataset.label[part].tolist()) == set(range(len(sizes)))
    for c, counts in enumerate(sizes):
        if len(counts) >= 6:  # as near as whole groups allow
            for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
                assert abs((dataset.label[part] == c).sum() - share * sum(counts)) <= max(counts)


def test_groups_of_several_classes():
    """Ten recordings that each hold all classes: 6, 2 and 2 of them."""
    dataset = made(np.tile(np.repeat([0, 1, 2], 10), 10), group=np.repeat(np.arange(10), 30))
    parts = by_group(dataset, seed=3)
    assert [len(np.unique(dataset.group[part])) for part in parts] == [6, 2, 2]
    assert not np.array_equal(parts.test, by_group(dataset, seed=4).test)
    assert np.array_equal(parts.test, by_group(dataset, seed=3).test)


def test_too_few_groups_are_said_to_be():
    label, group = np.repeat([0, 1], 60), np.repeat([0, 1, 2, 3, 4], [20, 20, 20, 30, 30])
    with pytest.raises(DatasetError, match=r"class 'qpsk' has only 2 recordings .* at least 3"):
        by_group(made(label, group=group), seed=0)
    with pytest.raises(DatasetError, match="no groups"):
        by_group(made(label), seed=0)


def can_be_grouped(held):
    """Whether any deal of groups to three parts has every class in every part: bool (G, K)."""
    deals = np.array(list(itertools.product(range(3), repeat=len(held))))  # (3**G, G)
    within = deals[:, None, :] == np.arange(3)[:, None]  # (3**G, 3, G)
    return bool(((within.astype(int) @ held) > 0).all((1, 2)).any())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.lists(st.sampled_from([0, 0, 1, 2, 9]), min_size=4, max_size=4), min_size=3, max_size=7
    ),
    st.integers(0, 9),
)
def test_whole_groups_are_split_wherever_that_can_be_done(counts, seed):
    """Held against all ways to deal the groups."""
    counts = np.array(counts)  # (groups, classes)
    counts = counts[:, counts.any(0)]
    assume(counts.size)
    group, label = (
        np.repeat(axis, counts.ravel()) for axis in np.indices(counts.shape).reshape(2, -1)
    )
    dataset = made(label, group=group)
    if not can_be_grouped(counts > 0):
        with pytest.raises(DatasetError, match=r"more recordings|at least 3 are needed"):
            by_group(dataset, seed=seed)
        return
    parts = by_group(dataset, seed=seed)
    assert_partition(parts, len(dataset))
    for part in parts:
        assert set(label[part].tolist()) == set(label.tolist())
    assert sum(len(np.unique(group[part])) for part in parts) == len(np.unique(group))


def test_a_search_of_all_deals_ends(monkeypatch):
    """Forty classes, five groups of each among twenty: the limit ends what would take long."""
    random = np.random.default_rng(1)
    held = np.stack([random.permutation(20) < 5 for _ in range(40)], axis=1).astype(int)
    found = splits._cover(held)
    assert all((held[found == part] > 0).any(0).all() for part in range(3))
    monkeypatch.setattr(splits, "SEARCH_NODES", 1)
    assert (splits._cover(held) == -1).all()


def within_one(count, share):
    return [n for n in range(count + 1) if abs(n - count * share) < 1]


def can_be_stratified(cells):
    """Whether any whole shares of the cells, to within one, have every class in every part."""
    counts = np.array(list(cells.values()))
    of_class = np.array([[label == c for label, _ in cells] for c in sorted({c for c, _ in cells})])
    total = round(counts.sum() * 0.2)
    for tested in itertools.product(*(within_one(n, 0.2) for n in counts)):
        rest = counts - tested
        if sum(tested) != total or not (of_class @ tested).all():
            continue
        for validated in itertools.product(*(within_one(n, 0.25) for n in rest)):
            if (
                sum(validated) == round(rest.sum() * 0.25)
                and (of_class @ validated).all()
                and (of_class @ (rest - validated)).all()
            ):
                return True
    return False


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 2), st.integers(0, 3)), st.integers(1, 6), min_size=2, max_size=6
    ),
    st.integers(0, 9),
)
def test_cells_are_split_wherever_that_can_be_done(cells, seed):
    """Held against all ways to round the cells' shares."""
    dataset = from_cells(cells, seed)
    if not can_be_stratified(cells):
        with pytest.raises(DatasetError, match="more windows"):
            stratified(dataset, seed=seed)
        return
    parts = stratified(dataset, seed=seed)
    assert_partition(parts, len(dataset))
    for part in parts:
        assert set(dataset.label[part].tolist()) == {label for label, _ in cells}


@settings(max_examples=40, deadline=None)
@given(CELLS, st.integers(1, 6), st.integers(0, 99))
def test_few_shot_draws_the_same_number_from_each_cell(cells, shots, seed):
    dataset = from_cells(cells, seed)
    train = stratified(dataset, seed=seed).train
    drawn = few_shot(dataset, train, shots=shots, seed=seed)
    assert len(set(drawn.tolist())) == len(drawn) == shots * len(cells)
    assert set(drawn.tolist()) <= set(train.tolist())
    for label, level in cells:
        assert ((dataset.label[drawn] == label) & (dataset.level_db[drawn] == level)).sum() == shots
    assert np.array_equal(drawn, few_shot(dataset, train, shots=shots, seed=seed))


def test_few_shot_names_the_cell_that_is_short():
    dataset = made([0] * 9 + [1] * 9, [-4] * 9 + [6] * 9)
    with pytest.raises(DatasetError, match=r"class 'qpsk' at 6 dB has 2 windows .* 3 shots"):
        few_shot(dataset, np.arange(11), shots=3, seed=0)
    with pytest.raises(DatasetError, match="class 'qpsk' at 6 dB has 0 windows"):
        few_shot(dataset, np.arange(9), shots=3, seed=0)
    with pytest.raises(DatasetError, match="shots is 0"):
        few_shot(dataset, np.arange(9), shots=0, seed=0)
    drawn = few_shot(made([UNLABELLED] * 5 + [0] * 5), np.arange(10), shots=2, seed=0)
    assert len(drawn) == 2 and (drawn >= 5).all()


def test_draws_are_by_chance():
    dataset = made([0] * 100)
    found = np.zeros(100)
    for seed in range(200):
        found[few_shot(dataset, np.arange(100), shots=10, seed=seed)] += 1
    assert found.min() >= 5 and found.max() <= 40  # 20 expected, sigma 4.2


@pytest.mark.parametrize("grouped", [False, True])
def test_unlabelled_windows_do_not_move_the_others(grouped):
    """Else a model is measured on windows that its pre-training, or it itself, has seen."""
    label = np.arange(120) % 3 - 1
    group = np.arange(120) // 6 if grouped else None
    if grouped:
        label[group == 19] = UNLABELLED
    dataset = made(label, group=group)
    known = np.flatnonzero(label != UNLABELLED)
    parts, alone = split(dataset, seed=3), split(dataset.select(known), seed=3)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(120))
    for part, same in zip(parts, alone, strict=True):
        assert np.array_equal(part[label[part] != UNLABELLED], known[same])
    if grouped:
        assert not set(group[parts.train]) & set(group[parts.test])
        assert 19 in group[parts.train]
