# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM of any numerology: cyclic prefix, empty middle carrier, guard carriers, pilots."""

import numpy as np
from scipy import fft

from gr_tsddae.synth.emission.parts import Draw
from gr_tsddae.synth.modulators_2018 import ALPHABETS


def ofdm(draw: Draw) -> tuple[np.ndarray, float, dict]:
    """Symbols with QPSK, 16QAM or 64QAM on every used carrier and constant pilots on some."""
    rng = draw.rng
    size = int(2 ** rng.integers(6, 11))  # carriers of the transform, guards among them
    used = 2 * round(size * rng.uniform(0.35, 0.42))
    bandwidth_hz = draw.bandwidth_hz(60e3, 1.5e6)
    spacing_hz = bandwidth_hz / used
    oversampling = 2
    points = size * oversampling
    rate_hz = spacing_hz * points
    prefix = int(points * (1 / 4, 1 / 8, 1 / 16)[rng.integers(3)])
    count = draw.samples(rate_hz)
    symbols = -(-count // (points + prefix)) + 1
    alphabet = ALPHABETS[("QPSK", "16QAM", "64QAM")[rng.integers(3)]].numpy()
    carriers = np.r_[-used // 2 : 0, 1 : used // 2 + 1]
    grid = np.zeros((symbols, points), np.complex64)
    data = alphabet[rng.integers(0, len(alphabet), (symbols, used))]
    data[:, :: int(rng.integers(6, 13))] = 1.0
    grid[:, carriers] = data
    body = fft.ifft(grid, axis=1)
    iq = np.concatenate((body[:, -prefix:], body), axis=1).ravel()[:count]
    truth = {
        "useful_s": 1 / spacing_hz,
        "prefix_s": prefix / rate_hz,
        "carriers": used,
        "symbol_rate_hz": None,
    }
    return iq, rate_hz, truth
