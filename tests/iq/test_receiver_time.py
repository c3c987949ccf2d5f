# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver's time in whole seconds and a fraction."""

from __future__ import annotations

import math

import pytest

from gr_tsddae.iq.receiver_time import UNIX_TIME_UNTIL_S, receiver_time, unix_time_s


@pytest.mark.parametrize(
    ("told", "time"),
    [
        ((100, 0.25), (100, 0.25)),
        ((100, 1.25), (101, 0.25)),
        ((100, -0.25), (99, 0.75)),
        ((100.5, 0.25), (100, 0.75)),
        ((0, 0), (0, 0.0)),
        ((1, -1e-20), (1, 0.0)),  # no fraction of a whole second
        ((0, -0.5), None),
        ((-1, 0.0), None),
        ((math.nan, 0.0), None),
        ((0, math.inf), None),
        ((UNIX_TIME_UNTIL_S, 0.0), None),
        ((2**63, 0.0), None),
        (("1", 0.0), None),
        ((True, 0.0), None),
        ((None, None), None),
    ],
)
def test_times(told, time):
    assert receiver_time(*told) == time


def test_a_clock_that_nobody_set_tells_no_unix_time():
    assert unix_time_s(12, 0.5) is None
    assert unix_time_s(1_700_000_000, 0.5) == 1_700_000_000.5
