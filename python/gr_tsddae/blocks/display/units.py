# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times as people read them."""

from __future__ import annotations

import math
from datetime import datetime, timezone


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
