# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores in their places."""

from __future__ import annotations

import numpy as np

from gr_tsddae.inference.anomaly.track import ScoreTrack

NAN = np.nan


def test_lost_windows_leave_nan():
    track = ScoreTrack(100, 50)
    np.testing.assert_array_equal(track.add([1, 2], [0, 50]), [1, 2])
    np.testing.assert_array_equal(track.add([3, 4], [250, 350]), [NAN, NAN, NAN, 3, NAN, 4])
    assert track.position == 8
    assert track.add([], []).dtype == np.float32


def test_after_a_retune_windows_are_out_of_step_but_stay_within_a_hop():
    track = ScoreTrack(100, 100)
    firsts = [0, 100, 230, 330, 495, 595]
    scores = track.add(range(6), firsts)
    np.testing.assert_array_equal(scores, [0, 1, 2, 3, 4, 5])
    assert all(abs(i * 100 - first) < 100 for i, first in enumerate(firsts))


def test_time_goes_on_without_windows():
    track = ScoreTrack(100, 50)
    assert len(track.advance(149)) == 1  # a window at 49 could still be in no batch, at 50 not
    assert len(track.advance(148)) == 0
    assert len(track.advance(1099)) == 19
    assert len(track.finish(1099)) == 0
    assert len(track.finish(1100)) == 1  # windows at 0, 50, ... 1000
    assert track.position == 21
    assert np.isnan(ScoreTrack(100, 50).advance(10_000)).all()
    assert len(ScoreTrack(100, 50).finish(99)) == 0


def test_two_in_one_place_take_a_hop_longer_than_a_window():
    track = ScoreTrack(10, 100)
    np.testing.assert_array_equal(track.add([1, 5, 2], [0, 30, 130]), [5, 2])
    assert len(track.add([9], [150])) == 0
    track.restart()
    np.testing.assert_array_equal(track.add([7], [0]), [7])
