# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that are none of the technologies: single carriers, FM, pulses, OFDM of other kinds."""

from collections.abc import Callable

import torch

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.air.outliers import LEARNED, Draw
from gr_tsddae.synth.air.receiver import occupied_band
from gr_tsddae.synth.air.recipe import SENDERS
from gr_tsddae.synth.wtc.receiver import MOST_SOURCE_RATE_HZ
from gr_tsddae.synth.wtc.symbols import Sent, carriers, shares, square_qam, stream

Send = Callable[[Dice], Sent]
NAMED = tuple(draw for name, draw in SENDERS.items() if name not in ("noise", "OFDM"))
STRANGE = tuple(LEARNED.values())
# Useful samples of a symbol, sample rate in Hz and bandwidth in Hz of standards; None is any.
STANDARDS = (
    (512, 15.36e6, None),  # 5G, 30 kHz between carriers
    (256, 15.36e6, None),  # 5G, 60 kHz
    (8192, 8.192e6, 1.536e6),  # DAB
    (1024, 15.36e6, 180e3),  # NB-IoT
    (16384, 64e6 / 7, 7.61e6),  # DVB-T2 16K
    (4096, 64e6 / 7, 7.61e6),  # DVB-T2 4K
)
# Of no standard: none of these lasts as long as a symbol of a technology.
USEFUL = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
TAKEN_HZ = {64: 20e6, 1024: 15.36e6, 4096: 128e6 / 7}
NEAR = 0.06  # of the sample rate at which a symbol would last as long
PREFIXES = (1 / 32, 1 / 16, 9 / 128, 1 / 8, 1 / 4)


def other(dice: Dice) -> Sent:
    """Send one of many kinds of signal: 45 % OFDM, 45 % the classes of `air`, 10 % of no class."""
    kinds = [_standard(i) for i in range(len(STANDARDS))] + [_any(i) for i in range(len(USEFUL))]
    kinds += [_air(draw) for draw in (*NAMED, *STRANGE)]
    weight = [0.03] * len(STANDARDS) + [0.03] * len(USEFUL)
    weight += [0.45 / len(NAMED)] * len(NAMED) + [0.1 / len(STRANGE)] * len(STRANGE)
    edges = torch.tensor(weight, device=dice.device).cumsum(0)
    kind = torch.searchsorted(edges, dice.uniform() * float(edges[-1])).clamp(max=len(kinds) - 1)
    iq = torch.empty(dice.batch, SOURCE_SAMPLES, dtype=torch.complex64, device=dice.device)
    rest = [torch.empty(dice.batch, 1, device=dice.device) for _ in range(3)]
    for number in kind.unique().tolist():
        rows = (kind.squeeze(1) == number).nonzero().squeeze(1)
        sent = kinds[number](dice.like(len(rows)))
        iq[rows] = sent.iq
        for all_of, mine in zip(
            rest, (sent.rate_hz, sent.bandwidth_hz, sent.centre_hz), strict=True
        ):
            all_of[rows] = mine
    return Sent(iq, *rest, gated=0.3)


def _air(draw: Draw) -> Send:
    """Make a sender of a signal of `air`, 8 kHz to 4 MHz wide."""

    def send(dice: Dice) -> Sent:
        made = draw(dice)
        centre, width = occupied_band(made.iq, torch.full_like(dice.uniform(), 20.0))
        if made.bandwidth is not None:
            centre, width = torch.zeros_like(centre), made.bandwidth.expand_as(width)
        width = width.clamp(min=1e-3)
        rate_hz = (dice.log_uniform(8e3, 4e6) / width).clamp(max=MOST_SOURCE_RATE_HZ)
        return Sent(made.iq, rate_hz, width * rate_hz, centre * rate_hz)

    return send


def _standard(number: int) -> Send:
    """Make a sender of a row of `STANDARDS`."""
    useful, rate_hz, width_hz = STANDARDS[number]

    def send(dice: Dice) -> Sent:
        rate = torch.full((dice.batch, 1), rate_hz, device=dice.device)
        width = dice.log_uniform(3.6e6, 40e6) if width_hz is None else width_hz + 0 * rate
        return _ofdm(useful, rate, width, dice)

    return send


def _any(number: int) -> Send:
    """Make a sender of OFDM of no standard, of a row of `USEFUL`."""
    useful = USEFUL[number]

    def send(dice: Dice) -> Sent:
        rate = dice.uniform(14e6, 21e6)
        if useful in TAKEN_HZ:
            taken = TAKEN_HZ[useful]
            off = rate / taken - 1
            away = torch.where(off < 0, -1.0, 1.0) * dice.uniform(NEAR, 3 * NEAR)
            rate = torch.where(off.abs() < NEAR, taken * (1 + away), rate)
        return _ofdm(useful, rate, dice.log_uniform(3e5, 2.5e7), dice)

    return send


def _ofdm(useful: int, rate_hz: torch.Tensor, width_hz: torch.Tensor, dice: Dice) -> Sent:
    """Send OFDM of a useful length in samples, with pilots that no technology here has."""
    symbols = SOURCE_SAMPLES // useful + 2
    spacing_hz = rate_hz / useful
    k = carriers(useful, dice)
    half = (width_hz / 2 / spacing_hz).clamp(min=3)
    held = (k.abs() <= half) & (k.abs() > dice.pick((-1, 0, 0)))  # (B, M)
    shape = (dice.batch, symbols, useful)
    side = dice.pick((2, 2, 4, 8)).view(-1, 1, 1).expand(shape)
    grid = square_qam(side, dice)
    comb = dice.pick((2, 4, 24, 48, 96)).view(-1, 1, 1)
    every = dice.pick((1, 4, 7, 14)).view(-1, 1, 1)  # symbols from one with pilots to the next
    turn = torch.arange(symbols, device=dice.device).view(1, -1, 1)
    pilot = (k.remainder(comb) == 0) & (turn.remainder(every) == 0)
    pilot = pilot & dice.chance(0.6).view(-1, 1, 1)
    sign = square_qam(torch.full((dice.batch, 1, useful), 2.0, device=dice.device), dice)
    grid = torch.where(pilot, sign * dice.pick((1.0, 1.33, 1.41)).view(-1, 1, 1), grid)
    # Resource blocks of twelve carriers, on or off, for some rows.
    load = dice.uniform(0.2, 1).view(-1, 1, 1)
    blocks = shares((dice.batch, symbols, useful // 12 + 1), dice) < load
    block = (k.remainder(useful) // 12).long().expand(shape)
    blocked = dice.chance(0.3).view(-1, 1, 1)
    grid = torch.where(blocked & ~pilot, grid * blocks.gather(2, block), grid)
    prefix = torch.floor(dice.pick(PREFIXES) * useful).long().expand(-1, symbols)
    iq = stream(grid * held[:, None], prefix, dice)
    bandwidth_hz = torch.minimum(2 * half * spacing_hz, width_hz.clamp(min=1.0) + spacing_hz)
    return Sent(iq, rate_hz, bandwidth_hz.clamp(min=1e3), torch.zeros_like(rate_hz))
