# SPDX-License-Identifier: GPL-3.0-or-later
"""Which times of a receiver are times of day."""

from __future__ import annotations

UNIX_TIME_FROM_S = 1e9  # 2001: what is earlier is a receiver's time since it was switched on
UNIX_TIME_UNTIL_S = 2.5e11  # calendars of computers end with the year 9999
