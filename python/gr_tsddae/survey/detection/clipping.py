# SPDX-License-Identifier: GPL-3.0-or-later
"""What the converter's clipping adds to a spectrum: intermodulation, which nobody sends."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

LEAST_SHARE = 1e-3  # of the samples that are as large as any
MOST_SHARE = 0.6  # that are clipped again
BLOCK_SAMPLES = 1024
SHARE_AGAIN = 2.0  # times as many samples are clipped again
MARGIN = 3.0  # in amplitude, by which more may have been clipped away than is seen
SMOOTH_FRAMES, SMOOTH_BINS = 5, 3


def clipping_of(samples: np.ndarray) -> np.ndarray | None:
    """About what clipping has added to samples; None where they are not clipped.

    What is gone is not known. But clipping what is left once more, a little lower, adds about the
    same again, at the same frequencies.

    Args:
        samples: complex64 (N,), as the converter gave them.

    Returns:
        complex64 (N,), rather too much than too little.
    """
    parts = np.abs(samples.view(np.float32))
    highest = parts.max(initial=0)
    if not highest > 0:
        return None
    share = float(np.mean(parts >= 0.995 * highest))
    if share < LEAST_SHARE:
        return None
    share = min(MOST_SHARE, SHARE_AGAIN * share)
    lower = float(np.quantile(parts[:: max(1, len(parts) // 65536)], 1 - share))
    line = samples.view(np.float32)
    added = (MARGIN * (line - np.clip(line, -lower, lower))).view(np.complex64)
    # What is like the samples themselves is only a loss of gain (Bussgang's theorem).
    kept = len(samples) // BLOCK_SAMPLES * BLOCK_SAMPLES
    if kept:
        added = added[:kept].reshape(-1, BLOCK_SAMPLES)
        sent = samples[:kept].reshape(-1, BLOCK_SAMPLES)
        gain = np.einsum("ij,ij->i", added, sent.conj()) / np.maximum(
            np.einsum("ij,ij->i", sent, sent.conj()).real, 1e-30
        )
        added = (added - gain[:, None].astype(np.complex64) * sent).ravel()
    return np.pad(added, (0, len(samples) - len(added)))


def smoothed(power: np.ndarray) -> np.ndarray:
    """Power frames (T, F) of what may have been added, without the gaps that chance leaves."""
    if not power.size:
        return power
    # Row by row: SciPy's filter takes ten times as long across rows.
    reach = SMOOTH_FRAMES // 2
    padded = np.pad(power, ((reach, reach), (0, 0)), mode="edge")
    total = sum(padded[first : first + len(power)] for first in range(SMOOTH_FRAMES))
    return ndimage.uniform_filter1d(total / SMOOTH_FRAMES, SMOOTH_BINS, axis=1, mode="nearest")
