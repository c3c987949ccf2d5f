# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that are none of the classes: some to learn from, others that only ever judge.

The two sets share no kind, so that a score of unknown signals is measured on kinds never seen.
"""

import math
from collections.abc import Callable

import torch

from gr_tsddae.synth.air.audio import audio
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice, Transmission, phase_of, smooth
from gr_tsddae.synth.air.keyed import frequency_keyed, held
from gr_tsddae.synth.air.linear import SYMBOLS, responses, spread
from gr_tsddae.synth.modulators import psk, unit_energy
from gr_tsddae.synth.modulators_2018 import ALPHABETS

Draw = Callable[[Dice], Transmission]
_PAM4 = unit_energy(torch.tensor([-3.0, -1.0, 1.0, 3.0]) + 0j)
_TWELVE = psk(12)
_UNFILTERED = 10.0  # BT


def sweep(dice: Dice) -> Transmission:
    """Send a tone that sweeps up and down or in saw teeth, at any rate."""
    n = dice.samples() / SOURCE_SAMPLES
    turn = (n * dice.log_uniform(2, 200) + dice.uniform(0, 1)).remainder(1.0)
    triangle = 2 * (turn - 0.5).abs() - 0.5
    sine = 0.5 * torch.sin(2 * math.pi * turn)
    return Transmission(phase_of(torch.where(dice.chance(0.5), triangle, sine) / 7))


def tones(dice: Dice) -> Transmission:
    """Send several carriers at once, evenly spaced or not."""
    n = dice.samples()
    iq = torch.zeros(dice.batch, SOURCE_SAMPLES, dtype=torch.complex64, device=dice.device)
    for _ in range(6):
        turns = dice.uniform(-0.07, 0.07) * n + dice.uniform(0, 1)
        strength = dice.uniform(0.2, 1) * dice.chance(0.7)
        iq = iq + torch.polar(strength.expand_as(turns), 2 * math.pi * turns)
    edge = torch.polar(torch.ones_like(n), 2 * math.pi * 0.07 * n)
    return Transmission(iq + edge + edge.conj())


def multilevel(dice: Dice) -> Transmission:
    """Send amplitude keying with eight positive levels."""
    symbols = unit_energy(dice.integers(8, SYMBOLS) + 0j)
    return Transmission(torch.fft.ifft(spread(symbols, responses(dice))))


def uneven_psk(dice: Dice) -> Transmission:
    """Send offset-free PSK of twelve unevenly used phases, a constellation nobody sends."""
    symbols = _TWELVE.to(dice.device)[dice.integers(7, SYMBOLS)]
    return Transmission(torch.fft.ifft(spread(symbols, responses(dice))))


def bumpy_noise(dice: Dice) -> Transmission:
    """Send noise with several bumps in its spectrum, as switching supplies do."""
    f = torch.fft.fftfreq(SOURCE_SAMPLES, device=dice.device)
    shape = torch.zeros(dice.batch, SOURCE_SAMPLES, device=dice.device)
    for _ in range(4):
        middle, width = dice.uniform(-0.07, 0.07), dice.log_uniform(0.001, 0.02)
        shape = shape + dice.uniform(0.1, 1) * torch.exp(-((f - middle) / width).square())
    return Transmission(torch.fft.ifft(dice.complex_normal(SOURCE_SAMPLES) * shape))


def three_tones(dice: Dice) -> Transmission:
    """Send frequency keying with three tones and a pause between any two symbols."""
    samples = dice.uniform(16, 60)
    level = held(dice.integers(3, 1024) - 1.0, samples, dice)
    on = (dice.samples() / samples).remainder(1.0) < 0.7
    return Transmission(phase_of(smooth(level, 0.05 * samples) * 2 / samples) * on)


def speech_with_tone(dice: Dice) -> Transmission:
    """Send vestigial sidebands: a whole one and a part of the other, with a carrier at its side."""
    rate = torch.full((dice.batch, 1), 60e3, device=dice.device)
    sound = audio(rate, dice.uniform(3e3, 8e3), dice.uniform(40, 200), dice)
    f = torch.fft.fftfreq(SOURCE_SAMPLES, device=dice.device) * rate
    part = torch.sigmoid((f + 700) / 200)
    iq = torch.fft.ifft(torch.fft.fft((1 + 0.5 * sound).to(torch.complex64)) * part)
    return Transmission(iq * phase_of((-3000 / rate).expand(-1, SOURCE_SAMPLES)))


def odd_constellation(dice: Dice) -> Transmission:
    """Send symbols of a constellation that no class has: rings, odd amplitudes, scattered points.

    16APSK (4 points within 12) and four amplitudes are left to the judges.
    """
    point = torch.arange(16, device=dice.device)
    within = dice.pick((1, 2, 3, 5, 6, 7, 8))
    inner = point < within
    turn = torch.where(inner, point / within, (point - within) / (16 - within) + dice.uniform())
    radius = torch.where(inner, 1.0, dice.uniform(1.4, 4.0))
    rings = torch.polar(radius, 2 * math.pi * turn)
    levels = dice.pick((3, 5, 6, 8))
    amplitudes = (2 * point.remainder(levels) - (levels - 1)) + 0j
    scattered = torch.complex(dice.normal(16), dice.normal(16))
    kind = dice.integers(3, 1)
    alphabet = torch.where(kind == 0, rings, torch.where(kind == 1, amplitudes, scattered))
    count = torch.where(
        kind == 0, 16, torch.where(kind == 1, levels.long(), 6 + dice.integers(11, 1))
    )
    symbols = alphabet.gather(1, (dice.uniform(count=SYMBOLS) * count).long())
    return Transmission(torch.fft.ifft(spread(symbols, responses(dice, rectangular=0.05))))


def independent_sidebands(dice: Dice) -> Transmission:
    """Send two programmes, one in each sideband, and no carrier."""
    top_hz = dice.log_uniform(2.5e3, 8e3)
    rate_hz = 8 * 2 * top_hz
    above = torch.fft.fftfreq(SOURCE_SAMPLES, device=dice.device) > 0
    upper, lower = (
        torch.fft.ifft(torch.fft.fft(audio(rate_hz, top_hz, dice.uniform(100, 350), dice)) * above)
        for _ in range(2)
    )
    return Transmission(upper + lower.conj() * dice.uniform(0.5, 1), 2 * top_hz / rate_hz)


def odd_tones(dice: Dice) -> Transmission:
    """Send keying with 6, 12 or 24 tones."""
    index = dice.log_uniform(0.5, 2)
    sent = [
        frequency_keyed(tones, index, torch.full_like(index, _UNFILTERED), dice).iq
        for tones in (6, 12, 24)
    ]
    kind = dice.integers(3, 1)
    return Transmission(torch.where(kind == 0, sent[0], torch.where(kind == 1, sent[1], sent[2])))


def shallow_keying(dice: Dice) -> Transmission:
    """Send bits by two amplitudes, the lower one far from zero, as near-field readers do."""
    samples = dice.uniform(11, 40)
    level = smooth(held(dice.integers(2, 1024).float(), samples, dice), 0.05 * samples)
    low = dice.uniform(0.45, 0.8)
    return Transmission((low + (1 - low) * level).to(torch.complex64), 2 / samples)


def pam4(dice: Dice) -> Transmission:
    """Send four amplitudes of one phase and the opposite one."""
    return _keyed(_PAM4, dice)


def apsk(dice: Dice) -> Transmission:
    """Send 16APSK as satellites do."""
    return _keyed(ALPHABETS["16APSK"], dice)


def _keyed(alphabet: torch.Tensor, dice: Dice) -> Transmission:
    symbols = alphabet.to(dice.device)[dice.integers(len(alphabet), SYMBOLS)]
    return Transmission(torch.fft.ifft(spread(symbols, responses(dice, rectangular=0.0))))


def dsb_without_carrier(dice: Dice) -> Transmission:
    """Send both sidebands of speech or music, and no carrier."""
    top_hz = dice.log_uniform(2.5e3, 8e3)
    rate_hz = 8 * 2 * top_hz
    sound = audio(rate_hz, top_hz, dice.uniform(100, 350), dice)
    return Transmission(sound.to(torch.complex64), 2 * top_hz / rate_hz)


def spread_spectrum(dice: Dice) -> Transmission:
    """Send BPSK data spread by short codes, as navigation satellites do: chips of two codes."""
    code = dice.integers(2, 31)
    data = dice.integers(2, SYMBOLS // 31 + 1).repeat_interleave(31, 1)[:, :SYMBOLS]
    other = dice.integers(2, SYMBOLS)
    chips = 2.0 * ((code.repeat(1, SYMBOLS // 31 + 1)[:, :SYMBOLS] + data) % 2) - 1
    symbols = torch.complex(chips, (2.0 * other - 1) * dice.uniform(0.3, 0.7))
    return Transmission(torch.fft.ifft(spread(symbols, responses(dice, rectangular=0.5))))


def time_code(dice: Dice) -> Transmission:
    """Send a carrier that drops to a fifth of its amplitude once a second, as time signals do."""
    second = dice.uniform(600, 1500)
    place = dice.samples() / second + dice.uniform(0, 1)
    low = dice.pick((0.1, 0.2, 0.3, 0.5), 16).gather(1, place.long().clamp(max=15))
    level = torch.where(place.remainder(1.0) < low, dice.uniform(0.15, 0.4), 1.0)
    level = smooth(level, second * 0.01)
    return Transmission(level.to(torch.complex64), torch.full_like(second, 1 / 11))


def many_tones(dice: Dice) -> Transmission:
    """Send keying with eight or sixteen tones, as teletypes and weak-signal modes do."""
    few = frequency_keyed(8, torch.ones(dice.batch, 1, device=dice.device), _UNFILTERED, dice)
    many = frequency_keyed(16, torch.ones(dice.batch, 1, device=dice.device), _UNFILTERED, dice)
    return Transmission(torch.where(dice.chance(0.5), few.iq, many.iq))


LEARNED: dict[str, Draw] = {
    "sweep": sweep,
    "tones": tones,
    "multilevel": multilevel,
    "uneven PSK": uneven_psk,
    "bumpy noise": bumpy_noise,
    "three tones": three_tones,
    "vestigial sideband": speech_with_tone,
    "odd constellation": odd_constellation,
    "independent sidebands": independent_sidebands,
    "odd tones": odd_tones,
    "shallow keying": shallow_keying,
}
JUDGES: dict[str, Draw] = {
    "PAM4": pam4,
    "16APSK": apsk,
    "DSB without carrier": dsb_without_carrier,
    "DSSS": spread_spectrum,
    "time code": time_code,
    "MFSK": many_tones,
}
