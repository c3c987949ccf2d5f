# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians, quantiles and runs of short lines: NumPy's own cost much more there."""

from __future__ import annotations

import numpy as np


def median(line: np.ndarray) -> float:
    """Median of numbers, (n,), of which there is one at least."""
    line = np.sort(line)
    upper = len(line) // 2
    return float(line[upper] if len(line) % 2 else 0.5 * (line[upper - 1] + line[upper]))


def quantiles(line: np.ndarray, *shares: float) -> list[float]:
    """Quantiles of numbers, (n,), at shares between 0 and 1; linear between neighbours."""
    line = np.sort(line)
    found = []
    for share in shares:
        at = share * (len(line) - 1)
        low = min(int(at), len(line) - 2) if len(line) > 1 else 0
        first, second = float(line[low]), float(line[min(low + 1, len(line) - 1)])
        found.append(first + (second - first) * (at - low))
    return found


def runs(flags: np.ndarray, gap: int = 0) -> list[tuple[int, int]]:
    """[start, stop) of runs of True in bool (n,); gaps of up to `gap` count as True."""
    padded = np.zeros(len(flags) + 2, bool)
    padded[1:-1] = flags
    edges = (padded[1:] != padded[:-1]).nonzero()[0].tolist()
    found = list(zip(edges[::2], edges[1::2], strict=True))
    if not gap:
        return found
    joined = found[:1]
    for start, stop in found[1:]:
        if start - joined[-1][1] <= gap:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined
