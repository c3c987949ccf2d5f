# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE downlinks: resource blocks, control, reference and synchronisation signals (TS 36.211)."""

import math

import torch

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.wtc.symbols import Sent, carriers, shares, signs, square_qam, stream

SPACING_HZ = 15e3
USEFUL = 1024  # samples of a symbol: 15.36 MS/s, the middle of 20 MHz or another part of it
BLOCKS = (6, 15, 25, 50, 75, 100)  # resource blocks of 1.4 to 20 MHz
SYMBOLS = SOURCE_SAMPLES // (USEFUL + 72) + 3
VIEW_CARRIERS = 340  # either side of the receiver's centre, at least, belong to the cell
ALLOCATED = 3  # resource blocks are on or off so many at a time
ROOTS = (25, 29, 34)  # of the primary synchronisation signal


def lte(dice: Dice) -> Sent:
    """Send a downlink at any load: full, some users, or control and reference signals alone."""
    blocks = dice.pick(BLOCKS)
    half = 6 * blocks
    k0 = torch.round(dice.uniform(-1, 1) * (half - VIEW_CARRIERS).clamp(min=0)) * dice.chance(0.6)
    k = carriers(USEFUL, dice) + k0  # (B, M), numbered from the middle of the cell
    held = (k.abs() <= half) & (k != 0)
    order = torch.where(k > 0, k - 1, k) + half
    block = torch.floor(order / 12).clamp(0, BLOCKS[-1] - 1).long()
    since = torch.arange(SYMBOLS, device=dice.device) + dice.integers(14, 1)
    symbol, subframe = since % 14, since // 14  # (B, S)
    in_slot = symbol % 7

    grid = _data(block, subframe, dice)
    control = symbol < dice.pick((1, 2, 3))
    group = torch.floor(k / 4).long() % (USEFUL // 4)
    used = shares((dice.batch, SYMBOLS, USEFUL // 4), dice) < dice.uniform(0.1, 1.0)[:, :, None]
    used = used.gather(2, group[:, None].expand(-1, SYMBOLS, -1))
    points = square_qam(torch.full(grid.shape, 2.0, device=dice.device), dice)
    grid = torch.where(control[:, :, None], points * used, grid)
    grid = torch.where(*_reference(order, in_slot, points, dice), grid)
    grid = torch.where(*_synchronisation(k, symbol, subframe, points, dice), grid)
    iq = stream(grid * held[:, None], torch.where(in_slot == 0, 80, 72), dice)
    ones = torch.ones_like(blocks)
    return Sent(
        iq,
        rate_hz=USEFUL * SPACING_HZ * ones,
        bandwidth_hz=2 * half * SPACING_HZ,
        centre_hz=-k0 * SPACING_HZ,
        gated=0.25,  # time division duplex
    )


def _data(block: torch.Tensor, subframe: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw data, complex (B, S, M): blocks in use, their modulation and power, by subframe."""
    per_block = (dice.batch, 2, BLOCKS[-1])
    load = dice.uniform(0, 1.2) * dice.chance(0.8)
    groups = shares((dice.batch, 2, BLOCKS[-1] // ALLOCATED + 1), dice) < load[:, :, None]
    used = groups.repeat_interleave(ALLOCATED, 2)[..., : BLOCKS[-1]]
    level = 10 ** ((shares(per_block, dice) * 6 - 3) / 20) * used
    side = 2.0 ** (1 + torch.floor(shares(per_block, dice) * 3))
    of_carrier = block[:, None].expand(-1, 2, -1)
    level, side = level.gather(2, of_carrier), side.gather(2, of_carrier)  # (B, 2, M)
    of_symbol = subframe[:, :, None].expand(-1, -1, USEFUL)
    return square_qam(side.gather(1, of_symbol), dice) * level.gather(1, of_symbol)


def _reference(
    order: torch.Tensor, in_slot: torch.Tensor, points: torch.Tensor, dice: Dice
) -> tuple[torch.Tensor, torch.Tensor]:
    """Place the reference signals of one, two or four ports: where, and what, each (B, S, M)."""
    ports = dice.pick((1, 2, 2, 4))[:, :, None]
    shift = dice.integers(6, 1)
    late = torch.where(in_slot == 4, 3, 0)
    comb = (order[:, None] - (shift + late)[:, :, None]).remainder(6)  # (B, S, M)
    here = torch.isin(in_slot, torch.tensor((0, 4), device=dice.device))[:, :, None]
    more = (in_slot == 1)[:, :, None] & (ports == 4)
    where = (here & ((comb == 0) | ((comb == 3) & (ports > 1)))) | (more & (comb % 3 == 0))
    boost = dice.pick((1.0, 1.0, 1.41))[:, :, None]
    other = 10 ** (dice.uniform(-8, 3) / 20)[:, :, None]  # ports fade differently
    return where, points * boost * torch.where(comb == 3, other, 1.0)


def _synchronisation(
    k: torch.Tensor,
    symbol: torch.Tensor,
    subframe: torch.Tensor,
    points: torch.Tensor,
    dice: Dice,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Place both synchronisation signals and the broadcast channel in some subframes."""
    root = dice.pick(ROOTS)
    n = k + 31  # the middle of the sequence falls on the carrier that is not sent
    primary = torch.polar(torch.ones_like(n), -math.pi * root * (n * (n + 1)).remainder(126) / 63)
    in_it = (subframe == 0) & dice.chance(0.12)
    near = (k.abs() <= 36)[:, None]
    where = in_it[:, :, None] & near & ((symbol >= 5) & (symbol <= 10))[:, :, None]
    inner = (k.abs() <= 31)[:, None]
    secondary = signs(tuple(points.shape), dice).to(points.dtype)
    value = torch.where((symbol == 6)[:, :, None], primary[:, None], points)
    value = torch.where((symbol == 5)[:, :, None], secondary, value)
    empty = (symbol <= 6)[:, :, None] & ~inner
    return where, torch.where(empty, torch.zeros_like(value), value)
