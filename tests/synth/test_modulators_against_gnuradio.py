# SPDX-License-Identifier: GPL-3.0-or-later
"""Our modulators against the GNU Radio blocks that made the RML2016 classes.

The sharpest test is remodulation: symbols are read back from our window and sent through GNU
Radio's block, and the same waveform must come out. Spectra, moments and histograms then check
what remodulation cannot see: that symbols and audio are spread as they should be.
"""

import numpy as np
import pytest
import torch
from scipy.signal import welch
from scipy.stats import wasserstein_distance

from gr_tsddae.synth import modulators
from gr_tsddae.synth.modulators import MODULATORS, Timing
from gr_tsddae.synth.pulses import root_raised_cosine

try:
    from gnuradio import analog, blocks, digital, filter, gr
except Exception as error:  # an incompatible numpy does not raise ImportError
    pytest.skip(f"GNU Radio cannot be imported: {error}", allow_module_level=True)

SAMPLES_PER_SYMBOL = 8
ROLLOFF = 0.35
# Constellations as GNU Radio turns them (PAM4, which it lacks, by definition), of unit energy.
CONSTELLATIONS = {
    name: np.array(points) / np.sqrt(np.mean(np.abs(points) ** 2))
    for name, points in {
        "BPSK": digital.constellation_bpsk().points(),
        "QPSK": digital.constellation_qpsk().points(),
        "8PSK": digital.constellation_8psk().points(),
        "PAM4": (-3, -1, 1, 3),
        "QAM16": digital.constellation_16qam().points(),
        "QAM64": digital.qam.qam_constellation(64, differential=False).points(),
    }.items()
}
# C40 (up to a turn of the constellation) and C42 of unit-energy symbols, from their definitions.
CUMULANTS = {
    "BPSK": (2.0, -2.0),
    "QPSK": (1.0, -1.0),
    "8PSK": (0.0, -1.0),
    "PAM4": (1.36, -1.36),
    "QAM16": (0.68, -0.68),
    "QAM64": (0.619, -0.619),
}


def flow(source, *chain):
    """Everything that a chain of blocks makes of a finite source."""
    top = gr.top_block()
    sink = blocks.vector_sink_c()
    top.connect(source, *chain, sink)
    top.run()
    return np.array(sink.data())


def gnuradio_linear(symbols):
    """Symbols through the RRC resampler of GNU Radio's generic modulator."""
    arms = 32
    taps = filter.firdes.root_raised_cosine(
        arms, arms, 1.0, ROLLOFF, arms * 11 * SAMPLES_PER_SYMBOL
    )
    source = blocks.vector_source_c(symbols.tolist())
    return flow(source, filter.pfb_arb_resampler_ccf(SAMPLES_PER_SYMBOL, taps))


def gnuradio_gfsk(bits):
    """Bits, one per byte, through GNU Radio's GFSK modulator as RML2016 set it."""
    source = blocks.vector_source_b(bits.astype(np.uint8).tolist())
    return flow(
        source, digital.gfsk_mod(SAMPLES_PER_SYMBOL, sensitivity=0.1, bt=0.35, do_unpack=False)
    )


def gnuradio_cpfsk(bits):
    """Bits, one per byte, through GNU Radio's CPFSK modulator as RML2016 set it."""
    source = blocks.vector_source_b(bits.astype(np.uint8).tolist())
    return flow(source, analog.cpfsk_bc(0.5, 1.0, SAMPLES_PER_SYMBOL))


def gnuradio_wbfm(audio):
    """Audio at 44.1 kHz through GNU Radio's wide-band FM transmitter as RML2016 set it."""
    source = blocks.vector_source_f(audio.tolist())
    return flow(source, analog.wfm_tx(audio_rate=44100, quad_rate=220500))


def gnuradio_am_dsb(audio):
    """Audio at 44.1 kHz, resampled to 200 kHz, on a carrier of 1."""
    resampler = filter.mmse_resampler_ff(0.0, 44.1e3 / 200e3)
    source = blocks.vector_source_f(audio.tolist())
    return flow(source, resampler, blocks.float_to_complex(), blocks.add_const_cc(1.0))


def gnuradio_am_ssb(audio):
    """Audio at 200 kHz through GNU Radio's Hilbert transformer."""
    return flow(blocks.vector_source_f(audio.tolist()), filter.hilbert_fc(401))


