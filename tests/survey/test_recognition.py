# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissions reach a model as its card wants them, and pauses do not outvote signal."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from gr_tsddae.labels import UNKNOWN
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.isolation import Isolator
from gr_tsddae.survey.recognition import likeliest, pieces, recognise, window_weights

RATE_HZ = 500e3
L = 1024


class Listener:
    """Stands in for a recogniser: keeps the windows, and says what `answer` makes of them."""

    classes = ("quiet", "loud")
    window_samples = L

    def __init__(
        self, *, bandwidth_multiple=None, samples_per_symbol=None, sample_rate_hz=None, answer=None,
        scores=None, task="amc", measured=None,
    ):  # fmt: skip
        self.card = SimpleNamespace(
            task=task,
            window_samples=L,
            bandwidth_multiple=bandwidth_multiple,
            samples_per_symbol=samples_per_symbol,
            sample_rate_hz=sample_rate_hz,
            measured=measured or {},
        )
        self.windows = None
        self._answer = answer or (lambda windows: np.tile([0.1, 0.9], (len(windows), 1)))
        self._scores = scores
        self.rejection = scores and SimpleNamespace(threshold=0.0)

    def judge(self, windows):
        self.windows = windows
        return self._answer(windows), self._scores and self._scores(windows)


def cutter(iq):
    def read(first, count):
        out = np.zeros(count, np.complex64)
        low, high = max(0, first), min(len(iq), first + count)
        if low < high:
            out[low - first : high - first] = iq[low:high]
        return out, True

    return Isolator(read, RATE_HZ, 65536)


def noise(rng, count, level=1.0):
    parts = rng.standard_normal((2, count)) * level / np.sqrt(2)
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def band_of_noise(rng, count, low_hz, high_hz, level=1.0):
    """Noise with power in one band alone, as flat as a spectrum can be."""
    hz = np.fft.fftfreq(count, 1 / RATE_HZ)
    spectrum = np.fft.fft(noise(rng, count)) * ((hz >= low_hz) & (hz < high_hz))
    iq = np.fft.ifft(spectrum)
    return (iq * level / np.sqrt(np.square(np.abs(iq)).mean())).astype(np.complex64)


def emission(low_hz, high_hz, bursts, snr_db=30.0, symbol_rate_hz=None):
    return Emission(
        id=1, start_s=bursts[0][0], stop_s=bursts[-1][1], low_hz=low_hz, high_hz=high_hz,
        snr_db=snr_db, bursts=bursts, symbol_rate_hz=symbol_rate_hz,
    )  # fmt: skip


def spectrum_of(windows):
    """Mean power per bin over windows, from -1/2 to 1/2 of the sample rate."""
    faded = windows * np.hanning(windows.shape[1])
    return np.fft.fftshift(np.square(np.abs(np.fft.fft(faded, axis=1))).mean(0))


def test_a_taught_model_gets_the_rate_of_its_recordings():
    rng = np.random.default_rng(1)
    iq = band_of_noise(rng, 400_000, 60e3, 70e3) + noise(rng, 400_000, 0.01)
    listener = Listener(sample_rate_hz=50e3)
    found = recognise(emission(60e3, 70e3, [(0.1, 0.7)]), listener, cutter(iq), RATE_HZ, 0.5)
    assert found.label == "loud"
    power = spectrum_of(listener.windows)
    edges = np.interp([0.005, 0.995], np.cumsum(power) / power.sum(), np.linspace(-0.5, 0.5, L))
    assert edges == pytest.approx([-0.1, 0.1], abs=0.006), "10 kHz of 50"
    wide = Listener(sample_rate_hz=50e3)
    found = recognise(emission(0, 60e3, [(0.1, 0.7)]), wide, cutter(iq), RATE_HZ, 0.5)
    assert wide.windows is None and found.label == UNKNOWN, "it does not fit into that rate"


