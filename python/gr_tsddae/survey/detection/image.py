# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver's mirror image, which it adds at -f of all that is sent at f: its I and Q differ."""

from __future__ import annotations

import numpy as np
from scipy import fft

FRAMES = 48  # spread over the samples
MOST_IMAGE = 0.2  # in amplitude: -14 dB; what mirrors itself better is real, or sent so
LEAST_SIGMAS = 6.0  # of chance
LEAST_BINS = 4  # from 0 Hz, where a real emission is its own mirror
AGREEING = 0.5  # of the weight of all bins, that must show about the same image


def image_of(samples: np.ndarray, size: int) -> complex:
    """The amplitude of the mirror image against its original.

    x(f) x(-f) has a mean only where one of both is a part of the other. Every bin tells the same of
    a receiver; a real emission about 0 Hz is told from it, since the bins beside it do not agree.

    Args:
        samples: complex64 (N,), without DC.
        size: samples per frame.

    Returns:
        a, so that x - a x* has none; 0 where none is seen.
    """
    step = max(size, (len(samples) - size) // (FRAMES - 1) // size * size)
    starts = range(0, len(samples) - size + 1, step)
    if len(starts) < FRAMES // 2:
        return 0j
    window = np.hanning(size).astype(np.float32)
    spectrum = fft.fft(np.stack([samples[at : at + size] for at in starts]) * window, axis=1)
    up = spectrum[:, LEAST_BINS : size // 2]
    down = spectrum[:, -LEAST_BINS : -(size // 2) : -1]
    product = np.sum(up * down, axis=0)
    powers = [np.square(side.real) + np.square(side.imag) for side in (up, down)]
    power = np.sum(powers[0] + powers[1], axis=0)
    # The variance of the product without an image.
    chance = np.sum(powers[0] * powers[1], axis=0)
    weight = np.square(power) / np.maximum(chance, 1e-30)
    each = product / np.maximum(power, 1e-30)
    total = float(weight.sum())
    if not total > 0:
        return 0j
    image = complex(_median(each.real, weight), _median(each.imag, weight))
    apart = np.maximum(3 / np.sqrt(np.maximum(weight, 1e-30)), 0.3 * abs(image))
    near = np.abs(each - image) < apart
    agreeing = float(weight[near].sum())
    if abs(image) > MOST_IMAGE or agreeing < AGREEING * total:
        return 0j
    image = complex((each[near] * weight[near]).sum() / agreeing)
    return image if abs(image) * np.sqrt(agreeing) > LEAST_SIGMAS else 0j


def _median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
