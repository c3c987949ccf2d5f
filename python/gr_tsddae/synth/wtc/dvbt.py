# SPDX-License-Identifier: GPL-3.0-or-later
"""DVB-T: 2K and 8K modes, scattered and continual pilots, all guard intervals (EN 300 744)."""

import torch

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.technologies import (
    DVBT_CARRIERS,
    DVBT_CONTINUAL,
    DVBT_PILOT_BOOST,
    pilot_signs,
)
from gr_tsddae.synth.wtc.symbols import Sent, carriers, square_qam, stream

CHANNELS_MHZ = (8, 8, 8, 8, 7, 6)
GUARDS = (1 / 4, 1 / 8, 1 / 16, 1 / 32)


def dvbt(dice: Dice) -> Sent:
    """Send a multiplex; half of the rows in the 8K mode, half in the 2K mode.

    Receivers let nearly all of it pass: a part of it without its edges looks like noise.
    """
    long = dice.chance(0.5).squeeze(1)
    rate_hz = dice.pick(CHANNELS_MHZ) * 8e6 / 7
    iq = torch.empty(dice.batch, SOURCE_SAMPLES, dtype=torch.complex64, device=dice.device)
    bandwidth_hz = torch.empty_like(rate_hz)
    for useful, rows in ((8192, long), (2048, ~long)):
        if not rows.any():
            continue
        iq[rows] = _multiplex(useful, dice.like(int(rows.sum())))
        bandwidth_hz[rows] = DVBT_CARRIERS[useful] / useful * rate_hz[rows]
    return Sent(iq, rate_hz, bandwidth_hz, torch.zeros_like(rate_hz), whole=0.97)


def _multiplex(useful: int, dice: Dice) -> torch.Tensor:
    """Draw a stretch of one mode, (B, N)."""
    count, symbols = DVBT_CARRIERS[useful], SOURCE_SAMPLES // useful + 2
    bins = carriers(useful, dice)
    number = bins + count // 2  # of the carrier, (M,)
    held = (number >= 0) & (number < count)
    known = number.long().clamp(0, count - 1)
    side = dice.pick((2, 4, 8, 8))[:, :, None].expand(-1, symbols, useful)
    phase = torch.arange(symbols, device=dice.device) + dice.integers(4, 1)
    pilot = (number - 3 * (phase % 4)[:, :, None]).remainder(12) == 0
    continual = torch.tensor(DVBT_CONTINUAL, device=dice.device)
    pilot = pilot | torch.isin(known % 1704, continual)
    sign = pilot_signs(count).to(dice.device)[known].to(torch.complex64)
    grid = torch.where(pilot, DVBT_PILOT_BOOST * sign, square_qam(side, dice)) * held
    prefix = torch.round(dice.pick(GUARDS) * useful).long().expand(-1, symbols)
    return stream(grid, prefix, dice)
