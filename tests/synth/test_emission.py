# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissions at their own rate: what is said of them is in their samples."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.synth.emission import LABELS, make
from gr_tsddae.synth.emission.audio import RATE_HZ, speech
from gr_tsddae.synth.emission.parts import at_rate, occupied

LINEAR = ("BPSK", "QPSK", "pi/4-DQPSK", "8PSK", "QAM16", "QAM64")


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("label", LABELS)
def test_every_class_has_unit_power_and_about_the_bandwidth_asked_for(label):
    wanted_hz = 3e3 if label == "AM-SSB" else 20e3
    emission = make(label, rng(), 0.3, wanted_hz)
    assert emission.iq.dtype == np.complex64
    assert np.mean(np.abs(emission.iq) ** 2) == pytest.approx(1, abs=1e-3)
    assert len(emission.iq) / emission.rate_hz == pytest.approx(0.3, rel=0.25)
    if label == "carrier":
        assert emission.bandwidth_hz == 0
    elif label == "AM-DSB":  # with a carrier of nearly all the power, less
        assert 0.1 * wanted_hz < emission.bandwidth_hz < 1.3 * wanted_hz
    else:
        assert 0.4 * wanted_hz < emission.bandwidth_hz < 1.8 * wanted_hz


@pytest.mark.parametrize("label", LABELS)
def test_the_same_seed_gives_the_same_samples(label):
    first, second = make(label, rng(3), 0.05), make(label, rng(3), 0.05)
    np.testing.assert_array_equal(first.iq, second.iq)
    assert first.truth == second.truth


@pytest.mark.parametrize("label", LINEAR)
def test_the_envelope_of_linear_classes_has_a_line_at_the_symbol_rate(label):
    emission = make(label, rng(), 1.0, 20e3)
    power = np.abs(emission.iq.astype(complex)) ** 2
    line = np.abs(np.fft.rfft(power - power.mean()))
    hz = np.fft.rfftfreq(len(power), 1 / emission.rate_hz)
    strongest_hz = hz[line[hz > 1e3].argmax() + np.searchsorted(hz, 1e3, "right")]
    assert strongest_hz == pytest.approx(emission.truth["symbol_rate_hz"], rel=1e-3)


def test_oqpsk_has_two_lines_in_the_square_a_symbol_rate_from_the_middle():
    emission = make("OQPSK", rng(), 1.0, 20e3)
    line = np.abs(np.fft.fft(emission.iq.astype(complex) ** 2))
    hz = np.fft.fftfreq(len(line), 1 / emission.rate_hz)
    upper, lower = hz[(line * (hz > 0)).argmax()], hz[(line * (hz < 0)).argmax()]
    assert upper == pytest.approx(emission.truth["symbol_rate_hz"], rel=1e-3)
    assert lower == pytest.approx(-emission.truth["symbol_rate_hz"], rel=1e-3)


@pytest.mark.parametrize(("label", "tones"), [("2-FSK", 2), ("4-FSK", 4)])
def test_the_frequency_of_fsk_rests_on_its_tones(label, tones):
    emission = make(label, rng(), 0.5, 20e3)
    phase = np.unwrap(np.angle(emission.iq.astype(complex)))
    frequency_hz = np.diff(phase) * emission.rate_hz / (2 * np.pi)
    deviation_hz = emission.truth["deviation_hz"]
    expected = np.linspace(-deviation_hz, deviation_hz, tones)
    step_hz = expected[1] - expected[0]
    near = np.abs(frequency_hz[:, None] - expected).min(1) < 0.15 * step_hz
    assert near.mean() > 0.6  # between tones while it turns
    at_tone = [(np.abs(frequency_hz - tone) < 0.15 * step_hz).mean() for tone in expected]
    assert min(at_tone) > 0.5 / tones


def test_ofdm_repeats_its_end_as_its_prefix():
    emission = make("OFDM", rng(), 0.5, 100e3)
    lag = round(emission.truth["useful_s"] * emission.rate_hz)
    assert lag == pytest.approx(emission.truth["useful_s"] * emission.rate_hz, abs=1e-6)
    iq = emission.iq.astype(complex)

    def likeness(at: int) -> float:
        return abs(np.mean(iq[at:] * iq[:-at].conj()))

    prefix = emission.truth["prefix_s"] / (emission.truth["useful_s"] + emission.truth["prefix_s"])
    assert likeness(lag) > 0.8 * prefix
    assert likeness(lag) > 3 * likeness(lag + 7)


def test_a_chirp_times_its_opposite_is_a_tone():
    emission = make("LoRa", rng(), 0.2, 125e3)
    chips = 1 << emission.truth["spreading_factor"]
    size = 4 * chips
    n = np.arange(size) + 0.5
    down = np.exp(-2j * np.pi * np.cumsum((n / size - 0.5) / 4))
    first = emission.iq[size : 2 * size] * down  # within the preamble
    spectrum = np.abs(np.fft.fft(first)) ** 2
    assert spectrum.max() > 0.8 * spectrum.sum()


def test_speech_pauses():
    audio = speech(rng(), 10.0)
    loud = np.sqrt(np.convolve(audio**2, np.ones(2400) / 2400, "same"))
    assert 0.05 < np.mean(loud < 0.1 * np.median(loud)) < 0.6
    spectrum = np.abs(np.fft.rfft(audio)) ** 2
    hz = np.fft.rfftfreq(len(audio), 1 / RATE_HZ)
    assert spectrum[(hz > 250) & (hz < 3600)].sum() > 0.95 * spectrum.sum()


@pytest.mark.parametrize("kind", [complex, float])
@pytest.mark.parametrize("new_hz", [7e3, 33e3])
def test_resampling_keeps_a_tone(kind, new_hz):
    old_hz, tone_hz = 20e3, 1234.0
    n = np.arange(5000)
    tone = (
        np.exp(2j * np.pi * tone_hz * n / old_hz).astype(kind)
        if kind is complex
        else np.cos(2 * np.pi * tone_hz * n / old_hz)
    )
    count = int(4000 * new_hz / old_hz)
    got = at_rate(tone, old_hz, new_hz, count)
    m = np.arange(count)
    turn = 2 * np.pi * tone_hz * m / new_hz
    expected = np.exp(1j * turn) if kind is complex else np.cos(turn)
    middle = slice(count // 10, -count // 10)
    assert np.abs(got - expected)[middle].max() < 0.05


def test_occupied_bandwidth_of_a_flat_band():
    noise = rng().standard_normal(1 << 17) + 1j * rng(8).standard_normal(1 << 17)
    spectrum = np.fft.fft(noise)
    hz = np.fft.fftfreq(len(noise), 1 / 1e5)
    spectrum[(hz < -1e4) | (hz > 2e4)] = 0
    low_hz, high_hz = occupied(np.fft.ifft(spectrum), 1e5)
    assert low_hz == pytest.approx(-1e4 + 150, abs=60)
    assert high_hz == pytest.approx(2e4 - 150, abs=60)


@pytest.mark.parametrize(
    ("label", "seconds", "bandwidth_hz"), [("WBFM", 1, None), ("BPSK", 0, None), ("BPSK", 1, -5)]
)
def test_what_cannot_be_made_is_refused(label, seconds, bandwidth_hz):
    with pytest.raises(ValueError, match=r"is no class|must both be above 0"):
        make(label, rng(), seconds, bandwidth_hz)
