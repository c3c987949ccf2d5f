# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM of any numerology: a few carriers to thousands, prefixes, pilots, resource blocks."""

import torch

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice, Transmission

USEFUL_SAMPLES = (128, 256, 512, 1024, 2048, 4096, 16384)  # of a symbol without its prefix
PREFIXES = (1 / 32, 1 / 16, 9 / 128, 1 / 8, 0.2, 1 / 4)


def ofdm(dice: Dice) -> Transmission:
    """Send OFDM; a sixth of the rows is precoded, so that its envelope is a single carrier's."""
    share = dice.integers(len(USEFUL_SAMPLES), 1).squeeze(1)
    iq = torch.empty(dice.batch, SOURCE_SAMPLES, dtype=torch.complex64, device=dice.device)
    for number, useful in enumerate(USEFUL_SAMPLES):
        rows = (share == number).nonzero().squeeze(1)
        if len(rows):
            iq[rows] = _symbols(useful, dice.like(len(rows)))
    return Transmission(iq, wide=True)


def _symbols(useful: int, dice: Dice) -> torch.Tensor:
    """Draw a stretch of symbols of a useful length in samples, (B, N)."""
    count = SOURCE_SAMPLES // useful + 2
    used = torch.floor(useful / dice.uniform(5.2, 8.5))  # carriers, (B, 1)
    carrier = torch.fft.fftfreq(useful, 1 / useful, device=dice.device)
    held = (carrier.abs() <= used / 2) & (carrier.abs() > dice.pick((-1, 0, 0, 0, 1)))
    shape = (dice.batch, count, useful)

    def random(*size: int) -> torch.Tensor:
        return torch.rand(*size, generator=dice.generator, device=dice.device)

    side = dice.pick((2, 2, 4, 8)).view(-1, 1, 1).expand(shape)
    steps = torch.floor(random(2, *shape) * side) * 2 - (side - 1)
    grid = torch.complex(steps[0], steps[1]) / (2 * (side.square() - 1) / 3).sqrt()
    # Pilots of constant phase on every so manieth carrier, often stronger, moving or not.
    spacing = dice.pick((4, 6, 7, 12, 14)).view(-1, 1, 1)
    moves = dice.pick((0, 0, 1, 3)).view(-1, 1, 1)
    turn = torch.arange(count, device=dice.device).view(1, -1, 1) * moves
    pilot = ((carrier + turn).remainder(spacing) == 0) & dice.chance(0.6).view(-1, 1, 1)
    boost = dice.pick((1.0, 1.0, 1.33, 2.0)).view(-1, 1, 1).to(torch.complex64)
    grid = torch.where(pilot, boost, grid)
    # Resource blocks of twelve carriers, each at a level of its own or empty, and silent symbols.
    blocked = dice.chance(0.25).view(-1, 1, 1)
    block = (carrier.remainder(useful) // 12).long().expand(shape)
    blocks = useful // 12 + 1
    level = random(dice.batch, count, blocks)
    level = torch.where(level < dice.uniform(0, 0.5).view(-1, 1, 1), 0.0, 0.4 + level)
    grid = torch.where(blocked & ~pilot, grid * level.gather(2, block), grid)
    silent = (random(dice.batch, count, 1) < 0.25) & dice.chance(0.15).view(-1, 1, 1)
    silent[:, ::2] = False  # something is always sent
    grid = grid * (held[:, None] & ~silent)
    # Preambles use every fourth or second carrier: they repeat within a symbol.
    sparse = (carrier.remainder(4) == 0).view(1, 1, -1)
    training = (random(dice.batch, count, 1) < 0.3) & dice.chance(0.15).view(-1, 1, 1)
    grid = torch.where(training & ~sparse, torch.zeros_like(grid), grid)
    single = dice.chance(0.16).view(-1, 1, 1)
    grid = torch.where(single, _precoded(int(used[0]), useful, count, dice), grid)
    body = torch.fft.ifft(grid)
    body = body / body.abs().square().mean((1, 2), keepdim=True).clamp(min=1e-20).sqrt()
    prefix = torch.floor(dice.pick(PREFIXES) * useful)
    place = dice.samples() + torch.floor(dice.uniform(0, 1) * (useful + prefix))
    symbol = torch.floor(place / (useful + prefix))
    within = (place - symbol * (useful + prefix) - prefix).remainder(useful)
    index = (symbol * useful + within).long()
    return body.flatten(1).gather(1, index)


def _precoded(used: int, useful: int, count: int, dice: Dice) -> torch.Tensor:
    """Draw the carriers of SC-FDMA, (B, S, U): the DFT of as many QPSK symbols as are used."""
    steps = 2.0 * dice.integers(2, 2 * count * used).view(dice.batch, count, used, 2) - 1
    symbols = torch.complex(steps[..., 0], steps[..., 1])
    spectrum = torch.fft.fft(symbols) / used**0.5
    grid = torch.zeros(dice.batch, count, useful, dtype=torch.complex64, device=dice.device)
    grid[..., : (used + 1) // 2] = spectrum[..., : (used + 1) // 2]
    grid[..., useful - used // 2 :] = spectrum[..., used - used // 2 :]
    return grid
