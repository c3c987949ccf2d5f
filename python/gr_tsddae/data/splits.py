# SPDX-License-Identifier: GPL-3.0-or-later
"""Training, validation and test: the paper's split, whole recordings apart, and few shots."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from gr_tsddae.data.dataset import UNLABELLED, Dataset, DatasetError

TEST = 0.2  # of all, as in the paper
VALIDATION = 0.25  # of the rest
SHARES = np.array([(1 - TEST) * (1 - VALIDATION), (1 - TEST) * VALIDATION, TEST])
SEARCH_NODES = 1000  # seconds; 24 classes in 3 to 6 groups each take a few nodes


class Split(NamedTuple):
    """Window numbers for `Dataset.select`: int64, ascending, disjoint, together all windows."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(dataset: Dataset, *, seed: int) -> Split:
    """Split by group where the dataset knows groups, otherwise stratified.

    Unlabelled windows do not change the parts of the labelled ones, so that training with them,
    training without them, and measuring agree on what is tested. They go where their group goes;
    those of groups without any label are for training.

    Raises:
        DatasetError: see `by_group` and `stratified`.
    """
    method = stratified if dataset.group is None else by_group
    labelled = dataset.label != UNLABELLED
    if labelled.all() or not labelled.any():
        return method(dataset, seed=seed)
    found = method(dataset.select(labelled), seed=seed)
    part = np.zeros(len(dataset), np.int64)
    for number, which in enumerate(found):
        part[np.flatnonzero(labelled)[which]] = number
    if dataset.group is not None:
        groups, first = np.unique(dataset.group[labelled], return_index=True)
        place = np.searchsorted(groups, dataset.group).clip(max=len(groups) - 1)
        follows = ~labelled & (groups[place] == dataset.group)
        part[follows] = part[labelled][first][place[follows]]
    return Split(*(np.flatnonzero(part == number) for number in range(3)))


def stratified(dataset: Dataset, *, seed: int) -> Split:
    """Split as the paper does: 20 % test, 25 % of the rest validation, in each class and level.

    Every cell of a class and a level gives its share to within one window, and the parts have their
    shares of the whole exactly, rounded. Unlabelled windows count as one class.

    Raises:
        DatasetError: a part would lack a class.
    """
    random = np.random.default_rng(seed)
    cell, counts = cells(dataset.label, dataset.level_db)
    label = dataset.label[np.unique(cell, return_index=True)[1]]  # of each cell
    test_counts = _apportion(counts, label, TEST, random, left=2)
    validation_counts = _apportion(counts - test_counts, label, VALIDATION, random, left=1)
    place = places(cell, random.permutation(len(cell)))
    part = np.where(place < (test_counts + validation_counts)[cell], 1, 0)
    part[place < test_counts[cell]] = 2
    return _parts(dataset, part, "windows")


def by_group(dataset: Dataset, *, seed: int) -> Split:
    """Split whole groups (recordings, stretches of time), so that neighbours never straddle.

    Groups are dealt out class by class, the class with the fewest first, each group to the part
    that lacks most windows of that class; every class reaches every part, where that is possible.
    Parts have the shares of the paper as nearly as whole groups allow.

    Raises:
        DatasetError: there are no groups, or a class is in fewer than three.
    """
    if dataset.group is None:
        raise DatasetError(f"{dataset.path} has no groups of windows; use the stratified split")
    random = np.random.default_rng(seed)
    held, column = np.unique(dataset.label, return_inverse=True)
    groups, row = np.unique(dataset.group, return_inverse=True)
    counts = np.zeros((len(groups), len(held)), np.int64)
    np.add.at(counts, (row, column), 1)
    for label, group_count in zip(held, (counts > 0).sum(0), strict=True):
        if group_count < 3:
            raise DatasetError(
                f"{dataset.path}: {_class_name(dataset, label)} has only {group_count} "
                "recordings or blocks of time; at least 3 are needed, one each for training, "
                "validation and test: record more, or group by blocks (captures: group_by=block)"
            )
    part_of = _dealt(counts, np.full(len(groups), -1), random)
    if not all((counts[part_of == part] > 0).any(0).all() for part in range(3)):
        part_of = _dealt(counts, _cover(counts), random)
    return _parts(dataset, part_of[row], "recordings or blocks of time")


