# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbol rates of isolated emissions with noise, at the SNR the figures are promised for."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.survey.measurement import keying, sent
from gr_tsddae.survey.symbols.multicarrier import multicarrier
from gr_tsddae.survey.symbols.single_carrier import chirp_rate, symbol_rate
from gr_tsddae.synth.emission import make
from gr_tsddae.synth.emission.parts import at_rate

KEYED = (
    *("OOK", "2-FSK", "4-FSK", "GFSK", "BPSK", "QPSK", "OQPSK", "pi/4-DQPSK", "8PSK"),
    *("QAM16", "QAM64"),
)


def isolated(label: str, seed: int, snr_db: float, seconds: float = 0.3, width_hz: float = 0.0):
    """An emission, filtered to its bandwidth and at four times it, with noise."""
    rng = np.random.default_rng(seed)
    emission = make(label, rng, seconds, *([width_hz] if width_hz else []))
    width_hz, rate_hz = emission.bandwidth_hz, emission.rate_hz
    center_hz = (emission.low_hz + emission.high_hz) / 2
    count = len(emission.iq)
    iq = emission.iq * np.exp(-2j * np.pi * center_hz * np.arange(count) / rate_hz)
    noise = rng.standard_normal((2, count)) * np.sqrt(
        0.5 * 10 ** (-snr_db / 10) * rate_hz / width_hz
    )
    spectrum = np.fft.fft(iq + noise[0] + 1j * noise[1])
    hz = np.abs(np.fft.fftfreq(count, 1 / rate_hz))
    inside = np.clip((0.65 * width_hz - hz) / (0.15 * width_hz), 0, 1)
    iq = at_rate(np.fft.ifft(spectrum * inside), rate_hz, 4 * width_hz, int(4 * width_hz * seconds))
    return emission, iq[100:-100].astype(np.complex64), 4 * width_hz


@pytest.mark.parametrize("label", KEYED)
def test_most_symbol_rates_are_right_at_10_db(label):
    right = []
    for seed in range(5):
        emission, iq, rate_hz = isolated(label, 300 + seed, 10.0)
        found = symbol_rate([iq], rate_hz, emission.bandwidth_hz, 10.0)
        true_hz = emission.truth["symbol_rate_hz"]
        right.append(found is not None and abs(found.rate_hz / true_hz - 1) < 0.01)
    assert sum(right) >= (3 if label == "4-FSK" else 4)


@pytest.mark.parametrize("label", ["AM-SSB", "FM", "LoRa", "OFDM"])
def test_what_has_no_symbols_mostly_gets_no_rate(label):
    rates = []
    for seed in range(5):
        emission, iq, rate_hz = isolated(label, 400 + seed, 15.0)
        rates.append(symbol_rate([iq], rate_hz, emission.bandwidth_hz, 15.0))
    assert sum(rate is not None for rate in rates) <= 1


def test_the_slope_of_a_chirp():
    emission, iq, rate_hz = isolated("LoRa", 1, 10.0)
    chips = 1 << emission.truth["spreading_factor"]
    band_hz = emission.truth["symbol_rate_hz"] * chips
    slope = chirp_rate([iq], rate_hz, emission.bandwidth_hz)
    assert slope == pytest.approx(band_hz**2 / chips, rel=0.1)
    for label in ("FM", "GFSK", "2-FSK"):
        emission, iq, rate_hz = isolated(label, 1, 10.0)
        assert chirp_rate([iq], rate_hz, emission.bandwidth_hz) is None


def test_short_pulses_show_no_chirp():
    rng = np.random.default_rng(1)
    kernel = np.sinc(np.arange(-32, 33) / 4) * np.hanning(65)
    for _ in range(50):
        pulses = []
        for samples in (124, 155, 186):
            noise = rng.standard_normal((2, samples + 64))
            pulse = np.convolve(noise[0] + 1j * noise[1], kernel, "same")[32:-32]
            pulses.append((pulse * np.hanning(samples) ** 4).astype(np.complex64))
        assert chirp_rate(pulses, 4.0, 1.0) is None


def test_noise_has_no_rate():
    rng = np.random.default_rng(1)
    for _ in range(20):
        iq = (rng.standard_normal(8192) + 1j * rng.standard_normal(8192)).astype(np.complex64)
        assert symbol_rate([iq], 4e4, 1e4, 0.0) is None


def test_pieces_of_bursts_are_taken_together():
    emission, iq, rate_hz = isolated("QPSK", 7, 10.0)
    pieces = [iq[k * 900 : k * 900 + 800] for k in range(10)]
    found = symbol_rate(pieces, rate_hz, emission.bandwidth_hz, 10.0)
    assert found.rate_hz == pytest.approx(emission.truth["symbol_rate_hz"], rel=0.01)


