# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream that is not what a model wants is noticed, and one that is, is left in peace."""

import dataclasses

import numpy as np
import pytest

from gr_tsddae import zoo
from gr_tsddae.survey.fit import ENOUGH_SAMPLES, misfit
from gr_tsddae.synth.emission import make
from gr_tsddae.synth.emission.parts import at_rate

RATE_HZ = 100e3


@pytest.fixture(scope="module")
def symbols(model_folder):
    return zoo.read_card(model_folder)  # 8 samples per symbol


@pytest.fixture(scope="module")
def bandwidths(symbols):
    return dataclasses.replace(symbols, samples_per_symbol=None, bandwidth_multiple=4.0)


def stream(*signals, level=0.05, seed=1):
    """Noise, and QPSK of (centre, bandwidth, amplitude) each; and the first one's symbol rate."""
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((2, ENOUGH_SAMPLES)) * level
    iq, rate_hz = parts[0] + 1j * parts[1], None
    for center_hz, bandwidth_hz, amplitude in signals:
        sent = make("QPSK", rng, 1.0, bandwidth_hz)
        rate_hz = rate_hz or sent.truth["symbol_rate_hz"]
        turn = np.exp(2j * np.pi * center_hz / RATE_HZ * np.arange(ENOUGH_SAMPLES))
        iq += amplitude * at_rate(sent.iq, sent.rate_hz, RATE_HZ, ENOUGH_SAMPLES) * turn
    return iq.astype(np.complex64), rate_hz


def test_a_signal_in_the_middle_fits(symbols, bandwidths):
    iq, symbol_rate_hz = stream((0, 25e3, 1.0))
    assert misfit(iq, RATE_HZ, bandwidths) == ""
    assert misfit(iq, None, bandwidths) == ""
    sampled = dataclasses.replace(symbols, samples_per_symbol=RATE_HZ / symbol_rate_hz)
    assert misfit(iq, RATE_HZ, sampled) == ""


def test_noise_and_silence_tell_nothing(bandwidths):
    assert misfit(stream()[0], RATE_HZ, bandwidths) == ""
    assert misfit(np.zeros(ENOUGH_SAMPLES, np.complex64), RATE_HZ, bandwidths) == ""
    assert misfit(np.ones(3, np.complex64), RATE_HZ, bandwidths) == ""


def test_several_signals(bandwidths):
    iq, _ = stream((-30e3, 12e3, 1.0), (20e3, 15e3, 0.8))
    assert "the stream holds 2 signals" in misfit(iq, RATE_HZ, bandwidths)
    iq, _ = stream((0, 25e3, 1.0), (40e3, 8e3, 0.1))  # 25 dB down: the label stays
    assert misfit(iq, RATE_HZ, bandwidths) == ""


@pytest.mark.parametrize("rate_hz", [RATE_HZ, None])
def test_a_signal_beside_the_centre(bandwidths, rate_hz):
    said = misfit(stream((15e3, 20e3, 1.0))[0], rate_hz, bandwidths)
    assert "from the centre" in said
    assert (" Hz from" if rate_hz else "lies +0.1") in said


def test_a_signal_at_another_rate(symbols, bandwidths):
    iq, symbol_rate_hz = stream((0, 8e3, 1.0))
    assert "times the signal's bandwidth" in misfit(iq, RATE_HZ, bandwidths)
    assert misfit(iq, None, bandwidths).endswith("resample it with the Conditioner")
    said = misfit(iq, RATE_HZ, symbols)
    assert f"{RATE_HZ / symbol_rate_hz:.3g}" in said and "samples per symbol" in said
