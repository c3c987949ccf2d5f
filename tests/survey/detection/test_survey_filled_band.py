# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission that fills the band is one; noise that a receiver's filter shapes is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from gr_tsddae.survey.detection import filled
from gr_tsddae.survey.detection.spectrum import power_frames
from gr_tsddae.survey.truth.scenes import survey_samples


def noise(samples: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((2, samples)).astype(np.float32)
    return ((rows[0] + 1j * rows[1]) * 0.05).astype(np.complex64)


def ofdm(samples: int, size: int, used: int, prefix: int, seed: int = 1) -> np.ndarray:
    """QPSK on `used` carriers of `size`, around an empty one: complex64 (samples,), power 1."""
    rng = np.random.default_rng(seed)
    symbols = -(-samples // (size + prefix))
    carriers = np.r_[-used // 2 : 0, 1 : used // 2 + 1]
    grid = np.zeros((symbols, size), complex)
    grid[:, carriers] = rng.choice([1, -1, 1j, -1j], (symbols, used))
    body = np.fft.ifft(grid, axis=1) * size / np.sqrt(used)
    return np.concatenate((body[:, size - prefix :], body), 1).ravel()[:samples]


def shaped(samples: np.ndarray, cutoff: float, taps: int = 101) -> np.ndarray:
    """As a receiver's filter leaves it; `cutoff` is a share of the band."""
    return signal.oaconvolve(samples, signal.firwin(taps, cutoff), "same").astype(np.complex64)


@pytest.mark.parametrize(
    ("rate_hz", "size", "used", "prefix", "samples"),
    [
        (1.92e6, 128, 126, 9, 400_000),  # the middle of a wide LTE cell: no shoulders
        (10e6, 1024, 600, 72, 300_000),  # 5 MHz of it
        (10e6, 8192, 6816, 2048, 300_000),  # DVB-T
        (20e6, 64, 52, 16, 40_000),  # Wi-Fi that never pauses, 2 ms
    ],
)
def test_ofdm_that_fills_the_band_is_one_emission(rate_hz, size, used, prefix, samples):
    iq = shaped(ofdm(samples, size, used, prefix) + noise(samples), 0.9)
    found = survey_samples(iq, rate_hz)
    assert len(found) == 1
    width_hz = min(used / size, 0.9) * rate_hz
    assert found[0].bandwidth_hz == pytest.approx(width_hz, rel=0.15)
    assert abs(found[0].center_hz) < 0.05 * rate_hz
    assert found[0].stop_s - found[0].start_s == pytest.approx(samples / rate_hz, rel=0.1)


@pytest.mark.parametrize("around", [0, 200, 2000])
def test_a_frame_of_100_us_is_one_emission(around):
    frame = ofdm(2000, 64, 52, 16)
    iq = noise(2000 + 2 * around)
    iq[around : around + 2000] += frame
    found = survey_samples(iq.astype(np.complex64), 20e6)
    assert len(found) == 1
    assert found[0].bandwidth_hz == pytest.approx(16.4e6, rel=0.15)


def test_a_wide_frame_in_every_slab_leaves_its_pauses_as_floor():
    """Nine tenths of the time the band is full, so that the quiet quarter of it is full, too."""
    rng = np.random.default_rng(2)
    on = np.arange(300_000) % 20_000 >= 2000
    iq = noise(300_000) + on * rng.choice([1, -1, 1j, -1j], 300_000) * 0.5
    found = survey_samples(iq.astype(np.complex64), 2e6)
    assert len(found) == 1
    assert found[0].bandwidth_hz > 1.8e6
    assert found[0].snr_db == pytest.approx(17, abs=3)


def test_broadcast_fm_in_a_narrow_band():
    rate_hz, count = 250e3, 250_000
    rng = np.random.default_rng(3)
    audio = signal.lfilter([1], [1, -0.9], rng.standard_normal(count))
    phase = np.cumsum(2 * np.pi * 50e3 / rate_hz * np.clip(audio / audio.std(), -1.5, 1.5))
    sent = np.exp(1j * phase)
    found = survey_samples(shaped(sent + 0.5 * noise(count), 0.9), rate_hz)
    assert len(found) == 1
    spectrum = np.cumsum(np.fft.fftshift(np.abs(np.fft.fft(sent)) ** 2))
    low, high = np.searchsorted(spectrum / spectrum[-1], [0.005, 0.995]) * rate_hz / count
    assert found[0].bandwidth_hz == pytest.approx(high - low, rel=0.2)


@pytest.mark.parametrize("bits", [None, 8, 4])
@pytest.mark.parametrize("cutoff", [None, 0.9, 0.75])
def test_noise_is_no_emission_however_a_filter_and_a_converter_shape_it(bits, cutoff):
    iq = noise(500_000, 7)
    if cutoff:
        iq = shaped(iq, cutoff)
    if bits:
        step = 2.0 ** (1 - bits)
        iq = (np.rint(iq.view(np.float32) * 4 / step) * step).astype(np.float32).view(np.complex64)
    assert survey_samples(iq, 500e3) == []


def test_noise_behind_a_cic_filter_is_no_emission():
    box = np.ones(8) / 8
    droop = np.convolve(np.convolve(box, box), np.convolve(box, box))
    iq = signal.oaconvolve(noise(4_000_000), droop, "same")[::8].astype(np.complex64)
    assert survey_samples(iq, 250e3) == []


@pytest.mark.parametrize("samples", [300, 2000, 40_000])
def test_little_noise_is_no_emission(samples):
    for seed in range(10):
        assert survey_samples(shaped(noise(samples, seed), 0.8, 31), 20e6) == []


def test_many_narrow_emissions_do_not_fill_the_band():
    """Each has a rhythm of its own, and what leaks of it lies beside it only."""
    rng = np.random.default_rng(5)
    at = np.arange(300_000)
    iq = noise(300_000).astype(complex)
    for hz in range(-200_000, 201_000, 50_000):
        keyed = np.repeat(rng.choice([1, -1], 300_000 // 50), 50)
        iq += 0.2 * shaped(keyed, 0.03, 301) * np.exp(2j * np.pi * hz / 500e3 * at)
    found = survey_samples(iq.astype(np.complex64), 500e3)
    assert len(found) == 9
    assert max(e.bandwidth_hz for e in found) < 30e3


def test_the_most_noise_that_an_envelope_allows():
    tone = np.exp(0.3j * np.arange(100_000))
    power = 2 * 0.05**2
    assert filled.most_noise(noise(100_000), 0.0) == pytest.approx(power, rel=0.1)
    loud = (tone + noise(100_000)).astype(np.complex64)
    assert filled.most_noise(loud, 0.0) == pytest.approx(power, rel=0.5)
    broken = noise(100_000)
    broken[::10] += 1
    assert filled.most_noise(broken, 0.0) < 1.3 * power


def test_a_converter_that_rests_is_no_quiet_stretch():
    step = 2 / 255
    iq = noise(64 * 128)
    iq[: 64 * 32] *= 0.05
    frames = power_frames(iq, 64, 255)
    floor = np.full(64, 0.005, np.float32)
    assert filled.quieter_level(frames, floor, step) is None
    assert filled.quieter_level(frames, floor, 0.0) is not None


def test_the_step_of_a_converter():
    coarse = (np.rint(noise(5000).view(np.float32) * 64) / 64 + 0.01).view(np.complex64)
    assert filled.step_of(coarse) == pytest.approx(1 / 64, rel=1e-3)
    assert filled.step_of(noise(5000)) == 0
