# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a waterfall, from the spectra that a survey makes anyway."""

from collections.abc import Iterator

import numpy as np

MOST_BINS = 1024
ROW_S = 0.05  # of the stream, at least
LEAST_POWER = 1e-20


def rows(frames: np.ndarray, hop_s: float) -> Iterator[tuple[int, int, np.ndarray]]:
    """Average spectra to rows that a display can take.

    Args:
        frames: float32 (T, F), power per bin, lowest frequency first; F is a power of two.
        hop_s: from one spectrum to the next.

    Yields:
        First frame and count of frames of each row, and the row: float32 (at most MOST_BINS,), in
        dB. Where several bins become one, it is the highest of them: a carrier stays visible.
    """
    count = min(len(frames), max(1, int(len(frames) * hop_s / ROW_S)))
    for part in np.array_split(np.arange(len(frames)), count):
        power = frames[part[0] : part[-1] + 1].mean(0)
        power = power.reshape(min(MOST_BINS, len(power)), -1).max(1)
        yield int(part[0]), len(part), 10 * np.log10(np.maximum(power, LEAST_POWER))
