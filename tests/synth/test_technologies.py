# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM technologies against their numerology, and against real recordings where they are."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from gr_tsddae.synth import recordings
from gr_tsddae.synth.ofdm import modulate, qam, resample
from gr_tsddae.synth.technologies import (
    DVBT_RATE_HZ,
    WIFI_RATE_HZ,
    at_rate,
    dvbt,
    lte,
    lte_rate_hz,
    wifi,
    wifi_frame,
)
from gr_tsddae.synth.underlay import dsss

REAL = Path(__file__).parents[3] / "shared/data/rf-signal-classification-nas_SMACD"


def likeness(samples, lag):
    """|autocorrelation| at a lag over power, of complex (N,)."""
    samples = np.asarray(samples)
    return abs(np.vdot(samples[:-lag], samples[lag:])) / np.vdot(samples, samples).real


def density(samples, bins=1000):
    """Mean power density (bins,), from the lowest frequency up."""
    samples = np.asarray(samples)
    blocks = samples[: len(samples) // bins * bins].reshape(-1, bins)
    power = np.abs(np.fft.fft(blocks * np.hanning(bins), axis=1)) ** 2
    return np.fft.fftshift(power.mean(0))


def edges_hz(samples, rate_hz):
    """Where the density crosses the middle, in decibels, between floor and band."""
    level_db = 10 * np.log10(density(samples, 200))
    middle_db = (np.percentile(level_db, 3) + np.median(level_db)) / 2
    inside = np.flatnonzero(level_db > middle_db)
    return (inside[[0, -1]] / 200 - 0.5) * rate_hz


def width_hz(samples, rate_hz):
    """Width of what lies above a quarter of the median in-band density."""
    power = density(samples)
    return (power > np.median(power) / 4).mean() * rate_hz


def test_qam_has_unit_energy_and_its_points(seeded):
    for side in (2, 4, 8):
        symbols = qam(torch.full((20_000,), float(side)), seeded(1))
        assert symbols.abs().square().mean().item() == pytest.approx(1, abs=0.02)
        assert len(torch.view_as_real(symbols).unique(dim=0)) == side**2


def test_modulate_against_the_definition(seeded):
    """A sum of carriers per symbol, the prefix being the symbol's own periodic past."""
    carriers, prefixes = torch.tensor([-3, 1, 2]), (5, 2)
    grid = qam(torch.full((4, 3), 2.0), seeded(2))
    expected = []
    for symbol, prefix in zip(grid.numpy(), prefixes * 2, strict=True):
        n = np.arange(-prefix, 16)
        waves = np.exp(2j * np.pi * np.outer(carriers, n) / 16)
        expected.append(symbol @ waves / np.sqrt(3))
    stream = modulate(grid, carriers, 16, prefixes)
    np.testing.assert_allclose(stream, np.concatenate(expected), atol=1e-5)


@pytest.mark.parametrize("ratio", [Fraction(125, 192), Fraction(35, 32), Fraction(1, 2)])
def test_resample_keeps_tones_and_removes_what_aliases(ratio):
    count = 192 * 32
    n, m = np.arange(count), np.arange(int(count * ratio)) / float(ratio)

    def tones(time, *cycles):  # whole cycles per recording: the ring closes
        return sum(np.exp(2j * np.pi * c / count * time) for c in cycles)

    low, high = 400, -round(0.47 * count)  # cycles per recording
    found = resample(torch.tensor(tones(n, low, high)).to(torch.complex64), ratio)
    expected = tones(m, low, high) if ratio > 1 else tones(m, low)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("native", "rate_hz", "lag_s", "share", "width"),
    [
        (lte, lte_rate_hz(50), 1 / 15e3, 0.066, 9e6),
        (dvbt, DVBT_RATE_HZ, 896e-6, 0.2, 7.61e6),
        (
            wifi,
            WIFI_RATE_HZ,
            3.2e-6,
            0.2,
            9.3e6,
        ),  # 16.6 MHz, of which the receiver has 10, and a gap at DC
    ],
)
def test_prefix_and_bandwidth(native, rate_hz, lag_s, share, width, seeded):
    stream = at_rate(native, rate_hz, 10_000_000, 300_000, seeded(4))
    assert len(stream) == 300_000 and stream.dtype == torch.complex64
    lag = round(lag_s * 1e7)
    assert likeness(stream, lag) == pytest.approx(share, rel=0.3)
    assert max(likeness(stream, lag + d) for d in (-7, 7)) < share / 4
    assert width_hz(stream, 1e7) == pytest.approx(width, rel=0.04)


