# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM symbols for a batch of windows, and what a sender hands to the receiver."""

from dataclasses import dataclass

import torch

from gr_tsddae.synth.air.dice import Dice


@dataclass(frozen=True)
class Sent:
    """What transmitters send, before any receiver.

    Attributes:
        iq: complex64 (B, N), any power.
        rate_hz: sample rate of `iq`, (B, 1).
        bandwidth_hz: occupied by the whole emission, of which `iq` may hold a part, (B, 1).
        centre_hz: middle of the emission, from 0 Hz of `iq`, (B, 1).
        gated: share of windows in which a burst may begin or end, beside those of `iq` itself.
        whole: least share of the bandwidth that a receiver lets pass.
    """

    iq: torch.Tensor
    rate_hz: torch.Tensor
    bandwidth_hz: torch.Tensor
    centre_hz: torch.Tensor
    gated: float = 0.0
    whole: float = 0.0


def carriers(useful: int, dice: Dice) -> torch.Tensor:
    """Number the bins of a DFT of `useful` samples, 0 in the middle of the band: float (M,)."""
    return torch.fft.fftfreq(useful, 1 / useful, device=dice.device)


def square_qam(side: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw square-QAM symbols of unit mean energy; `side` holds points per axis, 1 is BPSK."""
    drawn = torch.rand(2, *side.shape, generator=dice.generator, device=dice.device)
    steps = torch.floor(drawn * side.clamp(min=2)) * 2 - (side.clamp(min=2) - 1)
    scale = (2 * (side.clamp(min=2).square() - 1) / 3).sqrt()
    points = torch.complex(steps[0], steps[1]) / scale
    return torch.where(side > 1, points, steps[0].sign().to(points.dtype))


def signs(shape: tuple[int, ...], dice: Dice) -> torch.Tensor:
    """Draw +1 and -1."""
    return 2.0 * torch.randint(2, shape, generator=dice.generator, device=dice.device) - 1


def shares(shape: tuple[int, ...], dice: Dice) -> torch.Tensor:
    """Draw values from 0 to 1."""
    return torch.rand(shape, generator=dice.generator, device=dice.device)


def stream(grid: torch.Tensor, prefix: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Send symbols with cyclic prefixes one after the other, from a moment within the first on.

    Args:
        grid: carriers, complex (B, S, M), in the DFT's order.
        prefix: of each symbol, in samples, whole numbers, (B, S).
        dice: of the batch.

    Returns:
        complex64 (B, N). S symbols must be longer than N samples and a symbol.
    """
    useful = grid.shape[2]
    body = torch.fft.ifft(grid)
    length = prefix + useful
    end = length.cumsum(1)
    first = torch.floor(dice.uniform() * length[:, :1])
    place = (dice.samples() + first).contiguous()
    symbol = torch.searchsorted(end.contiguous(), place, right=True).clamp(max=grid.shape[1] - 1)
    within = place - (end - useful).gather(1, symbol)  # below 0 in the prefix
    index = symbol * useful + within.long().remainder(useful)
    return body.flatten(1).gather(1, index)