def matched_symbols(waveform):
    """RRC waveform -> symbols, behind the matched filter, away from the ends."""
    reach = 20  # symbols
    density = SAMPLES_PER_SYMBOL
    taps = filter.firdes.root_raised_cosine(1.0, density, 1.0, ROLLOFF, 2 * reach * density + 1)
    filtered = np.convolve(waveform, taps, "same")
    by_phase = filtered[: filtered.size // density * density].reshape(-1, density)[50:-50]
    # Power is greatest where the eye is open: between symbols neighbours partly cancel.
    power = np.mean(np.abs(by_phase) ** 2, axis=0)
    return by_phase[:, power.argmax()]


def frequency_of(waveform):
    """Instantaneous frequency, radians per sample, along the last axis."""
    return np.angle(waveform[..., 1:] * waveform[..., :-1].conj())


def fitted(ours, theirs):
    """Puts theirs at its best lag and complex gain: what is left of ours in dB, and the gain."""
    windows = np.lib.stride_tricks.sliding_window_view(theirs, ours.size)
    likeness = np.abs(windows.conj() @ ours) / np.linalg.norm(windows, axis=1)
    best = windows[likeness.argmax()]
    gain = np.vdot(best, ours) / np.vdot(best, best)
    left = np.linalg.norm(ours - gain * best) / np.linalg.norm(ours)
    return 20 * np.log10(left), gain


def spectrum_difference_db(ours, theirs, *, floor_db=-30.0):
    """Largest distance of two power spectra where theirs is within `floor_db` of its peak."""

    def density(waveform):
        power = welch(waveform, window="hann", nperseg=128, detrend=False, return_onesided=False)[1]
        return power.reshape(-1, 128).mean(0)

    ours, theirs = density(ours), density(theirs)
    strong = theirs > theirs.max() * 10 ** (floor_db / 10)
    return np.abs(10 * np.log10(ours[strong] / theirs[strong])).max()


def line(waveform, frequency_hz, rate_hz):
    """Complex amplitude of the tone at a frequency, lines some kHz away left out."""
    n = np.arange(waveform.size)
    weight = np.hanning(waveform.size)
    probe = weight * np.exp(-2j * np.pi * frequency_hz / rate_hz * n)
    return waveform @ probe / weight.sum()


def moments(symbols):
    """|E a^2|, E |a|^4, |C40|, C42 of symbols scaled to unit energy, and |E (a/|a|)^8|."""
    a = symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))
    second, fourth = np.mean(a**2), np.mean(np.abs(a) ** 4)
    return (
        abs(second),
        fourth,
        abs(np.mean(a**4) - 3 * second**2),
        fourth - abs(second) ** 2 - 2,
        abs(np.mean((a / np.abs(a)) ** 8)),  # what tells 8PSK from other circles
    )


def random_bits(count, seed=5):
    return np.random.default_rng(seed).integers(0, 2, count)


@pytest.fixture(scope="module")
def gnuradio_waveform():
    """Class name -> a long GNU Radio waveform of random symbols, made once."""
    rng = np.random.default_rng(3)
    made = {}

    def waveform(name):
        if name not in made:
            if name in CONSTELLATIONS:
                made[name] = gnuradio_linear(rng.choice(CONSTELLATIONS[name], 16384))
            else:
                made[name] = {"GFSK": gnuradio_gfsk, "CPFSK": gnuradio_cpfsk}[name](
                    random_bits(16384)
                )
        return made[name][2000:]

    return waveform


@pytest.fixture
def audio_of(monkeypatch):
    """Gives the analogue modulators an audio of chosen tones: audio_of({frequency_hz: amplitude}).

    Returns the same audio, a tenth of a second of it, sampled at a given rate, for GNU Radio.
    """

    def choose(tones, rate_hz=44.1e3):
        def audio(timing, generator):
            one = torch.ones(timing.batch, 1)
            return one * torch.tensor(list(tones)), one * torch.tensor(list(tones.values()))

        monkeypatch.setattr(modulators, "_audio", audio)
        t = np.arange(int(0.1 * rate_hz)) / rate_hz
        return sum(a * np.cos(2 * np.pi * f * t) for f, a in tones.items())

    return choose


