# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that TS-Net's two encoders see of a window.

The paper's network sees the samples and their spectrum. Products of samples, which the first layers
of a small network cannot make, may be added. In the spectra of |x|^2, x^2 and x^4, the symbol rate
and the carrier of most digital modulations stand out as lines (W. A. Gardner, Signal interception:
a unifying theoretical framework for feature detection, IEEE Trans. Commun. 36-8, 1988). In the
autocorrelation, OFDM stands out at the useful length of its symbols, which a cyclic prefix repeats,
and at the inverse of the spacing of its pilots.
"""

import math
from collections.abc import Callable

import torch

from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.tsnet.config import TSNetConfig

TIME_ROWS = 2  # derived: envelope, sine of the phase step
SPECTRUM_ROWS = 4  # derived: of x, |x|^2, x^2 and x^4, logarithmic
WAVES = 6  # lags: so many octaves of sine and cosine tell where in the window a row is
LEAST_POWER = 0.1  # of a bin, where the mean is about 1: what lies below is no line
TINY = 1e-12


def time_rows(config: TSNetConfig) -> int:
    """Count the rows in time that a network sees."""
    return 2 + config.derived * TIME_ROWS + config.lags * (1 + 2 * WAVES)


def spectrum_rows(config: TSNetConfig) -> int:
    """Count the rows in frequency that a network sees."""
    return 2 + config.derived * SPECTRUM_ROWS


def rows_of(
    config: TSNetConfig,
    rows: torch.Tensor,
    transform: Callable[[torch.Tensor], torch.Tensor] = spectrum,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make the rows for both encoders.

    Args:
        config: of the network.
        rows: scaled windows, float32 (B, 2, L).
        transform: `iq.windows.spectrum`, or another way to compute the same.

    Returns:
        Rows in time, float32 (B, `time_rows`, L), and in frequency, (B, `spectrum_rows`, L).
    """
    transformed = transform(rows)
    if not (config.derived or config.lags):
        return rows, transformed
    time, frequency = [rows], [transformed]
    if config.derived:
        more_time, more_frequency = _derived(rows, transformed, transform)
        time, frequency = time + more_time, frequency + more_frequency
    if config.lags:
        time += [_lags(transformed, transform), _places(rows)]
    return torch.cat(time, 1), torch.cat(frequency, 1)


def _derived(
    rows: torch.Tensor,
    transformed: torch.Tensor,
    transform: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Make envelope and phase step, and the levels of the spectra of powers."""
    power = rows.square().sum(1, keepdim=True)  # (B, 1, L)
    envelope = (power + TINY).sqrt()
    unit = rows / envelope
    before = torch.cat((unit[:, :, :1], unit[:, :, :-1]), 2)
    # The imaginary part of x[n] x*[n-1] / |...|: at four times the bandwidth, steps are small.
    step = unit[:, 1:] * before[:, :1] - unit[:, :1] * before[:, 1:]  # (B, 1, L)
    swing = power - power.mean(2, keepdim=True)
    lines = [transformed, transform(torch.cat((swing, torch.zeros_like(swing)), 1))]
    # x^2/|x| and x^4/|x|^3: peaks and noise spikes weigh no more than in x itself.
    squared = _doubled(unit)
    lines += [transform(envelope * squared), transform(envelope * _doubled(squared))]
    return [envelope, step], [_level(line) for line in lines]


def _lags(
    transformed: torch.Tensor, transform: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Level of the circular autocorrelation, over the lag in samples: (B, 1, L)."""
    density = transformed.square().sum(1, keepdim=True)
    return _level(transform(torch.cat((density, torch.zeros_like(density)), 1)))


def _places(rows: torch.Tensor) -> torch.Tensor:
    """Waves over the window: the encoders alone know distances, and no lag or place: (B, W, L)."""
    count = rows.shape[2]
    octave = 2.0 ** torch.arange(WAVES, device=rows.device)[:, None]
    turn = math.pi / count * octave * torch.arange(count, device=rows.device)
    waves = torch.cat((turn.sin(), turn.cos())).to(rows.dtype)
    return waves.expand(rows.shape[0], -1, -1)  # len(rows) would be a constant where it is traced


def _level(row: torch.Tensor) -> torch.Tensor:
    """Logarithm of the power of complex rows: (B, 2, L) -> (B, 1, L)."""
    return (row.square().sum(1, keepdim=True) + LEAST_POWER).log()


def _doubled(unit: torch.Tensor) -> torch.Tensor:
    """Square complex rows: (B, 2, L) -> (B, 2, L)."""
    real, imaginary = unit[:, :1], unit[:, 1:]
    return torch.cat((real.square() - imaginary.square(), 2 * real * imaginary), 1)