@pytest.mark.parametrize("fft_samples", [2048, 8192])
@pytest.mark.parametrize("guard", [Fraction(1, 4), Fraction(1, 32)])
def test_dvbt_modes_and_pilots(fft_samples, guard, seeded):
    symbol = int(fft_samples * (1 + guard))
    symbols = 24 * 8192 // fft_samples
    stream = dvbt(symbols * symbol, seeded(5), fft_samples=fft_samples, guard=guard).numpy()
    share = float(guard / (1 + guard))
    # The continual pilots, alike in every symbol, add up to a hundredth.
    assert likeness(stream, fft_samples) == pytest.approx(share, abs=0.012)
    # Pilots repeat with every fourth symbol, and only they do.
    assert likeness(stream, 4 * symbol) > 0.1 > 4 * likeness(stream, 4 * symbol + 7)
    # Demodulated at the right moment, a pilot carrier holds 4/3 and nothing else.
    guard_samples = int(fft_samples * guard)
    mismatch = [
        np.abs(stream[i:][:guard_samples] - stream[i + fft_samples :][:guard_samples]).mean()
        for i in range(symbol)
    ]
    start = int(np.argmin(mismatch)) + guard_samples
    carriers = {2048: 1705, 8192: 6817}[fft_samples]
    bins = np.fft.fft(stream[start : start + fft_samples]) * np.sqrt(carriers) / fft_samples
    first = bins[-(carriers // 2)]  # number 0, continual in every mode
    assert first == pytest.approx(-4 / 3, abs=0.02)
    assert bins[carriers // 2] == pytest.approx(bins[carriers // 2].real, abs=0.02)
    assert abs(bins[carriers // 2]) == pytest.approx(4 / 3, abs=0.02)
    assert np.abs(bins[carriers // 2 + 1 : -(carriers // 2)]).max() < 0.02  # beyond the band


def test_wifi_frame(seeded):
    """Preambles as the standard defines them, then symbols of 4 us."""
    frame = wifi_frame(20, 4, seeded(6)).numpy()
    assert len(frame) == 320 + 80 * 21
    np.testing.assert_allclose(frame[16:160], frame[:144], atol=1e-5)  # ten equal parts
    np.testing.assert_allclose(frame[192:256], frame[256:320], atol=1e-5)
    np.testing.assert_allclose(frame[160:192], frame[224:256], atol=1e-5)
    # First and last carriers of the long training symbol, and none at DC.
    bins = np.fft.fft(frame[192:256]) * np.sqrt(52) / 64
    assert bins[[1, 26, -26, -1]].real == pytest.approx([1, 1, 1, 1], abs=1e-4)
    assert abs(bins[0]) < 1e-4
    # The short training symbol's first sample is 0.046 (1 + i) in the standard's own scaling.
    assert frame[0] * np.sqrt(52) / 64 == pytest.approx(0.046 + 0.046j, abs=6e-4)
    assert np.mean(np.abs(frame[:160]) ** 2) == pytest.approx(1, rel=0.01)
    signal_field = np.fft.fft(frame[336:400]) * np.sqrt(52) / 64
    assert np.abs(signal_field[1:27].imag).max() < 1e-3  # BPSK


def test_wifi_has_gaps(seeded):
    power = np.abs(wifi(400_000, seeded(7)).numpy()) ** 2
    assert 0.03 < np.mean(power == 0) < 0.5


def test_lte_is_synchronised_every_five_ms(seeded):
    """One symbol of the half frame is always the same, whatever the traffic."""
    half_frame = 5 * 15_360
    stream = lte(8 * half_frame, seeded(8), resource_blocks=50).numpy()[: 8 * half_frame]
    product = stream[:-half_frame] * stream[half_frame:].conj()
    folded = product.reshape(7, -1).mean(0)
    correlation = np.abs(np.convolve(folded, np.ones(1024), "valid"))
    assert correlation.max() > 5 * np.median(correlation)
    assert (correlation > correlation.max() / 2).sum() < 2048  # that one, and no other


def test_dsss_is_bpsk_of_its_chip_rate(seeded):
    """Its square has lines at 0 and at the chip rate, its code repeats, its band is limited."""
    samples = dsss(65_536, 3 / 7.68, seeded(9)).numpy()
    assert np.mean(np.abs(samples) ** 2) == pytest.approx(1, rel=0.02)
    spectrum = np.abs(np.fft.fft(samples**2)) / len(samples)
    chip_line = round(65_536 * 3 / 7.68)
    assert spectrum[0] == pytest.approx(1, rel=0.02)
    assert spectrum[chip_line - 1 : chip_line + 2].max() > 20 * np.median(spectrum)
    period = round(63 * 7.68 / 3)  # bits on either side are alike or opposite

    def repetition(lag):
        pairs = ((samples[i:][:100], samples[i + lag :][:100]) for i in range(0, 60_000, 500))
        return np.mean([abs(np.vdot(a, b)) for a, b in pairs])

    assert repetition(period) > 2 * repetition(period + 37)
    power = np.abs(np.fft.fft(samples * np.hanning(len(samples)))) ** 2
    frequency = np.abs(np.fft.fftfreq(len(samples))) * 7.68
    assert power[frequency > 1.25 * 1.5 + 0.05].sum() / power.sum() < 1e-3


@pytest.mark.parametrize("sir_db", [0, 5, 10])
def test_underlay_has_its_sir(sir_db, seeded):
    """LTE and DSSS drawn apart from the same seed: their powers are what was asked for."""
    both = recordings.underlaid(20_000, sir_db, seeded(10)).numpy()
    alone = recordings.underlaid(20_000, None, seeded(10)).numpy()  # the same LTE
    gain = np.vdot(alone, both) / np.vdot(alone, alone)
    rest = both - gain * alone
    measured_db = 20 * np.log10(abs(gain)) - 10 * np.log10(np.mean(np.abs(rest) ** 2))
    assert measured_db == pytest.approx(sir_db, abs=0.3)
    assert np.mean(np.abs(both) ** 2) == pytest.approx(1, abs=0.05)


def test_underlay_shows_in_the_square_alone(seeded):
    """Power is the same; the line of x^2 is there at every SIR and not without DSSS."""
    lines, powers = {}, {}
    for label, sir_db, iq in recordings.icarus_recordings(3, 32_768, seeded(11)):
        spectrum = np.abs(np.fft.fft(iq.numpy() ** 2))
        near = np.r_[spectrum[:20], spectrum[-20:]]  # twice the largest carrier offset
        lines.setdefault((label, sir_db), []).append(near.max() / np.median(spectrum))
        powers.setdefault(label, []).append(float(iq.abs().square().mean()))
    assert np.mean(powers["normal"]) == pytest.approx(np.mean(powers["anomaly"]), rel=0.03)
    quiet = max(max(lines["normal", sir]) for sir in (0, 5, 10))
    for sir_db in (0, 5, 10):
        assert min(lines["anomaly", sir_db]) > 1.5 * quiet, (sir_db, lines)
    assert np.mean(lines["anomaly", 0]) > np.mean(lines["anomaly", 10])


@pytest.mark.parametrize(
    ("name", "technology", "lags"),
    [
        ("techrec_lte_igent_806MHz_10Msps_A.cf32", recordings.TECHREC[0], [667]),
        ("techrec_dvbt_igent_482MHz_10Msps_A.cf32", recordings.TECHREC[1], [8960, 44800]),
    ],
)
def test_like_the_real_recording(name, technology, lags, seeded):
    if not (REAL / name).exists():
        pytest.skip("the real recording is not here")
    real = np.fromfile(REAL / name, np.complex64)
    ours = recordings.techrec_recording(technology, len(real), seeded(12)).numpy()
    assert np.sqrt(np.mean(np.abs(ours) ** 2) / np.mean(np.abs(real) ** 2)) == pytest.approx(
        1, abs=0.25
    )
    assert edges_hz(ours, 1e7) == pytest.approx(edges_hz(real, 1e7), abs=0.25e6)
    for lag in lags:
        for samples in (ours, real):
            assert likeness(samples, lag) > 3 * likeness(samples, lag + 11)
        assert likeness(ours, lag) / likeness(real, lag) == pytest.approx(1.2, abs=0.6)