def test_rrc_pulse():
    span, density = 22, 32
    theirs = filter.firdes.root_raised_cosine(density, density, 1.0, ROLLOFF, span * density + 1)
    t = torch.arange(-span * density // 2, span * density // 2 + 1) / density
    np.testing.assert_allclose(root_raised_cosine(t, ROLLOFF), theirs, atol=1e-3)


@pytest.mark.parametrize("name", CONSTELLATIONS)
def test_linear_remodulates(name, fixed_timing, seeded):
    ours = MODULATORS[name](fixed_timing(batch=1, window_samples=4096), seeded(1))[0].numpy()
    symbols = matched_symbols(ours)
    theirs = gnuradio_linear(np.concatenate([np.zeros(50), symbols, np.zeros(100)]))
    left_db, gain = fitted(ours[800:-800], theirs)
    # Our pulse ends after 5.5 symbols, theirs after 44: that is what is left.
    assert left_db < -38
    assert abs(gain) == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("name", CONSTELLATIONS)
def test_linear_moments(name, fixed_timing, seeded, gnuradio_waveform):
    ours = MODULATORS[name](fixed_timing(batch=16, window_samples=8192), seeded(2)).numpy()
    assert np.mean(np.abs(ours) ** 2) == pytest.approx(1, abs=0.03)  # before any normalisation
    ours = moments(np.concatenate([matched_symbols(row) for row in ours]))
    theirs = moments(matched_symbols(gnuradio_waveform(name)))
    np.testing.assert_allclose(ours, theirs, atol=0.04)
    np.testing.assert_allclose(ours[2:4], CUMULANTS[name], atol=0.03)
    if "PSK" in name:  # no intersymbol interference: all symbols are equally strong
        assert ours[1] == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("name", [*CONSTELLATIONS, "GFSK", "CPFSK"])
def test_spectrum_of_digital_classes(name, seeded, gnuradio_waveform):
    ours = MODULATORS[name](Timing(torch.full((64,), 8.0), 4096), seeded(3)).numpy()
    assert spectrum_difference_db(ours, gnuradio_waveform(name)) < 1


def test_gfsk_remodulates(fixed_timing, seeded):
    # GNU Radio's Gaussian filter has its peak between two samples: half a sample of phase.
    timing = fixed_timing(batch=1, window_samples=4096, phase_symbols=0.5 / 8)
    ours = modulators.gfsk(timing, seeded(4))[0].numpy()
    bits = frequency_of(ours)[7::8] > 0  # in the middle of symbols 1, 2, ...
    left_db, gain = fitted(ours[64:-64], gnuradio_gfsk(np.append(bits, [0] * 16)))
    assert left_db < -50
    assert abs(gain) == pytest.approx(1, abs=0.002)  # GNU Radio sends 0.999


def test_gfsk_frequency(fixed_timing, seeded, gnuradio_waveform):
    """Extremes, spread, and phase advance from one symbol's start to the next."""
    timing = fixed_timing(batch=32, window_samples=8192, phase_symbols=0.5 / 8 - 0.5)
    ours = frequency_of(modulators.gfsk(timing, seeded(5)).numpy())
    theirs = frequency_of(gnuradio_waveform("GFSK"))
    extremes = theirs.min(), theirs.max()
    assert (ours.min(), ours.max()) == pytest.approx(extremes, rel=1e-3)
    # Magnitudes, because random data are never quite as often 0 as 1.
    ours, theirs = np.abs(ours), np.abs(theirs)
    assert wasserstein_distance(ours.ravel(), theirs) < 1e-3


@pytest.mark.parametrize("modulate", [modulators.gfsk, modulators.cpfsk])
@pytest.mark.parametrize("samples_per_symbol", [8.0, 8.3, 5.0])
def test_fsk_phase_advance_per_symbol(modulate, samples_per_symbol, seeded):
    """Runs of one bit turn the phase by pi h per symbol, whatever the sample clock."""
    index = {"gfsk": modulators.GFSK_INDEX, "cpfsk": modulators.CPFSK_INDEX}[modulate.__name__]
    timing = Timing(torch.full((32,), samples_per_symbol), 2048)
    waveform = modulate(timing, seeded(6)).numpy()
    np.testing.assert_allclose(np.abs(waveform), 1, atol=1e-5)
    largest = np.abs(frequency_of(waveform)).max()
    assert largest * samples_per_symbol == pytest.approx(np.pi * index, rel=2e-3)


def test_cpfsk_remodulates(fixed_timing, seeded):
    ours = modulators.cpfsk(fixed_timing(batch=1, window_samples=4096), seeded(6))[0].numpy()
    bits = frequency_of(ours)[3::8] > 0  # in the middle of symbols 0, 1, ...
    left_db, gain = fitted(ours[8:-8], gnuradio_cpfsk(bits))
    assert left_db < -80
    assert abs(gain) == pytest.approx(1, abs=1e-4)


def test_cpfsk_frequency(fixed_timing, seeded, gnuradio_waveform):
    waveform = modulators.cpfsk(fixed_timing(batch=8, window_samples=8192), seeded(7)).numpy()
    theirs = frequency_of(gnuradio_waveform("CPFSK"))
    step = np.pi * 0.5 / 8
    np.testing.assert_allclose(np.abs(theirs), step, atol=1e-4)
    np.testing.assert_allclose(np.abs(frequency_of(waveform)), step, atol=1e-4)
    # Each symbol's phase advance, and both signs as often.
    advance = frequency_of(waveform[:, ::8])
    np.testing.assert_allclose(np.abs(advance), np.pi / 2, atol=1e-3)
    assert np.mean(advance > 0) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    "tones", [{300: 0.2}, {1000: 0.2}, {3000: 0.2}, {8000: 0.2}, {700: 0.3, 6000: 0.1}], ids=str
)
def test_wbfm(tones, audio_of, seeded):
    """Deviation, pre-emphasis and audio pitch, tone by tone."""
    theirs = gnuradio_wbfm(audio_of(tones))[4000:][:16384]
    ours = modulators.wbfm(Timing(torch.full((1,), 8.0), 16384), seeded(8))[0].numpy()
    np.testing.assert_allclose(np.abs(ours), 1, atol=1e-5)
    np.testing.assert_allclose(np.abs(theirs), 1, atol=1e-3)
    for frequency_hz in tones:
        swing, their_swing = (
            abs(line(frequency_of(waveform), frequency_hz, 220.5e3)) for waveform in (ours, theirs)
        )
        assert swing == pytest.approx(their_swing, rel=0.01), frequency_hz
    # Not further down: GNU Radio's pre-emphasis lifts its interpolator's images of the audio, 44.1
    # and 88.2 kHz away, until they make sidebands 20 dB under the spectrum's peak. Ours has none.
    assert spectrum_difference_db(ours, theirs, floor_db=-12) < 1


