# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modulators of all classes share."""

from dataclasses import dataclass

import numpy as np
from scipy import fft, signal


@dataclass(frozen=True)
class Draw:
    """What is asked of a modulator.

    Attributes:
        rng: source of all randomness.
        seconds: how long the emission lasts.
        wanted_hz: bandwidth it should have; a modulator draws one where None.
    """

    rng: np.random.Generator
    seconds: float
    wanted_hz: float | None = None

    def samples(self, rate_hz: float) -> int:
        """Samples that cover the emission."""
        return max(64, round(self.seconds * rate_hz))

    def bandwidth_hz(
        self, low_hz: float, high_hz: float, *, odd_one_out: tuple[float, float] | None = None
    ) -> float:
        """The bandwidth asked for; else log-uniform, in half of all cases from `odd_one_out`."""
        if self.wanted_hz is not None:
            return self.wanted_hz
        if odd_one_out and self.rng.random() < 0.5:
            low_hz, high_hz = odd_one_out
        return float(low_hz * (high_hz / low_hz) ** self.rng.random())

    def symbols(self, symbol_rate_hz: float, alphabet: int) -> np.ndarray:
        """Random symbols, int (S,), that cover the emission and a little more."""
        return self.rng.integers(0, alphabet, int(np.ceil(self.seconds * symbol_rate_hz)) + 16)


def at_rate(samples: np.ndarray, old_hz: float, new_hz: float, count: int) -> np.ndarray:
    """Resample real or complex (N,) by its DFT and cut or pad it to `count` samples."""
    # Of the lengths to pad to, the one at which the new length is nearest to a whole number.
    lengths = np.arange(len(samples) + 64, len(samples) + 320)
    exact = lengths * (new_hz / old_hz)
    old = int(lengths[np.abs(exact - np.rint(exact)).argmin()])
    new = round(old * new_hz / old_hz)
    resized = signal.resample(np.pad(samples, (0, old - len(samples))), new)[:count]
    return np.pad(resized, (0, count - len(resized)))


def occupied(samples: np.ndarray, rate_hz: float) -> tuple[float, float]:
    """Edges in Hz that leave half a per cent of the power on either side (ITU-R SM.328)."""
    size = min(len(samples), 1 << 15)
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    window = np.blackman(size) if len(pieces) > 1 else np.ones(size)
    power = (np.abs(fft.fft(pieces * window, axis=1)) ** 2).sum(0)
    power = np.cumsum(fft.fftshift(power))
    steps_hz = (np.arange(size) + 0.5 - size // 2) * rate_hz / size
    low, high = np.interp([0.005, 0.995], power / power[-1], steps_hz)
    return float(low), float(high)
