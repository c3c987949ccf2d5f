# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that TS-Net's two encoders see of a window.

The paper's network sees the samples and their spectrum. Products of samples, which the first layers
of a small network cannot make, may be added. In the spectra of |x|^2, x^2 and x^4, the symbol rate
and the carrier of most digital modulations stand out as lines (W. A. Gardner, Signal interception:
a unifying theoretical framework for feature detection, IEEE Trans. Commun. 36-8, 1988).
"""

from collections.abc import Callable

import torch

from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.tsnet.config import TSNetConfig

TIME_ROWS = 2  # derived: envelope, sine of the phase step
SPECTRUM_ROWS = 4  # derived: of x, |x|^2, x^2 and x^4, logarithmic
LEAST_POWER = 0.1  # of a bin, where the mean is about 1: what lies below is no line
TINY = 1e-12


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
        Rows in time, float32 (B, 2 or 4, L), and in frequency, (B, 2 or 6, L).
    """
    spectrum_rows = transform(rows)
    if not config.derived:
        return rows, spectrum_rows
    power = rows.square().sum(1, keepdim=True)  # (B, 1, L)
    envelope = (power + TINY).sqrt()
    unit = rows / envelope
    before = torch.cat((unit[:, :, :1], unit[:, :, :-1]), 2)
    # The imaginary part of x[n] x*[n-1] / |...|: at four times the bandwidth, steps are small.
    step = unit[:, 1:] * before[:, :1] - unit[:, :1] * before[:, 1:]  # (B, 1, L)
    swing = power - power.mean(2, keepdim=True)
    lines = [spectrum_rows, transform(torch.cat((swing, torch.zeros_like(swing)), 1))]
    # x^2/|x| and x^4/|x|^3: peaks and noise spikes weigh no more than in x itself.
    squared = _doubled(unit)
    lines += [transform(envelope * squared), transform(envelope * _doubled(squared))]
    levels = [(line.square().sum(1, keepdim=True) + LEAST_POWER).log() for line in lines]
    return torch.cat((rows, envelope, step), 1), torch.cat((spectrum_rows, *levels), 1)


def _doubled(unit: torch.Tensor) -> torch.Tensor:
    """Square complex rows: (B, 2, L) -> (B, 2, L)."""
    real, imaginary = unit[:, :1], unit[:, 1:]
    return torch.cat((real.square() - imaginary.square(), 2 * real * imaginary), 1)