def _dealt(counts: np.ndarray, reserved: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Deal groups to parts: int64 (G,) of 0, 1, 2.

    Args:
        counts: int64 (G, K), windows of each group and class.
        reserved: int64 (G,), the part of a group that has one already, else -1.
        random: the order of groups of the same size.
    """
    part_of = reserved.copy()
    wanted = SHARES[:, None] * counts.sum(0)  # (3, K), what each part still lacks
    for part in range(3):
        wanted[part] -= counts[part_of == part].sum(0)
    given = np.stack([(counts[part_of == part] > 0).any(0) for part in range(3)])
    for label in np.argsort((counts > 0).sum(0), kind="stable"):
        mine = np.flatnonzero((counts[:, label] > 0) & (part_of < 0))
        mine = random.permutation(mine)
        mine = mine[np.argsort(-counts[mine, label], kind="stable")]  # the large ones first
        for done, group in enumerate(mine):
            empty = ~given[:, label]
            # No more groups than parts without this class: they must go there.
            allowed = empty if len(mine) - done <= empty.sum() else np.ones(3, bool)
            part = int(np.where(allowed, wanted[:, label], -np.inf).argmax())
            part_of[group] = part
            wanted[part] -= counts[group]
            given[part] |= counts[group] > 0
    return part_of


def _cover(counts: np.ndarray) -> np.ndarray:
    """Find groups that bring every class to every part, of few windows: an integer program.

    Args:
        counts: int64 (G, K), windows of each group and class.

    Returns:
        int64 (G,), the part of the groups that are needed, -1 of all others; -1 of all groups
        where no such choice exists, or none is found in `SEARCH_NODES`.
    """
    groups = len(counts)
    # x[part, group] is 1 where the part has the group, which no two parts share.
    once = LinearConstraint(sparse.hstack([sparse.eye(groups)] * 3), ub=1)
    there = LinearConstraint(sparse.block_diag([(counts > 0).T.astype(float)] * 3), lb=1)
    found = milp(
        np.tile(counts.sum(1), 3),
        constraints=[once, there],
        integrality=np.ones(3 * groups),
        bounds=Bounds(0, 1),
        options={"node_limit": SEARCH_NODES, "mip_rel_gap": 0.5},
    )
    if found.x is None:
        return np.full(groups, -1)
    taken = found.x.reshape(3, groups) > 0.5
    return np.where(taken.any(0), taken.argmax(0), -1)


def few_shot(dataset: Dataset, index: np.ndarray, *, shots: int, seed: int) -> np.ndarray:
    """Draw K windows per class and level: the paper's N-way K-shot M-SNR.

    Args:
        dataset: its classes and levels are the cells to fill.
        index: int64 (n,), numbers of windows to draw from, e.g. `Split.train`.
        shots: K.
        seed: the same seed gives the same windows.

    Returns:
        int64 (N * K * M,), ascending.

    Raises:
        DatasetError: K is below 1, or a class has fewer windows than that at some level.
    """
    if shots < 1:
        raise DatasetError(f"shots is {shots}; it must be at least 1")
    labelled = dataset.label != UNLABELLED
    cell, counts = cells(dataset.label, dataset.level_db)
    index = index[labelled[index]]
    available = np.bincount(cell[index], minlength=len(counts))
    for short in np.flatnonzero(available < shots):
        first = int(np.argmax(cell == short))
        if labelled[first]:
            at = f" at {dataset.level_db[first]} dB" if dataset.level_name else ""
            raise DatasetError(
                f"{dataset.path}: {_class_name(dataset, dataset.label[first])}{at} has "
                f"{available[short]} windows to draw from; {shots} shots need {shots}"
            )
    order = np.random.default_rng(seed).permutation(len(index))
    place = places(cell[index], order)
    return np.sort(index[place < shots])


def cells(label: np.ndarray, level_db: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the cells of a class and a level: cell of each window (N,), windows of each cell."""
    levels, level = np.unique(level_db, return_inverse=True)
    pair = (label - UNLABELLED) * len(levels) + level
    _, cell, counts = np.unique(pair, return_inverse=True, return_counts=True)
    return cell, counts


def _apportion(
    counts: np.ndarray, label: np.ndarray, share: float, random: np.random.Generator, *, left: int
) -> np.ndarray:
    """Share out whole windows of each count, to within one, that add up to the share of the sum.

    Largest remainders round up; chance decides between equal ones. Where the sum allows it, each
    label gets at least 1 and keeps at least `left` of what it has.

    Args:
        counts: int64 (C,), windows of each cell.
        label: int64 (C,), to which label a cell belongs.
        share: of the sum.
        random: decides between equal remainders.
        left: windows of each label that later parts need.
    """
    exact = counts * share
    whole = np.floor(exact).astype(np.int64)
    missing = round(counts.sum() * share) - whole.sum()
    remainder = np.round(exact - whole, 9)
    order = np.lexsort((random.random(len(counts)), -remainder))
    label = np.unique(label, return_inverse=True)[1]
    place = places(label, order)
    has = np.bincount(label, whole)[label]
    needed = place < 1 - has
    too_many = place >= np.bincount(label, counts)[label] - left - has
    order = order[np.lexsort((~needed[order], too_many[order], remainder[order] == 0))]
    whole[order[: max(missing, 0)]] += 1
    return whole


def places(cell: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Number the elements of each cell in this order: (n,) of 0, 1, 2, ..."""
    order = order[np.argsort(cell[order], kind="stable")]
    counts = np.bincount(cell)
    place = np.empty(len(cell), np.int64)
    place[order] = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place


def _parts(dataset: Dataset, part: np.ndarray, what: str) -> Split:
    found = Split(*(np.flatnonzero(part == number) for number in range(3)))
    # Shifted by one: the unlabelled come first.
    count = np.bincount(dataset.label + 1)
    for name, numbers in zip(Split._fields, found, strict=True):
        here = np.bincount(dataset.label[numbers] + 1, minlength=len(count))
        if (lacking := (count > 0) & (here == 0)).any():
            label = int(lacking.argmax()) - 1
            raise DatasetError(
                f"{dataset.path}: {_class_name(dataset, label)} has {count[label + 1]} windows, "
                f"and none of them falls to the {name} set; more {what} of it are needed"
            )
        if not len(numbers):
            raise DatasetError(f"{dataset.path}: {len(dataset)} windows are too few to split")
    return found


def _class_name(dataset: Dataset, label: int) -> str:
    return "unlabelled" if label == UNLABELLED else f"class {dataset.classes[label]!r}"
