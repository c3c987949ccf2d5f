# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulse shapes as functions of time in symbols, for any real sample timing."""

import math

import torch


def root_raised_cosine(time_symbols: torch.Tensor, rolloff: float) -> torch.Tensor:
    """Evaluate the root-raised-cosine pulse of unit energy per symbol.

    Args:
        time_symbols: time from the pulse's centre in symbols, any shape.
        rolloff: excess bandwidth, above 0 and at most 1.

    Returns:
        p(t), same shape; integral of p^2 over t is 1.
    """
    t = time_symbols
    # The closed form is 0/0 at t = 0 and |t| = 1/(4 rolloff); a nudge of 1e-4 symbols leaves
    # an error below 1e-4 and no special cases.
    t = torch.where(t.abs() < 1e-4, torch.full_like(t, 1e-4), t)
    edge = 1 / (4 * rolloff)
    t = torch.where((t.abs() - edge).abs() < 1e-4, t + 2e-4, t)
    numerator = torch.sin(math.pi * t * (1 - rolloff)) + 4 * rolloff * t * torch.cos(
        math.pi * t * (1 + rolloff)
    )
    return numerator / (math.pi * t * (1 - (4 * rolloff * t).square()))


def gaussian_frequency(time_symbols: torch.Tensor, bandwidth_time: float) -> torch.Tensor:
    """Evaluate the frequency pulse of GFSK: a one-symbol rectangle through a Gaussian filter.

    Args:
        time_symbols: time from the middle of the symbol, in symbols, any shape.
        bandwidth_time: BT, the filter's 3 dB bandwidth times the symbol time.

    Returns:
        g(t), same shape; its integral over t is 1.
    """
    # Standard deviation of the Gaussian impulse response, in symbols.
    sigma = math.sqrt(math.log(2)) / (2 * math.pi * bandwidth_time)
    scale = 1 / (sigma * math.sqrt(2))
    return 0.5 * (torch.erf((time_symbols + 0.5) * scale) - torch.erf((time_symbols - 0.5) * scale))
