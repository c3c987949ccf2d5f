# SPDX-License-Identifier: GPL-3.0-or-later
"""What the receiver adds is no emission: its mirror image, and its converter's clipping."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.survey.detection.clipping import clipping_of
from gr_tsddae.survey.detection.image import image_of
from gr_tsddae.survey.truth.scenes import survey_samples

RATE_HZ = 250e3


def noise(samples: int, seed: int, amplitude: float = 1.0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((2, samples)).astype(np.float32)
    return ((rows[0] + 1j * rows[1]) * np.float32(amplitude / np.sqrt(2))).astype(np.complex64)


def band(samples: int, low: float, high: float, seed: int) -> np.ndarray:
    """Noise of unit power between two frequencies, in cycles per sample."""
    spectrum = np.fft.fft(noise(samples, seed))
    hz = np.fft.fftfreq(samples)
    iq = np.fft.ifft(np.where((hz > low) & (hz < high), spectrum, 0))
    return (iq / np.sqrt(np.mean(np.abs(iq) ** 2))).astype(np.complex64)


def tone(samples: int, cycles: float) -> np.ndarray:
    return np.exp(2j * np.pi * cycles * np.arange(samples)).astype(np.complex64)


@pytest.mark.parametrize("image", [0.1 * np.exp(2j), 0.02j, -0.005])
def test_the_image_is_measured(image):
    sent = band(100_000, 0.1, 0.2, 1) + 0.1 * noise(100_000, 2)
    found = image_of((sent + image * sent.conj()).astype(np.complex64), 1024)
    assert abs(found - image) < max(2e-3, 0.05 * abs(image))


def test_nothing_is_taken_for_an_image_where_there_is_none():
    middle = band(100_000, -0.01, 0.01, 1).real.astype(np.complex64)  # AM, at 0 Hz
    other = band(100_000, 0.1, 0.2, 2) + 0.1 * noise(100_000, 3)
    real = other.real.astype(np.complex64)
    for samples in (other, noise(100_000, 4), middle + 0.3 * other, real):
        assert abs(image_of(samples, 1024)) < 2e-3
    assert image_of(noise(3, 1), 16) == 0


def test_a_wide_image_beside_a_weak_emission_is_no_emission():
    sent = band(500_000, 0.1, 0.2, 1) + 0.01 * noise(500_000, 2) + 0.01 * tone(500_000, -0.14)
    found = survey_samples((0.2 * (sent + 0.08 * sent.conj())).astype(np.complex64), RATE_HZ)
    assert sorted(round(e.center_hz / RATE_HZ, 2) for e in found) == [-0.14, 0.15]


def test_two_clipped_tones_are_two_emissions_and_little_else():
    iq = 0.9 * tone(250_000, 0.1) + 0.5 * tone(250_000, 0.23) + 0.01 * noise(250_000, 1)
    iq = np.clip(iq.view(np.float32), -1, 1).view(np.complex64)
    found = sorted(survey_samples(iq, RATE_HZ), key=lambda e: -e.snr_db)
    assert [round(e.center_hz / RATE_HZ, 2) for e in found[:2]] == [0.1, 0.23]
    assert len(found) < 10  # of more than thirty products


def test_what_is_not_clipped_gives_no_clipping():
    assert clipping_of(noise(10_000, 1)) is None
    assert clipping_of(np.zeros(100, np.complex64)) is None
    assert clipping_of(np.zeros(0, np.complex64)) is None


def test_flashes_that_come_and_go_with_a_much_stronger_burst_are_its_own():
    samples = 250_000
    on = np.zeros(samples, np.float32)
    for start in range(20_000, samples - 20_000, 60_000):
        on[start : start + 6000] = 1
    spilt = 0.3 * on * band(samples, 0.1, 0.18, 1) + 0.02 * on * tone(samples, -0.3)
    found = survey_samples((spilt + 0.002 * noise(samples, 2)).astype(np.complex64), RATE_HZ)
    assert [round(e.center_hz / RATE_HZ, 2) for e in found] == [0.14]
