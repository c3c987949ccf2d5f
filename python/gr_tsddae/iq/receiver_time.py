# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver's time (`rx_time`): whole seconds and a fraction, which one double cannot hold."""

import math
from typing import Any

UNIX_TIME_FROM_S = 1e9  # 2001: what is earlier is a receiver's time since it was switched on
UNIX_TIME_UNTIL_S = 2.5e11  # calendars of computers end with the year 9999


def receiver_time(whole: Any, part: Any) -> tuple[int, float] | None:
    """Check a time, and carry whole seconds out of the fraction.

    Returns:
        Whole seconds, and a fraction from 0 up to 1. None when these are no finite numbers, or
        when the time is negative or no calendar holds it.
    """
    for value in (whole, part):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if not abs(value) < UNIX_TIME_UNTIL_S:  # NaN is refused, too
            return None
    whole_s = math.floor(whole)
    part_s = (whole - whole_s) + part
    carry_s = math.floor(part_s)
    whole_s, part_s = whole_s + carry_s, float(part_s - carry_s)
    if part_s == 1.0:  # the fraction was below 0 by less than a double resolves
        whole_s, part_s = whole_s + 1, 0.0
    return (whole_s, part_s) if 0 <= whole_s < UNIX_TIME_UNTIL_S else None


def unix_time_s(whole_s: float, part_s: float) -> float | None:
    """Add whole seconds and fraction; None for the time of a clock that nobody has set."""
    return float(whole_s) + float(part_s) if whole_s >= UNIX_TIME_FROM_S else None
