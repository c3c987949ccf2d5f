# SPDX-License-Identifier: GPL-3.0-or-later
"""LoRa: chirps over the whole band, each of which begins where its symbol says."""

import torch

from gr_tsddae.synth.air.dice import Dice, Transmission, phase_of

OVERSAMPLING = 7.0  # samples per chip
MOST_SYMBOLS = 64


def lora(dice: Dice) -> Transmission:
    """Send stretches of packets of spreading factor 5 to 12: preamble, sync, down-chirps, data."""
    chips = 2 ** dice.pick((5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 12))
    symbols = torch.floor(dice.uniform(0, 1, MOST_SYMBOLS) * chips)
    number = torch.arange(MOST_SYMBOLS, device=dice.device)
    # A row begins at any symbol of a packet: preamble, two of sync, two and a quarter down, data.
    preamble = dice.pick((6, 8, 8, 12))
    begun = torch.where(dice.chance(0.5), torch.floor(dice.uniform(0, 12)), 1000.0)
    of_packet = number + begun
    symbols = torch.where(of_packet < preamble, 0.0, symbols)
    sync = (of_packet >= preamble) & (of_packet < preamble + 2)
    symbols = torch.where(sync, 8.0 * torch.floor(dice.uniform(0, 16, MOST_SYMBOLS)), symbols)
    down = (of_packet >= preamble + 2) & (of_packet < preamble + 4)
    time = dice.samples() / OVERSAMPLING / chips + dice.uniform(0, 1)  # in symbols
    place = time.long().clamp(max=MOST_SYMBOLS - 1)
    falling = down.gather(1, place)
    start = torch.where(falling, 0.0, symbols.gather(1, place) / chips)
    ramp = (time + start).remainder(1.0) - 0.5
    frequency = torch.where(falling, -ramp, ramp) / OVERSAMPLING
    iq = phase_of(frequency)
    iq = torch.where(dice.chance(0.5), iq, iq.conj().resolve_conj())  # either is on the air
    return Transmission(iq, torch.full_like(chips, 1 / OVERSAMPLING))
