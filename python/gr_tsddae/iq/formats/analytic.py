# SPDX-License-Identifier: GPL-3.0-or-later
"""Real samples as complex ones: the analytic signal, which has no negative frequencies."""

from __future__ import annotations

import numpy as np

MARGIN_SAMPLES = 128
"""Samples before and after a slice that its analytic signal depends on."""


def analytic(real: np.ndarray) -> np.ndarray:
    """Add the Hilbert transform as imaginary part, by a filter that is the same for every slice.

    A tone keeps its amplitude and its frequency. Within one hundredth of the sample rate of 0 Hz
    and of half the sample rate, its image at the negative frequency is not fully suppressed.

    Args:
        real: float32 (count + 2 * MARGIN_SAMPLES,).

    Returns:
        complex64 (count,), without the margins.
    """
    from scipy.signal import oaconvolve

    distance = np.arange(-MARGIN_SAMPLES, MARGIN_SAMPLES + 1)
    taps = np.zeros(len(distance))
    odd = distance % 2 == 1
    taps[odd] = 2 / (np.pi * distance[odd])
    taps *= np.kaiser(len(taps), 6.0)  # 60 dB
    iq = real[MARGIN_SAMPLES:-MARGIN_SAMPLES].astype(np.complex64)
    iq.imag = oaconvolve(real.astype(np.float64), taps, mode="valid")
    return iq