@pytest.mark.parametrize("label", ["BPSK", "QPSK"])
def test_many_short_bursts_tell_what_each_is_too_short_for(label):
    right = 0
    for seed in range(4):
        emission, iq, rate_hz = isolated(label, 600 + seed, 12.0, 0.5, 30e3)
        true_hz = emission.truth["symbol_rate_hz"]
        burst = round(150 * rate_hz / true_hz)
        pieces = [iq[at : at + burst] for at in range(0, len(iq) - burst, 2 * burst)][:24]
        found = symbol_rate(pieces, rate_hz, emission.bandwidth_hz, 12.0)
        right += found is not None and abs(found.rate_hz / true_hz - 1) < 0.01
    assert right >= 3


def test_bursts_of_another_keying_are_not_taken_for_on_off_keying():
    emission, iq, rate_hz = isolated("QAM16", 3, 20.0, 0.3, 40e3)
    burst = round(150 * rate_hz / emission.truth["symbol_rate_hz"])
    on = np.arange(len(iq)) % (2 * burst) < burst
    rng = np.random.default_rng(1)
    silence = 0.02 * (rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq)))
    gated = np.where(on, iq / np.sqrt(np.mean(np.abs(iq) ** 2)), silence).astype(np.complex64)
    found = symbol_rate([gated], rate_hz, emission.bandwidth_hz, 15.0)
    assert found is not None and found.keying == "linear"
    assert found.rate_hz == pytest.approx(emission.truth["symbol_rate_hz"], rel=1e-3)


def test_too_few_samples_have_no_rate():
    assert symbol_rate([np.ones(10, np.complex64)], 1e4, 1e3, 10.0) is None
    assert keying([], 1e4, 1e3, 10.0) == (None, {})


@pytest.mark.parametrize("label", ["2-FSK", "4-FSK"])
def test_deviation_of_fsk(label):
    errors = []
    for seed in range(5):
        emission, iq, rate_hz = isolated(label, 500 + seed, 20.0)
        symbols, measured = keying([iq], rate_hz, emission.bandwidth_hz, 20.0)
        if symbols is not None:
            errors.append(abs(measured["deviation_hz"] / emission.truth["deviation_hz"] - 1))
    assert len(errors) >= 3
    assert np.median(errors) < 0.15


def test_useful_length_and_prefix_of_ofdm():
    right = 0
    for seed in range(6):
        emission, iq, rate_hz = isolated("OFDM", 600 + seed, 10.0)
        found = multicarrier([iq], rate_hz, emission.bandwidth_hz)
        true_s = emission.truth["useful_s"]
        right += bool(found) and abs(found["ofdm_useful_s"] / true_s - 1) < 0.01
        if "ofdm_prefix_s" in found:
            assert found["ofdm_prefix_s"] == pytest.approx(
                emission.truth["prefix_s"], abs=0.03 * true_s
            )
    assert right >= 4


def wide_fsk(symbols: int, samples_per_symbol: float, index: float, seed: int) -> np.ndarray:
    """Unshaped 2-FSK behind a preamble, with a little noise: complex64."""
    rng = np.random.default_rng(seed)
    bits = np.concatenate((np.tile([1, -1], 20), rng.choice([1, -1], symbols - 40)))
    at = (np.arange(int(symbols * samples_per_symbol)) / samples_per_symbol).astype(int)
    phase = np.cumsum(np.pi * index / samples_per_symbol * bits[at])
    noise = rng.standard_normal((2, len(at))) * 0.05
    return (np.exp(1j * phase) + noise[0] + 1j * noise[1]).astype(np.complex64)


@pytest.mark.parametrize("index", [1.0, 2.5, 6.0, 9.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_lines_of_wide_fsk_are_folded_to_the_symbol_rate(index, seed):
    """Its bandwidth holds many multiples of the symbol rate, and any may be the strongest line."""
    samples_per_symbol = 4 * (index + 1.2) + 0.37
    iq = wide_fsk(300, samples_per_symbol, index, seed)
    found = symbol_rate([iq], 1e5, 25e3, 20.0)
    assert found is not None and found.keying == "frequency"
    assert found.rate_hz == pytest.approx(1e5 / samples_per_symbol, rel=0.01)


def test_silence_around_short_bursts_is_no_keying():
    rng = np.random.default_rng(4)
    line = (0.01 * rng.standard_normal((2, 40_000))).T.copy().view(complex)[:, 0]
    for start in (3000, 14_000, 30_000):
        line[start : start + 2600] += wide_fsk(250, 10.4, 1.2, start)[:2600]
    parts = sent(line.astype(np.complex64), 1e5, 25e3)
    assert [len(part) for part in parts] == pytest.approx([2600] * 3, abs=30)
    symbols, measured = keying([line.astype(np.complex64)], 1e5, 25e3, 20.0)
    assert symbols.rate_hz == pytest.approx(1e5 / 10.4, rel=0.01)
    assert measured["keying"] == "frequency"


def test_a_code_with_pauses_stays_in_one_piece():
    code = np.repeat([1, 0, 1, 1, 0, 0, 1, 0] * 40, 12) * (1 + 0j)
    assert len(sent(code.astype(np.complex64), 1e5, 2e4)) == 1
    assert sent(np.zeros(10, np.complex64), 1e5, 2e4) == []
