# SPDX-License-Identifier: GPL-3.0-or-later
"""Random values for a batch of windows: one value, or one row of values, per window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

SOURCE_SAMPLES = 4096  # N: of a transmission, before the receiver cuts a window out of it
MOST_WINDOW_SAMPLES = 1024  # L: of a window, which the receiver draws at a lower sample rate


@dataclass(frozen=True)
class Dice:
    """Draws values for `batch` windows on the device of its generator.

    Attributes:
        batch: B.
        generator: source of all randomness.
        together: so many rows in turn are windows of one emission. They share what is one value
            per row: transmitter, channel, receiver, errors of measurement. B is a multiple of it.
    """

    batch: int
    generator: torch.Generator
    together: int = 1

    @property
    def device(self) -> torch.device:
        return self.generator.device

    def uniform(self, low: float = 0.0, high: float = 1.0, count: int = 1) -> torch.Tensor:
        """Draw (B, count) values from `low` to `high`."""
        rows, times = self._rows(count)
        share = torch.rand(rows, count, generator=self.generator, device=self.device)
        return low + (high - low) * share.repeat_interleave(times, 0)

    def log_uniform(self, low: float, high: float, count: int = 1) -> torch.Tensor:
        """Draw (B, count) values whose logarithm is uniform."""
        return self.uniform(math.log(low), math.log(high), count).exp()

    def chance(self, share: float, count: int = 1) -> torch.Tensor:
        """Draw (B, count) truths; `share` of them hold."""
        return self.uniform(count=count) < share

    def pick(self, values: Sequence[float], count: int = 1) -> torch.Tensor:
        """Draw (B, count) of the given values, all alike."""
        index = self.integers(len(values), count)
        return torch.tensor(values, dtype=torch.float32, device=self.device)[index]

    def integers(self, stop: int, count: int) -> torch.Tensor:
        """Draw (B, count) integers from 0 to stop - 1."""
        rows, times = self._rows(count)
        drawn = torch.randint(stop, (rows, count), generator=self.generator, device=self.device)
        return drawn.repeat_interleave(times, 0)

    def normal(self, count: int) -> torch.Tensor:
        """Draw (B, count) real Gaussian values of unit power."""
        return torch.randn(self.batch, count, generator=self.generator, device=self.device)

    def complex_normal(self, count: int) -> torch.Tensor:
        """Draw (B, count) circular Gaussian values of unit power."""
        return torch.randn(
            self.batch, count, dtype=torch.complex64, generator=self.generator, device=self.device
        )

    def samples(self, count: int = SOURCE_SAMPLES) -> torch.Tensor:
        """Number the samples of a row: float (count,)."""
        return torch.arange(count, device=self.device, dtype=torch.float32)

    def like(self, batch: int) -> Dice:
        """Give dice of the same generator for another number of windows."""
        return Dice(batch, self.generator, self.together)

    def _rows(self, count: int) -> tuple[int, int]:
        """Tell how many rows of values are drawn, and for how many windows each of them counts."""
        times = self.together if count == 1 else 1
        return self.batch // times, times


@dataclass(frozen=True)
class Transmission:
    """What transmitters of one class send, before any receiver.

    Attributes:
        iq: complex64 (B, N), any power, near 0 Hz, 5 to 11 times oversampled.
        bandwidth: occupied bandwidth in cycles per sample, (B, 1), where that of the whole emission
            is known and a stretch of N samples would not tell it; else None, and it is measured.
        varies: whether stretches occupy less than the whole emission, and may be measured so.
        narrowest: least share of its bandwidth that a survey measures: where the strong middle of
            a spectrum is narrow, weak sides sink into the floor.
        bursts: whether transmitters of the class send bursts whose edges a window may hold.
        wide: whether its band is so wide that echoes cut notches into it.
    """

    iq: torch.Tensor
    bandwidth: torch.Tensor | None = None
    varies: bool = False
    narrowest: float = 1.0
    bursts: bool = True
    wide: bool = False


def phase_of(frequency: torch.Tensor) -> torch.Tensor:
    """Turn a carrier by `frequency` cycles per sample, real (B, N): complex64 (B, N)."""
    # The running sum is kept near zero, where single precision has its digits.
    turns = frequency.double().cumsum(1).remainder(1.0).float()
    return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)


def smooth(rows: torch.Tensor, deviation_samples: torch.Tensor) -> torch.Tensor:
    """Filter real rows (B, N) by a Gaussian of a standard deviation in samples, (B, 1)."""
    frequency = torch.fft.rfftfreq(rows.shape[1], device=rows.device)
    response = torch.exp(-2 * (math.pi * frequency * deviation_samples).square())
    return torch.fft.irfft(torch.fft.rfft(rows) * response, n=rows.shape[1])
