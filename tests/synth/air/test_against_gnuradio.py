"""The air's modulators against GNU Radio's own blocks, by their spectra."""

import numpy as np
import pytest
import torch
from scipy.signal import welch

from gr_tsddae.synth.air import keyed, linear
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice

try:
    from gnuradio import analog, blocks, digital, filter, gr
except Exception as error:  # an incompatible numpy does not raise ImportError
    pytest.skip(f"GNU Radio cannot be imported: {error}", allow_module_level=True)

RATES = np.linspace(-1.5, 1.5, 121)  # in symbol rates


def flow(source, *chain):
    """Everything that a chain of blocks makes of a finite source."""
    top = gr.top_block()
    sink = blocks.vector_sink_c()
    top.connect(source, *chain, sink)
    top.run()
    return np.array(sink.data())


def spectrum_db(samples, samples_per_symbol):
    """Power density at `RATES`, in decibels of the densest part."""
    f, power = welch(samples, nperseg=512, return_onesided=False)
    order = np.argsort(f)
    density = np.interp(RATES / samples_per_symbol, f[order], power[order])
    density = np.convolve(density, np.ones(5) / 5, "same")
    return 10 * np.log10(np.maximum(density / density.max(), 1e-4))


def ours(tones, index, bt):
    """A long stretch of our keying, and its samples per symbol."""
    dice = Dice(64, torch.Generator().manual_seed(1))
    every = torch.ones(64, 1)
    data = dice.integers(tones, keyed.MOST_UNITS)
    sent = keyed.frequency_keyed(tones, index * every, bt * every, dice, data=data)
    return sent.iq.flatten().numpy(), keyed.OVERSAMPLING * (index * (tones - 1) + 1)


def random_bytes(top, count=40_000):
    return np.random.default_rng(2).integers(0, top, count).tolist()


@pytest.mark.parametrize("bt", [0.3, 0.5])
def test_gmsk_has_the_spectrum_of_gnuradios(bt):
    source = blocks.vector_source_b(random_bytes(256, 5000))
    theirs = flow(source, digital.gmsk_mod(samples_per_symbol=8, bt=bt))
    difference = spectrum_db(theirs, 8) - spectrum_db(*ours(2, 0.5, bt))
    assert np.abs(difference[np.abs(RATES) < 0.58]).max() < 1.2  # to 23 dB below the top


def test_unshaped_two_fsk_has_the_spectrum_of_gnuradios():
    bits = (2 * np.random.default_rng(2).integers(0, 2, 40_000) - 1).astype(np.int8)
    source = blocks.vector_source_b(bits.view(np.uint8).tolist())
    theirs = flow(source, analog.cpfsk_bc(0.7, 1.0, 8))
    difference = spectrum_db(theirs, 8) - spectrum_db(*ours(2, 0.7, 50.0))
    assert np.abs(difference[np.abs(RATES) < 1.0]).max() < 2.5


@pytest.mark.parametrize("rolloff", [0.2, 0.35, 0.7])
def test_the_pulse_has_the_response_of_gnuradios_root_raised_cosine(rolloff, monkeypatch):
    monkeypatch.setattr(linear, "RAISED_COSINE_SHARE", 0.0)
    monkeypatch.setattr(Dice, "log_uniform", lambda self, *_: torch.full((self.batch, 1), rolloff))
    dice = Dice(2, torch.Generator().manual_seed(1))
    response = linear.responses(dice, rectangular=0.0)[0].numpy()
    per_symbol = linear.SAMPLES_PER_SYMBOL
    taps = filter.firdes.root_raised_cosine(1, per_symbol, 1, rolloff, 40 * per_symbol + 1)
    theirs = np.abs(np.fft.fft(taps, SOURCE_SAMPLES))
    np.testing.assert_allclose(response, theirs / theirs[0], atol=0.03)


def test_constellations_are_gnuradios():
    """The same points, up to a turn and the mean power."""
    for name, theirs in (
        ("BPSK", digital.constellation_bpsk()),
        ("QPSK", digital.constellation_qpsk()),
        ("8PSK", digital.constellation_8psk()),
        ("QAM16", digital.constellation_16qam()),
    ):
        points = np.array(theirs.points())
        points = points / np.sqrt(np.mean(np.abs(points) ** 2))
        alphabet = linear.ALPHABETS[name].numpy()
        turn = points[0] / alphabet[np.abs(np.abs(alphabet) - np.abs(points[0])).argmin()]
        distance = np.abs(alphabet[:, None] * turn - points).min(1)
        assert distance.max() < 1e-3, name
