# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM's timing where pilots, echoes and frames make a signal like itself at other lags, too."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.survey.measurement import keying
from gr_tsddae.survey.symbols.multicarrier import multicarrier

RATE_HZ, CARRIERS, SIZE, PREFIX = 1.92e6, 72, 128, 9


def symbols(rng, count, *, pilot_every=0):
    """OFDM symbols as LTE's: QPSK on the carriers, strong pilots in each third symbol."""
    out = []
    for number in range(count):
        grid = np.zeros(SIZE, complex)
        points = rng.choice([1, -1], CARRIERS) + 1j * rng.choice([1, -1], CARRIERS)
        if pilot_every and number % 3 == 0:
            points[::pilot_every] *= 3
        at = np.r_[1 : CARRIERS // 2 + 1, -(CARRIERS // 2) : 0]
        grid[at] = points
        symbol = np.fft.ifft(grid)
        out.append(np.r_[symbol[-PREFIX:], symbol])
    return np.concatenate(out)


def measured(iq, rng, noise=0.05):
    level = noise * np.sqrt(np.mean(np.abs(iq) ** 2) / 2)
    iq = iq + level * (rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq)))
    return multicarrier([iq.astype(np.complex64)], RATE_HZ, CARRIERS / SIZE * RATE_HZ)


@pytest.mark.parametrize("disturbance", ["nothing", "pilots", "an echo", "frames"])
def test_the_useful_length_is_found_beside(disturbance):
    rng = np.random.default_rng(3)
    iq = symbols(rng, 400, pilot_every=6 if disturbance == "pilots" else 0)
    if disturbance == "an echo":
        iq = iq + 0.8 * np.roll(iq, 181)
    if disturbance == "frames":
        iq = np.tile(iq[: len(iq) // 8], 8) + 0.5 * iq
    found = measured(iq, rng)
    assert found["ofdm_useful_s"] == pytest.approx(SIZE / RATE_HZ, abs=1.5 / RATE_HZ)
    assert found["ofdm_prefix_s"] == pytest.approx(PREFIX / RATE_HZ, abs=2 / RATE_HZ)


def test_bursts_tell_together_what_none_tells_alone():
    rng = np.random.default_rng(5)
    bursts = []
    for _ in range(16):
        burst = symbols(rng, 14)
        noise = rng.standard_normal(len(burst)) + 1j * rng.standard_normal(len(burst))
        bursts.append((burst + 0.07 * np.std(burst) * noise).astype(np.complex64))
    width_hz = CARRIERS / SIZE * RATE_HZ
    for burst in bursts:
        assert "ofdm_prefix_s" not in multicarrier([burst], RATE_HZ, width_hz)
    found = multicarrier(bursts, RATE_HZ, width_hz)
    assert found["ofdm_useful_s"] == pytest.approx(SIZE / RATE_HZ, abs=1.5 / RATE_HZ)
    assert found["ofdm_prefix_s"] == pytest.approx(PREFIX / RATE_HZ, abs=2 / RATE_HZ)


def test_an_amplifier_that_limits_the_envelope_leaves_the_prefix():
    rng = np.random.default_rng(6)
    iq = symbols(rng, 200)
    level = np.sqrt(np.mean(np.abs(iq) ** 2))
    iq = iq / np.maximum(1, np.abs(iq) / level)
    iq = np.convolve(iq, np.sinc(np.arange(-32, 33) * 0.6) * np.hanning(65), "same")
    _, found = keying([iq.astype(np.complex64)], RATE_HZ, CARRIERS / SIZE * RATE_HZ, 40.0)
    assert found["envelope_moment"] < 1.6
    assert found["ofdm_prefix_s"] == pytest.approx(PREFIX / RATE_HZ, abs=2 / RATE_HZ)


def test_what_is_no_ofdm_has_no_timing():
    rng = np.random.default_rng(4)
    noise = rng.standard_normal(1 << 17) + 1j * rng.standard_normal(1 << 17)
    kernel = np.sinc(np.arange(-32, 33) * 0.4) * np.hanning(65)
    assert multicarrier([np.convolve(noise, kernel, "same").astype(np.complex64)], 1e6, 4e5) == {}
    assert multicarrier([noise[:200].astype(np.complex64)], 1e6, 4e5) == {}
    turn = np.cumsum(np.convolve(rng.standard_normal(1 << 17), np.ones(40) / 40, "same"))
    assert multicarrier([np.exp(0.6j * turn).astype(np.complex64)], 1e6, 4e5) == {}


def test_a_steady_voice_on_am_has_no_prefix():
    rng = np.random.default_rng(7)
    time_s = np.arange(40_000) / 4e4
    voice = sum(np.sin(2 * np.pi * 97.0 * k * time_s + k) / k for k in range(1, 30))
    iq = 1 + 0.4 * voice + 0.02 * (rng.standard_normal(40_000) + 1j * rng.standard_normal(40_000))
    assert multicarrier([iq.astype(np.complex64)], 4e4, 6e3) == {}
