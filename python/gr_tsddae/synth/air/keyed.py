# SPDX-License-Identifier: GPL-3.0-or-later
"""Frequency and on-off keying, as sensors, remotes, pagers and radios do it; pulses of radars."""

import math

import torch

from gr_tsddae.synth.air.dice import Dice, Transmission, phase_of, smooth
from gr_tsddae.synth.air.linear import with_preamble

OVERSAMPLING = 7.0  # of frequency keying: sample rate over bandwidth, about
MOST_UNITS = 1024  # symbols, or units of a code, that a row can hold
# Bursts of sensors begin with alternating bits, for as long as a window or longer.
PREAMBLES = {"share": 0.25, "longest": 0.3}
GAUSSIAN = math.sqrt(math.log(2)) / (2 * math.pi)  # standard deviation of the pulse times BT


def held(values: torch.Tensor, samples_per_unit: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Hold each value (B, U) for some samples, (B, 1), from a random place on: (B, N)."""
    place = dice.samples() / samples_per_unit + dice.uniform(0, 1)
    return values.gather(1, place.long().clamp(max=values.shape[1] - 1))


def frequency_keyed(
    tones: int,
    index: torch.Tensor,
    bandwidth_time: torch.Tensor,
    dice: Dice,
    *,
    data: torch.Tensor | None = None,
) -> Transmission:
    """Send continuous-phase frequency keying.

    Args:
        tones: number of tones, evenly spaced.
        index: spacing of the tones over the symbol rate, (B, 1).
        bandwidth_time: BT of the Gaussian filter of the frequency, (B, 1); a large one is none.
        dice: draws the timing, and the data unless they are given.
        data: numbers of tones, (B, MOST_UNITS).
    """
    occupied = index * (tones - 1) + 1.0  # about, in symbol rates
    samples_per_symbol = OVERSAMPLING * occupied
    if data is None:
        data = _data(tones, dice)
    level = held((2.0 * data - (tones - 1)), samples_per_symbol, dice)
    level = smooth(level, GAUSSIAN * samples_per_symbol / bandwidth_time)
    return Transmission(phase_of(level * index / (2 * samples_per_symbol)))


def _data(tones: int, dice: Dice) -> torch.Tensor:
    data = with_preamble(dice.integers(tones, MOST_UNITS), dice, **PREAMBLES)
    if tones > 2:
        return data
    return torch.where(dice.chance(0.1), _manchester(data), data)


def _manchester(bits: torch.Tensor) -> torch.Tensor:
    """Send each bit (B, U) twice, the second time inverted: (B, U)."""
    twice = bits.repeat_interleave(2, 1)[:, : bits.shape[1]]
    return (twice + torch.arange(bits.shape[1], device=bits.device)) % 2


def two_fsk(dice: Dice) -> Transmission:
    """Send binary keying with hard edges, or softer ones where the tones are far apart."""
    index = dice.log_uniform(0.65, 8.0)
    soft = (index > 1.3) & dice.chance(0.4)
    bt = torch.where(soft, dice.uniform(0.5, 1.5), dice.log_uniform(1.4, 20))
    return frequency_keyed(2, index, bt, dice)


def four_fsk(dice: Dice) -> Transmission:
    """Send four tones: from C4FM and DMR (index 0.25 to 0.4) to pagers (1 to 2.5)."""
    index = dice.log_uniform(0.22, 2.5)
    bt = torch.where(dice.chance(0.5), dice.uniform(0.3, 1.0), dice.log_uniform(1, 10))
    return frequency_keyed(4, index, bt, dice)


def gfsk(dice: Dice) -> Transmission:
    """Send GFSK and GMSK, and MSK: the index is 0.5 in half of the rows, and MSK is unshaped."""
    minimum = dice.chance(0.5)
    index = torch.where(minimum, dice.uniform(0.47, 0.53), dice.uniform(0.28, 1.0))
    bt = torch.where(minimum & dice.chance(0.25), 20.0, dice.uniform(0.25, 1.0))
    return frequency_keyed(2, index, bt, dice)


def ook(dice: Dice) -> Transmission:
    """Send on-off keying: plain bits, Manchester, pulse width, pulse distance, Morse-like."""
    u = torch.arange(MOST_UNITS, device=dice.device)
    bits = with_preamble(dice.integers(2, MOST_UNITS), dice, **PREAMBLES)
    period = dice.pick((3, 3, 4)).long()
    turn = u % period
    of_period = bits.gather(1, (u // period))
    width = torch.where(turn == 0, 1, torch.where(turn == period - 1, 0, of_period))
    # Pulse distance: a short pulse, then one or two (in some codes two or four) units of pause.
    gaps = 1 + dice.integers(2, MOST_UNITS) * (1 + dice.integers(3, 1)) + dice.integers(2, 1)
    starts = (gaps + 1).cumsum(1).clamp(max=MOST_UNITS - 1)
    distance = torch.zeros_like(bits).scatter(1, starts, 1)
    distance[:, -1] = 0
    kind = dice.integers(8, 1)
    code = torch.where(kind < 3, bits, _manchester(bits))
    code = torch.where((kind == 5) | (kind == 6), width, code)
    code = torch.where(kind == 7, distance, code).float()
    # Packets with pauses between.
    packet, pause = dice.uniform(12, 150), dice.uniform(4, 60)
    running = (u + dice.uniform(0, 200)).remainder(packet + pause) < packet
    code = torch.where(dice.chance(0.5), code * running, code)
    code[:, :2] = 1 - code[:, :1] * torch.tensor([0.0, 1.0], device=dice.device)  # an edge at least
    samples_per_unit = dice.uniform(11, 30)
    level = smooth(held(code, samples_per_unit, dice), samples_per_unit * dice.uniform(0.01, 0.3))
    residue = torch.where(dice.chance(0.3), dice.uniform(0.02, 0.35), dice.uniform(0, 0.02))
    level = residue + (1 - residue) * level.clamp(0, 1.2)
    return Transmission(level * oscillator(level, samples_per_unit, dice), narrowest=0.6)


def oscillator(level: torch.Tensor, samples_per_unit: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Turn the carrier of a keyed transmitter, complex (B, N).

    A cheap one pulls its frequency when it is switched, or starts each pulse at a phase of its own.
    """
    pull = dice.uniform(-0.15, 0.15) / samples_per_unit * dice.chance(0.3)
    turning = phase_of(pull * smooth(level, samples_per_unit))
    begins = (level > 0.5) & ~(level.roll(1, 1) > 0.5)
    number = begins.long().cumsum(1).clamp(max=MOST_UNITS - 1)
    jumps = dice.uniform(0, 2 * math.pi, MOST_UNITS).gather(1, number) * dice.chance(0.12)
    return turning * torch.polar(torch.ones_like(jumps), jumps)


def pulses(dice: Dice) -> Transmission:
    """Send messages of pulses at random times: Mode S, Mode A/C, DME pairs, radar."""
    half = dice.uniform(8, 20)  # samples of half a bit, or of a pulse
    time = dice.samples() / half  # in half bits
    kind = dice.integers(5, 1)
    mode_s = _messages(time, _mode_s(dice), dice.uniform(30, 100), dice)
    mode_a = _messages(time, _mode_a(dice), dice.uniform(20, 100), dice)
    others = _messages(time, _pairs(dice), dice.uniform(6, 60), dice)
    level = torch.where(kind < 3, mode_s, torch.where(kind == 3, mode_a, others))
    round_pulse = (kind == 4) & dice.chance(0.6)
    level = smooth(level, half * torch.where(round_pulse, 0.35, dice.uniform(0.02, 0.25)))
    phases = dice.uniform(0, 2 * math.pi, 64)
    message = (time / 60).long().clamp(max=63)
    turned = phases.gather(1, message) * dice.chance(0.1)
    return Transmission(
        level * torch.polar(torch.ones_like(turned), turned), narrowest=0.3, bursts=False
    )


def _messages(
    time: torch.Tensor, units: torch.Tensor, pause: torch.Tensor, dice: Dice
) -> torch.Tensor:
    """Repeat messages of units (B, U) with pauses; each row begins somewhere in its cycle."""
    count = units.shape[1]
    place = (time + dice.uniform(0, count)).remainder(count + pause).long()
    return units.gather(1, place.clamp(max=count - 1)) * (place < count)


def _mode_s(dice: Dice) -> torch.Tensor:
    bits = dice.integers(2, 112)
    preamble = torch.zeros(dice.batch, 16, device=dice.device)
    preamble[:, [0, 2, 7, 9]] = 1
    message = torch.stack((bits, 1 - bits), 2).flatten(1).float()
    long = torch.where(dice.chance(0.5), 224, 112)
    message = message * (torch.arange(224, device=dice.device) < long)
    return torch.cat((preamble, message), 1)


def _mode_a(dice: Dice) -> torch.Tensor:
    """Place a pulse in three units: two framing pulses around twelve that code."""
    code = dice.integers(2, 15).float()
    code[:, [0, 14]] = 1
    code[:, 7] = 0
    units = torch.zeros(dice.batch, 45, device=dice.device)
    units[:, ::3] = code
    return units


def _pairs(dice: Dice) -> torch.Tensor:
    """Place one, two or more pulses, a few units apart."""
    distance = dice.pick((2, 3, 4, 6)).long()
    number = dice.pick((1, 2, 2, 4)).long()
    u = torch.arange(26, device=dice.device)
    return ((u % distance == 0) & (u // distance < number)).float()
