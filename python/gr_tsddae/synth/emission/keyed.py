# SPDX-License-Identifier: GPL-3.0-or-later
"""On-off and frequency keying, as remotes, sensors, pagers and radios do it; chirps and pulses."""

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage

from gr_tsddae.synth.emission.parts import Draw
from gr_tsddae.synth.pulses import gaussian_frequency

Drawn = tuple[np.ndarray, float, dict]
CODE_SAMPLES = 16  # samples per unit of an on-off code


def ook(draw: Draw) -> Drawn:
    """On-off keying: plain bits, Manchester, or pulse-width; short packets with pauses between.

    The symbol rate is that of the shortest unit: a half bit of Manchester, a third of a
    pulse-width bit.
    """
    rng = draw.rng
    kind = ("plain", "manchester", "pulse width")[rng.integers(3)]
    ramp_units = rng.uniform(0.1, 0.5)
    symbol_rate_hz = draw.bandwidth_hz(2e3, 60e3) / (2.2 / (0.35 + ramp_units))
    rate_hz = symbol_rate_hz * CODE_SAMPLES
    count = draw.samples(rate_hz)
    packet_units = int(rng.integers(60, 400))
    pause_units = int(rng.integers(10, 120)) if rng.random() < 0.6 else 0
    units: list[np.ndarray] = []
    total = 0
    while total * CODE_SAMPLES < count:
        bits = rng.integers(0, 2, packet_units)
        if kind == "manchester":
            code = np.stack((bits, 1 - bits), 1).ravel()
        elif kind == "pulse width":
            code = np.stack((np.ones_like(bits), bits, np.zeros_like(bits)), 1).ravel()
        else:
            code = bits
        code = code[:packet_units]
        units += [code, np.zeros(pause_units, int)]
        total += len(code) + pause_units
    levels = np.repeat(np.concatenate(units), CODE_SAMPLES)[:count].astype(float)
    width = ramp_units * CODE_SAMPLES / 2.5  # a Gaussian edge from 10 to 90 % over ramp_units
    levels = ndimage.gaussian_filter1d(levels, width)
    depth = rng.uniform(0.0, 0.03)  # carrier that leaks while off
    iq = (depth + (1 - depth) * levels).astype(complex)
    return iq, rate_hz, {"symbol_rate_hz": symbol_rate_hz, "code": kind}


def fsk(tones: int, *, shaped: bool) -> Callable[[Draw], Drawn]:
    """Frequency keying with `tones` tones; `shaped` by a Gaussian at low index (GFSK, GMSK)."""

    def make(draw: Draw) -> Drawn:
        rng = draw.rng
        index = float(rng.uniform(0.5, 0.9) if shaped else rng.uniform(0.8, 2.5))
        if tones == 4:
            index = float(rng.uniform(0.27, 0.9))
        wanted_hz = draw.bandwidth_hz(2e3, 150e3)
        # About the 99 % bandwidth: the outer tones' distance and a little more than a symbol rate.
        symbol_rate_hz = wanted_hz / (index * (tones - 1) + (0.75 if shaped or tones == 4 else 1.2))
        samples_per_symbol = int(np.ceil(4 * wanted_hz / symbol_rate_hz / 4) * 4)
        rate_hz = symbol_rate_hz * samples_per_symbol
        count = draw.samples(rate_hz)
        data = 2.0 * draw.symbols(symbol_rate_hz, tones) - (tones - 1)
        data[:32] = (np.tile([1, -1], 16) * (tones - 1))[: len(data)]  # a preamble
        # Pulses nearly rectangular where not shaped: transmitters have no endless bandwidth.
        bt = float((0.3, 0.5, 1.0)[rng.integers(3)] if shaped else rng.uniform(1.5, 4))
        times = np.arange(-3 * samples_per_symbol, 3 * samples_per_symbol) + 0.5
        pulse = gaussian_frequency(torch.from_numpy(times / samples_per_symbol), bt).numpy()
        steps = np.zeros(len(data) * samples_per_symbol)
        steps[::samples_per_symbol] = data
        frequency = np.convolve(steps, pulse)[3 * samples_per_symbol :][:count]
        iq = np.exp(1j * np.pi * index * np.cumsum(frequency) / samples_per_symbol)
        truth = {
            "symbol_rate_hz": symbol_rate_hz,
            "deviation_hz": index * symbol_rate_hz / 2 * (tones - 1),
            "modulation_index": index,
            "tones": tones,
        }
        return iq, rate_hz, truth

    return make


def lora(draw: Draw) -> Drawn:
    """LoRa: chirps over the whole band, each starting where its symbol says; packets repeat."""
    rng = draw.rng
    bandwidth_hz = draw.wanted_hz or (62.5e3, 125e3, 250e3)[rng.integers(3)]
    factor = int(rng.integers(7, 11))
    chips = 1 << factor
    oversampling = 4
    rate_hz = oversampling * bandwidth_hz
    count = draw.samples(rate_hz)
    phase_step = []
    total = 0
    ramp = (np.arange(chips * oversampling) + 0.5) / oversampling / chips
    up = [0] * 8
    while total < count:
        data = rng.integers(0, chips, int(rng.integers(20, 60)))
        for symbol in (*up, 8, 16, *data):
            phase_step.append((ramp + symbol / chips) % 1.0 - 0.5)
        for down in (1.0, 1.0, 0.25):
            phase_step.append(0.5 - ramp[: int(down * len(ramp))])
        total += (len(up) + 2 + len(data)) * len(ramp) + int(2.25 * len(ramp))
    frequency = np.concatenate(phase_step)[:count] * bandwidth_hz
    iq = np.exp(2j * np.pi * np.cumsum(frequency) / rate_hz)
    truth = {"symbol_rate_hz": bandwidth_hz / chips, "spreading_factor": factor}
    return iq, rate_hz, truth


def pulses(draw: Draw) -> Drawn:
    """Messages of pulse-position bits behind a preamble, as Mode S sends them, at random times."""
    rng = draw.rng
    bit_rate_hz = draw.bandwidth_hz(300e3, 1.6e6) / 4.0
    half = 8  # samples of half a bit
    rate_hz = 2 * half * bit_rate_hz
    count = draw.samples(rate_hz)
    level = np.zeros(count)
    at = 0
    preamble = np.zeros(16, int)
    preamble[[0, 2, 7, 9]] = 1
    while at < count:
        bits = rng.integers(0, 2, (56, 112)[rng.integers(2)])
        message = np.concatenate((preamble, np.stack((bits, 1 - bits), 1).ravel()))
        span = np.repeat(message, half)[: count - at]
        level[at : at + len(span)] = span
        at += len(message) * half + round(rng.exponential(60) * 16 * half)
    level = ndimage.gaussian_filter1d(level, half / 6)
    return level.astype(complex), rate_hz, {"symbol_rate_hz": 2 * bit_rate_hz}
