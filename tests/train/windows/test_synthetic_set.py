# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows of a synthetic set are the same however they are read."""

import numpy as np
import pytest

from gr_tsddae.synth import CLASSES
from gr_tsddae.train.windows.synthetic_set import synthetic_set


def test_synthetic_windows_are_balanced_and_repeatable():
    settings = {"window_samples": 128, "windows_per_class": 2, "snrs_db": (-10, 20)}
    found = synthetic_set("clean", seed=5, **settings)
    assert np.bincount(found.label).tolist() == [4] * len(CLASSES)
    assert sorted(set(found.level_db.tolist())) == [-10, 20]
    assert np.array_equal(synthetic_set("clean", seed=5, **settings).rows(), found.rows())
    assert not np.array_equal(synthetic_set("clean", seed=6, **settings).rows(), found.rows())
    with pytest.raises(ValueError, match="windows_per_class is 0"):
        synthetic_set("clean", seed=5, **settings | {"windows_per_class": 0})


def test_synthetic_windows_do_not_depend_on_how_they_are_read():
    settings = {"window_samples": 128, "windows_per_class": 2, "snrs_db": (-10, 30)}
    data = synthetic_set("clean", seed=1, **settings)
    rows = data.rows()
    assert np.array_equal(rows[::-1], data.rows(np.arange(len(data))[::-1]))
    assert np.array_equal(rows[[30, 3, 30]], data.rows(np.array([30, 3, 30])))
    assert not np.array_equal(rows[:24], rows[24:]), "two SNRs are drawn anew"
    assert not np.array_equal(rows, synthetic_set("clean", seed=2, **settings).rows())
    # A clean constant-envelope signal is rough at -10 dB and smooth at 30 dB.
    envelope = np.hypot(rows[:, 0], rows[:, 1])
    spread = envelope.std(1) / envelope.mean(1)
    constant = data.label == CLASSES.index("CPFSK")
    assert spread[constant & (data.level_db == 30)].max() < 0.1
    assert spread[constant & (data.level_db == -10)].min() > 0.3


def test_windows_of_an_emission_are_a_group():
    settings = {"window_samples": 128, "windows_per_class": 4, "seed": 1, "snrs_db": (20,)}
    found = synthetic_set("air", emission_windows=2, **settings)
    assert np.array_equal(found.group, np.arange(len(found)) // 2)
    assert np.array_equal(found.label[::2], found.label[1::2])
    with pytest.raises(ValueError, match="4 windows per class and SNR are no whole number"):
        synthetic_set("air", emission_windows=3, **settings)
    with pytest.raises(ValueError, match="recipe clean draws windows alone"):
        synthetic_set("clean", emission_windows=2, **settings)