def test_a_model_of_technologies_gets_the_middle_of_what_is_wider_than_its_rate():
    rng = np.random.default_rng(1)
    iq = band_of_noise(rng, 400_000, 40e3, 160e3) + noise(rng, 400_000, 0.01)
    listener = Listener(sample_rate_hz=50e3, task="wtc")
    found = recognise(emission(40e3, 160e3, [(0.1, 0.7)]), listener, cutter(iq), RATE_HZ, 0.5)
    assert found.label == "loud"
    level_db = 10 * np.log10(spectrum_of(listener.windows))
    assert level_db[L // 10 : -L // 10].min() > level_db.max() - 6, "filled by 0.9 of the rate"


@pytest.mark.parametrize(("low_hz", "high_hz"), [(60e3, 80e3), (-210e3, -207e3), (-190e3, 190e3)])
def test_a_model_of_bandwidths_gets_four_times_the_band(low_hz, high_hz):
    rng = np.random.default_rng(1)
    iq = band_of_noise(rng, 400_000, low_hz, high_hz) + noise(rng, 400_000, 0.01)
    listener = Listener(bandwidth_multiple=4.0)
    recognise(emission(low_hz, high_hz, [(0.1, 0.7)]), listener, cutter(iq), RATE_HZ, 0.5)
    power = spectrum_of(listener.windows)
    inside = np.cumsum(power) / power.sum()
    edges = np.interp([0.005, 0.995], inside, np.linspace(-0.5, 0.5, L))
    assert edges == pytest.approx([-0.125, 0.125], abs=0.006)


def test_the_floor_on_both_sides_is_seen_and_neighbours_are_not():
    rng = np.random.default_rng(2)
    iq = noise(rng, 400_000, 0.1) + band_of_noise(rng, 400_000, 10e3, 20e3)
    iq += 30 * band_of_noise(rng, 400_000, 30e3, 60e3)
    listener = Listener(bandwidth_multiple=4.0)
    recognise(emission(10e3, 20e3, [(0.1, 0.7)]), listener, cutter(iq), RATE_HZ, 0.5)
    power = spectrum_of(listener.windows)
    at = np.linspace(-0.5, 0.5, L)  # bands: signal to 0.125, passed to 0.25, fallen at 0.325
    floor = power[(np.abs(at) > 0.15) & (np.abs(at) < 0.24)].mean()
    signal = power[np.abs(at) < 0.1].mean()
    assert 10 * np.log10(signal / floor) == pytest.approx(
        10 * np.log10(1 / (0.01 * 10 / 500)), abs=1
    )
    assert power[np.abs(at) > 0.35].mean() < floor / 20


def test_a_burst_shorter_than_a_window_lies_amid_the_real_floor():
    rng = np.random.default_rng(3)
    iq = noise(rng, 200_000, 0.1)
    at = slice(100_000, 102_000)  # 4 ms; a window of 10 kHz lasts 25.6 ms
    iq[at] += band_of_noise(rng, 2000, -5e3, 5e3)
    listener = Listener(bandwidth_multiple=4.0)
    found = recognise(
        emission(-5e3, 5e3, [(0.2, 0.204)]), listener, cutter(iq), RATE_HZ, 0.5
    )  # fmt: skip
    assert listener.windows.shape == (1, L)
    power = np.square(np.abs(listener.windows[0]))
    assert power[460:564].mean() > 100 * power[:400].mean()
    assert power[:400].mean() == pytest.approx(
        0.01 * 26 / 500, rel=0.35
    )  # what passes of the floor
    assert found.label == "loud" and found.confidence == pytest.approx(0.9)


def test_bursts_within_half_a_window_are_shown_once():
    window_s = 0.01
    near = [(0.1 + 0.002 * i, 0.101 + 0.002 * i) for i in range(10)]
    found = pieces(near, window_s, 32, partly_filled=True)
    assert all(count == 1 for _, count in found)
    assert np.diff([at for at, _ in found]).min() >= window_s / 2
    assert pieces(near, window_s, 32, partly_filled=False) == []
    assert pieces([(0.0, 0.001)], window_s, 32, partly_filled=True) == [(0.0, 1)]


def test_windows_are_spread_over_a_long_emission():
    found = pieces([(0.0, 1.0), (2.0, 3.0)], 0.001, 32, partly_filled=True)
    assert sum(count for _, count in found) == 32
    assert found[0][0] < 0.02 and found[-1][0] > 2.9
    for at, count in found:  # within a burst, all of it
        assert at >= 0 and (at + count * 0.001 <= 1.001 or at >= 2.0)


def test_a_carrier_is_as_wide_as_the_survey_resolves():
    rng = np.random.default_rng(4)
    n = np.arange(500_000)
    iq = np.exp(2j * np.pi * 50e3 / RATE_HZ * n).astype(np.complex64) + noise(rng, len(n), 0.01)
    listener = Listener(bandwidth_multiple=4.0)
    recognise(emission(50e3, 50e3, [(0.2, 0.8)]), listener, cutter(iq), RATE_HZ, 0.5)
    assert len(listener.windows) >= 1  # although a window of its own width would last for ever
    power = spectrum_of(listener.windows)
    assert power[L // 2 - 2 : L // 2 + 3].sum() > 0.99 * power.sum()


def test_a_model_of_symbols_is_asked_where_there_is_a_symbol_rate():
    rng = np.random.default_rng(5)
    iq = band_of_noise(rng, 400_000, 60e3, 80e3)
    listener = Listener(samples_per_symbol=8.0)
    asked = emission(60e3, 80e3, [(0.1, 0.7)])
    assert recognise(asked, listener, cutter(iq), RATE_HZ, 0.5) is asked
    assert listener.windows is None
    asked = emission(60e3, 80e3, [(0.1, 0.7)], symbol_rate_hz=16e3)
    assert recognise(asked, listener, cutter(iq), RATE_HZ, 0.5).label == "loud"
    power = spectrum_of(listener.windows)
    at = np.linspace(-0.5, 0.5, L)
    assert power[np.abs(at) < 20 / 128 / 2].sum() > 0.98 * power.sum()
    assert recognise(asked, listener, cutter(iq), RATE_HZ, 0.95).label == UNKNOWN


def test_pauses_do_not_outvote_signal():
    rng = np.random.default_rng(6)
    count = 400_000
    iq = noise(rng, count, 0.05)
    on = np.arange(count) % 33_331 < 10_000  # less than a third
    iq[on] += band_of_noise(rng, count, 0, 50e3)[on]

    def answer(windows):
        loud = np.square(np.abs(windows)).mean(1) > 0.02
        return np.stack([~loud, loud], 1).astype(np.float64)

    asked = emission(0, 50e3, [(0.0, 0.8)], snr_db=30)
    listener = Listener(bandwidth_multiple=4.0, answer=answer)
    found = recognise(asked, listener, cutter(iq), RATE_HZ, 0.5)
    assert answer(listener.windows)[:, 1].mean() < 0.5
    assert found.label == "loud" and found.confidence > 0.95


def test_an_emission_that_the_model_does_not_know_is_unknown():
    rng = np.random.default_rng(9)
    iq = band_of_noise(rng, 400_000, 60e3, 80e3)
    asked = emission(60e3, 80e3, [(0.1, 0.7)])
    for score, label in ((-0.25, "loud"), (0.25, UNKNOWN)):
        listener = Listener(
            bandwidth_multiple=4.0, scores=lambda windows, s=score: np.full(len(windows), s)
        )
        found = recognise(asked, listener, cutter(iq), RATE_HZ, 0.5)
        assert (found.label, found.confidence) == (label, pytest.approx(0.9))
        assert found.measured["unknown_score"] == pytest.approx(score)


def test_a_model_need_not_know_ofdm_whose_prefix_was_measured():
    iq = band_of_noise(np.random.default_rng(9), 400_000, 60e3, 80e3)
    asked = emission(60e3, 80e3, [(0.1, 0.7)])
    with_prefix = dataclasses.replace(
        asked, measured={"envelope_moment": 2.0, "ofdm_prefix_s": 1e-4}
    )
    listener = Listener(bandwidth_multiple=4.0, scores=lambda windows: np.full(len(windows), 0.25))
    listener.classes = ("noise", "OFDM")
    for given, label in ((asked, UNKNOWN), (with_prefix, "OFDM")):
        assert recognise(given, listener, cutter(iq), RATE_HZ, 0.5).label == label


def test_a_taught_class_that_fits_the_measured_bandwidth_is_likelier():
    iq = band_of_noise(np.random.default_rng(10), 400_000, 60e3, 80e3)
    taught = {"quiet": [{"bandwidth_hz": 20e3}], "loud": [{"bandwidth_hz": 200e3}]}
    listener = Listener(bandwidth_multiple=4.0, measured=taught)  # it says loud, with 0.9
    found = recognise(emission(60e3, 80e3, [(0.1, 0.7)]), listener, cutter(iq), RATE_HZ, 0.5)
    assert found.label == "quiet" and found.probabilities["quiet"] > 0.8


def test_a_label_counts_where_the_model_is_sure_of_its_family_alone():
    sure = {"FM": 0.4, "GFSK": 0.38, "2-FSK": 0.22}
    assert likeliest(sure) == ("GFSK", pytest.approx(0.6))
    assert likeliest({"FM": 0.7, "GFSK": 0.3})[0] == "FM"

    def named(shares: dict[str, float], least: float) -> Emission:
        listener = Listener(
            bandwidth_multiple=4.0, answer=lambda w: np.tile(list(shares.values()), (len(w), 1))
        )
        listener.classes = tuple(shares)
        iq = noise(np.random.default_rng(13), 100_000)
        return recognise(emission(-20e3, 20e3, [(0.0, 0.2)]), listener, cutter(iq), RATE_HZ, least)

    found = named(sure, 0.55)
    assert (found.label, found.confidence) == ("GFSK", pytest.approx(0.38))
    assert found.measured["family_confidence"] == pytest.approx(0.6)
    assert named(sure, 0.65).label == UNKNOWN
    # Five kinds of phase keying that are equally likely say nothing about which one it is.
    names = ("BPSK", "QPSK", "OQPSK", "pi/4-DQPSK", "8PSK")
    assert named(dict.fromkeys(names, 0.2), 0.6).label == UNKNOWN


def test_a_measured_prefix_makes_ofdm_likelier():
    iq = noise(np.random.default_rng(12), 100_000)

    def named(share: float, *, prefix: bool) -> Emission:
        asked = emission(-20e3, 20e3, [(0.0, 0.2)])
        if prefix:
            asked.measured["ofdm_prefix_s"] = 5e-6
        listener = Listener(
            bandwidth_multiple=4.0, answer=lambda w: np.tile([share, 1 - share], (len(w), 1))
        )
        listener.classes = ("OFDM", "noise")
        return recognise(asked, listener, cutter(iq), RATE_HZ, 0.75)

    assert named(0.3, prefix=False).label == UNKNOWN
    found = named(0.3, prefix=True)
    assert found.label == "OFDM"
    assert found.confidence == pytest.approx(0.3 * 0.62 / (0.3 * 0.62 + 0.7 * 0.01))
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert named(0.001, prefix=True).label == "noise"  # the model is sure


def test_weights_are_of_signal_and_end_at_a_strong_window():
    rng = np.random.default_rng(7)
    windows = np.stack([noise(rng, L, level) for level in [0.1, 1, 1, 1, 1, 30]])
    weights = window_weights(windows, 20.0, 2.0)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] < 0.01
    assert weights[5] < 1.2 * weights[1:5].mean()
    assert window_weights(np.zeros((2, L), np.complex64), 10.0, 2.0).tolist() == [0.5, 0.5]


def test_what_is_no_longer_there_is_not_looked_at():
    rng = np.random.default_rng(8)
    iq = band_of_noise(rng, 400_000, 60e3, 80e3)
    iq[:200_000] = 0  # forgotten: until 0.4 s
    listener = Listener(bandwidth_multiple=4.0)
    asked = emission(60e3, 80e3, [(0.0, 0.3), (0.35, 0.7)])
    recognise(asked, listener, cutter(iq), RATE_HZ, 0.5, since_s=0.4)
    assert len(listener.windows) == int(0.3 / (L / 80e3))
    recognise(asked, silent := Listener(bandwidth_multiple=4.0), cutter(iq * 0), RATE_HZ, 0.5)
    assert silent.windows is None