def test_wbfm_of_random_audio_keeps_its_envelope(seeded):
    waveform = modulators.wbfm(Timing(torch.full((64,), 8.0), 1024), seeded(9))
    np.testing.assert_allclose(waveform.abs(), 1, atol=1e-5)


@pytest.mark.parametrize("tones", [{500: 0.4}, {5000: 0.4}, {900: 0.3, 4000: 0.2}], ids=str)
def test_am_dsb(tones, audio_of, seeded):
    """Carrier, both sidebands, and nothing else."""
    theirs = gnuradio_am_dsb(audio_of(tones))[2000:][:16000]
    ours = modulators.am_dsb(Timing(torch.full((1,), 8.0), 16000), seeded(10))[0].numpy()
    for frequency_hz in (0, *tones, *(-f for f in tones)):
        level, their_level = (abs(line(w, frequency_hz, 200e3)) for w in (ours, theirs))
        assert level == pytest.approx(their_level, rel=0.005), frequency_hz
    np.testing.assert_allclose(ours.imag, 0)
    power = 1 + sum(a**2 / 2 for a in tones.values())
    assert np.mean(np.abs(ours) ** 2) == pytest.approx(power, rel=0.01)


def test_am_ssb(audio_of, seeded):
    """One sideband, at the place where GNU Radio's Hilbert transformer leaves it, or its mirror."""
    theirs = gnuradio_am_ssb(audio_of({3000: 0.4, 1100: 0.2}, rate_hz=200e3))[2000:12000]
    ours = modulators.am_ssb(Timing(torch.full((64,), 8.0), 8192), seeded(11)).numpy()
    np.testing.assert_allclose(np.mean(np.abs(ours) ** 2, axis=1), 1, rtol=1e-4)
    upper = np.array([abs(line(row, 3000, 200e3)) > 0.1 for row in ours])
    assert 10 < upper.sum() < 54  # either sideband as often
    for row in (ours[upper][0], ours[~upper][0].conj()):
        for frequency_hz in (3000, 1100):
            level = abs(line(row, frequency_hz, 200e3)) / abs(line(row, 3000, 200e3))
            their_level = abs(line(theirs, frequency_hz, 200e3) / line(theirs, 3000, 200e3))
            assert level == pytest.approx(their_level, rel=0.01)
            for waveform in (row, theirs):
                image = abs(line(waveform, -frequency_hz, 200e3))
                assert image < 0.01 * abs(line(waveform, frequency_hz, 200e3))
