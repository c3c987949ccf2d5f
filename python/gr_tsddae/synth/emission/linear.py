# SPDX-License-Identifier: GPL-3.0-or-later
"""Phase and amplitude keying through a root-raised-cosine pulse."""

from collections.abc import Callable

import numpy as np
import torch
from scipy import signal

from gr_tsddae.synth.emission.parts import Draw
from gr_tsddae.synth.modulators_2018 import ALPHABETS
from gr_tsddae.synth.pulses import root_raised_cosine

SAMPLES_PER_SYMBOL = 4
SPAN_SYMBOLS = 24
ROLLOFF = (0.15, 0.5)
_POINTS = {"QAM16": "16QAM", "QAM64": "64QAM"}

Drawn = tuple[np.ndarray, float, dict]


def _pulse(rolloff: float, delay_symbols: float = 0.0) -> np.ndarray:
    half = SPAN_SYMBOLS // 2 * SAMPLES_PER_SYMBOL
    times = torch.arange(-half, half + 1, dtype=torch.float64) / SAMPLES_PER_SYMBOL - delay_symbols
    return root_raised_cosine(times, rolloff).numpy()


def _shape(points: np.ndarray, pulse: np.ndarray, count: int) -> np.ndarray:
    run_in = len(pulse) // 2
    return signal.upfirdn(pulse, points, up=SAMPLES_PER_SYMBOL)[run_in : run_in + count]


def _settings(draw: Draw) -> tuple[float, float, float, int]:
    rolloff = float(draw.rng.uniform(*ROLLOFF))
    symbol_rate_hz = draw.bandwidth_hz(1500, 600e3) / (1 + 0.55 * rolloff)  # 99 % of the power
    rate_hz = symbol_rate_hz * SAMPLES_PER_SYMBOL
    return symbol_rate_hz, rolloff, rate_hz, draw.samples(rate_hz)


def keyed(label: str) -> Callable[[Draw], Drawn]:
    """PSK or QAM with the points of `label`."""
    alphabet = ALPHABETS[_POINTS.get(label, label)].numpy()

    def make(draw: Draw) -> Drawn:
        symbol_rate_hz, rolloff, rate_hz, count = _settings(draw)
        points = alphabet[draw.symbols(symbol_rate_hz, len(alphabet))]
        iq = _shape(points, _pulse(rolloff), count)
        return iq, rate_hz, {"symbol_rate_hz": symbol_rate_hz, "rolloff": rolloff}

    return make


def oqpsk(draw: Draw) -> Drawn:
    """QPSK whose quadrature comes half a symbol later."""
    symbol_rate_hz, rolloff, rate_hz, count = _settings(draw)
    rows = [
        _shape(2.0 * draw.symbols(symbol_rate_hz, 2) - 1, _pulse(rolloff, delay), count)
        for delay in (0.0, 0.5)
    ]
    return rows[0] + 1j * rows[1], rate_hz, {"symbol_rate_hz": symbol_rate_hz, "rolloff": rolloff}


def quarter_pi_dqpsk(draw: Draw) -> Drawn:
    """Differential QPSK that turns by an odd multiple of 45 degrees at every symbol."""
    symbol_rate_hz, rolloff, rate_hz, count = _settings(draw)
    turns = np.cumsum(2 * draw.symbols(symbol_rate_hz, 4) + 1)
    iq = _shape(np.exp(0.25j * np.pi * turns), _pulse(rolloff), count)
    return iq, rate_hz, {"symbol_rate_hz": symbol_rate_hz, "rolloff": rolloff}
