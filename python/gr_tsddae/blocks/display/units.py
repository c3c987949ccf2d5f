# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times as people read them."""

from __future__ import annotations

import math
from datetime import datetime, timezone

TICKS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def si(value: float, unit: str, digits: int = 4) -> str:
    """Write a number with its prefix, to so many significant digits: 2.4 MS/s."""
    power = min(max(int(math.log10(abs(value)) // 3), 0), 3) if value else 0
    return f"{float(f'{value / 1000**power:.{digits}g}'):,.10g} {('', 'k', 'M', 'G')[power]}{unit}"


def utc(time_s: float, pattern: str) -> str:
    """Write Unix seconds as text; a number that is no date stays a number."""
    try:
        return datetime.fromtimestamp(time_s, timezone.utc).strftime(pattern)
    except (ValueError, OverflowError, OSError):
        return f"{time_s:.0f} s"
