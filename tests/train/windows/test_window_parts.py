# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows dealt out to learning, choosing and measuring."""

import numpy as np

from gr_tsddae.train.windows.parts import CHOOSE, LEARN, MEASURE, parts, spread


def dealt(held_out=None, seed=1):
    """Recordings 0 to 3 are of class 0, 4 of class 1: 100 windows each, half with errors."""
    recording = np.arange(5).repeat(100)
    at_s, exact = np.tile(np.arange(50.0), 10), np.tile(np.arange(100) < 50, 5)
    part, apart = parts(
        recording // 4, recording, np.ones(500, bool), at_s, np.full(500, 1.0), exact,
        held_out=held_out, seed=seed,
    )  # fmt: skip
    return recording, at_s, exact, part, apart


def test_recordings_that_measure_are_not_learned_from():
    recording, at_s, exact, part, apart = dealt()
    assert len(apart) == 1 and apart[0] < 4
    assert set(part[(recording == apart[0]) & exact]) == {MEASURE}
    assert set(part[(recording < 4) & (recording != apart[0]) & exact]) == {LEARN, CHOOSE}
    assert set(part[(recording == 4) & exact]) == {LEARN, CHOOSE, MEASURE}
    assert not set(part[~exact]) & {CHOOSE, MEASURE}
    # What is learned from with errors keeps away from the moments that choose and measure.
    alone = recording == 4
    others = at_s[alone & exact & (part != LEARN)]
    for moment in at_s[alone & ~exact & (part == LEARN)]:
        assert np.abs(others - moment).min() >= 1
    assert dealt(held_out=[2, 4])[4] == [2]  # nothing would be left of class 1
    assert dealt(held_out=[])[4] == []


def test_windows_are_spread_over_recordings_not_over_windows():
    label = np.zeros(1110, int)
    recording = np.repeat([0, 1, 2], [1000, 100, 10])
    kept = recording[spread(label, recording, 60)]
    assert np.bincount(kept).tolist() == [25, 25, 10]
    kept = spread(label, recording, 60, {0: 9})
    assert np.bincount(recording[kept]).tolist() == [3, 3, 3]
