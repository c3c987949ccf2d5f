# SPDX-License-Identifier: GPL-3.0-or-later
"""Classes of a data set find theirs in a model."""

import numpy as np
import pytest

from gr_tsddae.data import Dataset, DatasetError, MemoryStore
from gr_tsddae.synth import CLASSES
from gr_tsddae.train.windows.class_names import check_class_names, match_classes


def dataset(classes):
    number = np.arange(60)
    return Dataset(
        kind="npz", path="x.npz", store=MemoryStore(np.zeros((60, 2, 8), np.float32)), index=number,
        label=number % len(classes), level_db=number * 0, classes=classes,
    )  # fmt: skip


def test_names_of_classes():
    data = dataset(classes=("qpsk", "AM_DSB", "SSB", "unused"))
    data.label[:] = np.arange(60) % 3
    assert match_classes(data, CLASSES, {"SSB": "AM-SSB"}) == {
        0: CLASSES.index("QPSK"), 1: CLASSES.index("AM-DSB"), 2: CLASSES.index("AM-SSB"),
    }  # fmt: skip
    assert match_classes(data, CLASSES, {"SSB": "noise"})[2] == CLASSES.index("noise")
    with pytest.raises(DatasetError, match=r"does not know: SSB; the model's: 8PSK, .*--leave_out"):
        match_classes(data, CLASSES, {})
    with pytest.raises(DatasetError, match=r"names USB, which .* has not; its classes: qpsk"):
        match_classes(data, CLASSES, {"USB": "AM-SSB"})
    # Two that differ in nothing else: only the exact name is clear.
    assert match_classes(dataset(classes=("a-b", "AB")), ("AB", "a-b"), {}) == {0: 1, 1: 0}
    with pytest.raises(DatasetError, match="does not know: A_B"):
        match_classes(dataset(classes=("A_B", "AB")), ("AB", "a-b"), {})


def test_no_class_has_the_name_of_a_decision_that_is_not_sure():
    check_class_names("here", ("a", "noise"))
    with pytest.raises(DatasetError, match=r"no class may be called 'unknown'.*rename it"):
        check_class_names("here", ("a", "unknown"))
