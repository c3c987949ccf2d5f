# SPDX-License-Identifier: GPL-3.0-or-later
"""Wi-Fi by OFDM: frames with preambles, pauses between them (IEEE 802.11a, g, n, ac)."""

import torch

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.technologies import LONG_TRAINING, SHORT_TRAINING, WIFI_CARRIERS
from gr_tsddae.synth.wtc.symbols import Sent, carriers, signs, square_qam, stream

SPACING_HZ = 312.5e3
USEFUL = 64  # samples of a symbol: 20 MS/s
PREFIX, SHORT_PREFIX = 16, 8
SYMBOLS = SOURCE_SAMPLES // (USEFUL + SHORT_PREFIX) + 3
HALVES = (26, 26, 26, 28, 28, 58, 122)  # used carriers on either side, of 20, 40 and 80 MHz
LATEST = SYMBOLS - 15  # symbol of a stretch with which its first frame may begin
PILOTS = (-21, -7, 7, 21)


def wifi(dice: Dice) -> Sent:
    """Send frames of 40 us to 1.6 ms from stations of different levels, 16 to 300 us apart."""
    half = dice.pick(HALVES)
    off_middle = dice.chance(0.35) | (half > 40)
    k0 = torch.round(dice.uniform(-1, 1) * (half - 10)) * off_middle
    k = carriers(USEFUL, dice) + k0  # (B, M)
    slot = torch.arange(SYMBOLS, device=dice.device)
    length = torch.floor(dice.log_uniform(10, 400, 2))  # in symbols
    start = torch.floor(dice.uniform(0, 1) * (length[:, :1] + LATEST - 10) + 10 - length[:, :1])
    second = start + length[:, :1] + torch.floor(dice.uniform(4, 75))
    level = 10 ** (dice.uniform(-10, 10) / 20)
    grid = torch.zeros(dice.batch, SYMBOLS, USEFUL, dtype=torch.complex64, device=dice.device)
    prefix = torch.full((dice.batch, SYMBOLS), PREFIX, device=dice.device)
    for begin, count, gain in ((start, length[:, :1], 1.0), (second, length[:, 1:], level)):
        age = slot - begin  # (B, S)
        frame, shorter = _frame(age, k, half, dice)
        inside = (age >= 0) & (age < count)
        gain = torch.as_tensor(gain, device=dice.device).view(-1, 1, 1)
        grid = torch.where(inside[:, :, None], frame * gain, grid)
        prefix = torch.where(inside & (age == 2), 32, prefix)
        prefix = torch.where(inside & (age == 3), 0, prefix)
        prefix = torch.where(inside & (age > 6) & shorter, SHORT_PREFIX, prefix)
    ones = torch.ones_like(half)
    return Sent(
        stream(grid, prefix, dice),
        rate_hz=USEFUL * SPACING_HZ * ones,
        bandwidth_hz=(2 * half + 1) * SPACING_HZ,
        centre_hz=-k0 * SPACING_HZ,
    )


def _frame(
    age: torch.Tensor, k: torch.Tensor, half: torch.Tensor, dice: Dice
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw carriers (B, S, M) by symbols since the frame's begin, and who has short prefixes."""
    side = dice.pick((1, 2, 4, 8, 16))[:, :, None].expand(-1, SYMBOLS, USEFUL)
    side = torch.where((age < 5)[:, :, None], 1.0, side)  # the SIGNAL field is BPSK
    points = square_qam(side, dice)
    high = half > 26
    within = torch.where((age < 5)[:, :, None] & (half < 30)[:, :, None], 26.0, half[:, :, None])
    held = (k[:, None].abs() <= within) & (k != 0)[:, None]
    pilot = torch.isin(k, torch.tensor(PILOTS, device=dice.device, dtype=k.dtype))[:, None]
    polarity = signs((dice.batch, SYMBOLS, 1), dice).to(points.dtype)
    grid = torch.where(pilot, polarity, points) * held
    # Preambles of wide channels are those of 20 MHz, side by side.
    place = torch.where(half[:, :1] < 40, k, (k + 32).remainder(64) - 32)
    short, long = (
        _of(training, place, dice)[:, None].expand_as(grid)
        for training in (SHORT_TRAINING, LONG_TRAINING + 0j)
    )
    grid = torch.where((age < 2)[:, :, None], short, grid)
    grid = torch.where(((age == 2) | (age == 3))[:, :, None], long, grid)
    return grid, high & dice.chance(0.4)


def _of(training: torch.Tensor, k: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Look a training symbol's carriers up, 0 where it has none: (B, M)."""
    table = torch.zeros(512, dtype=torch.complex64, device=dice.device)
    # Negative numbers count from the end, as indices do.
    table[WIFI_CARRIERS.to(dice.device)] = training.to(dice.device)
    return table[k.long()]
