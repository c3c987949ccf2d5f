# SPDX-License-Identifier: GPL-3.0-or-later
"""The latest samples of a stream: what is kept, what is not, and what a snapshot sees."""

from __future__ import annotations

import numpy as np

from gr_tsddae.survey.history import KEPT_S, History

SLAB, AHEAD = 1000, 100


def filled(slabs: int, rate_hz: float = 20_000.0) -> History:
    history = History(rate_hz, SLAB)
    line = np.arange(slabs * SLAB + AHEAD).astype(np.complex64)
    for slab in range(slabs):
        history.keep(slab, line[slab * SLAB :][: SLAB + AHEAD])
    return history


def test_a_second_is_kept():
    history = filled(50)
    assert history.first_sample == 50 * SLAB - KEPT_S * 20_000
    samples, complete = history.read(history.first_sample, 20_000)
    np.testing.assert_array_equal(samples.real, history.first_sample + np.arange(20_000))
    assert complete


def test_samples_that_are_gone_or_to_come_are_zeros():
    history = filled(50)
    samples, complete = history.read(history.first_sample - 3, 5)
    np.testing.assert_array_equal(samples, [0, 0, 0, 30_000, 30_001])
    assert complete
    samples, complete = history.read(50 * SLAB + AHEAD - 1, 2)
    np.testing.assert_array_equal(samples, [50 * SLAB + AHEAD - 1, 0])
    assert not complete


def test_an_empty_history_has_everything_still_to_come():
    samples, complete = History(1e6, SLAB).read(-5, 10)
    assert not samples.any() and not complete


def test_a_snapshot_does_not_go_on():
    history = filled(30)
    snapshot = history.snapshot()
    for slab in range(30, 60):
        history.keep(slab, np.zeros(SLAB + AHEAD, np.complex64))
    samples, complete = snapshot.read(10 * SLAB, 20 * SLAB)
    np.testing.assert_array_equal(samples.real, np.arange(10 * SLAB, 30 * SLAB))
    assert complete and snapshot.first_sample == 10 * SLAB and history.first_sample == 40 * SLAB
