"""The receiver's half of the air recipe: bandwidth, SNR, places of windows, interpolation."""

import math

import pytest
import torch

from gr_tsddae.synth.air import linear, receiver
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice, Transmission, phase_of


@pytest.fixture
def dice():
    return Dice(64, torch.Generator().manual_seed(3))


def band_of(width, centre, dice):
    """Flat noise of a width around a centre, in cycles per sample: complex (B, N)."""
    f = torch.fft.fftfreq(SOURCE_SAMPLES)
    inside = (f - centre).abs() < width / 2
    return torch.fft.ifft(dice.complex_normal(SOURCE_SAMPLES) * inside)


@pytest.mark.parametrize(("width", "centre"), [(0.2, 0.0), (0.1, 0.07), (0.05, -0.02)])
def test_the_occupied_band_of_flat_noise_is_its_band(width, centre, dice):
    found_centre, found_width = receiver.occupied_band(
        band_of(width, centre, dice), torch.full((64, 1), 30.0)
    )
    assert found_centre.mean().item() == pytest.approx(centre, abs=0.01 * width)
    assert found_width.mean().item() == pytest.approx(0.99 * width, rel=0.05)


def test_less_of_a_band_is_seen_above_more_noise(dice):
    iq = torch.fft.ifft(
        linear.spread(linear.symbols_of(linear.ALPHABETS["QPSK"], dice), rectangular())
    )
    _, at_30_db = receiver.occupied_band(iq, torch.full((64, 1), 30.0))
    _, at_5_db = receiver.occupied_band(iq, torch.full((64, 1), 5.0))
    assert (at_5_db < 0.6 * at_30_db).all()  # rectangular pulses have tails


def rectangular():
    return torch.sinc(torch.fft.fftfreq(SOURCE_SAMPLES, 1 / linear.SAMPLES_PER_SYMBOL))


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_snr_is_that_of_the_occupied_band(snr_db, monkeypatch):
    """Noise in the window's margins, scaled to the band, against the power in the band."""
    for name in ("RATE_ERROR", "PASSBAND"):
        monkeypatch.setattr(receiver, name, (1.0, 1.0) if name == "RATE_ERROR" else (4.0, 4.0))
    monkeypatch.setattr(receiver, "CENTRE_ERROR", 0.0)
    for name in ("echoes", "floor_shape"):
        monkeypatch.setattr(receiver, name, lambda f, dice: torch.ones_like(f))
    monkeypatch.setattr(receiver, "neighbours", lambda f, *rest: torch.zeros_like(f))
    monkeypatch.setattr(receiver, "digitised", lambda window, dice: window)
    dice = Dice(256, torch.Generator().manual_seed(1))
    sent = Transmission(band_of(0.12, 0.03, dice), bursts=False)
    window = receiver.receive(sent, torch.full((256, 1), snr_db), 1024, dice)
    power = torch.fft.fft(window * torch.blackman_window(1024)).abs().square().mean(0)
    f = torch.fft.fftfreq(1024).abs()
    density = power[(f > 0.2) & (f < 0.4)].mean()
    inside = f < 0.12
    signal = (power[inside] - density).mean() * inside.sum() / (256 * density)
    assert 10 * math.log10(signal) == pytest.approx(snr_db, abs=0.4)


def test_windows_do_not_lie_in_pauses(dice):
    iq = torch.zeros(64, SOURCE_SAMPLES, dtype=torch.complex64)
    iq[:, 3000:3300] = 1
    length = torch.full((64, 1), 1400.0)
    first = receiver.lively(iq, length, dice)
    seen = (first < 3300) & (first + length > 3000)
    assert seen.float().mean() > 0.85  # by chance alone, 40 %
    assert (first >= 0).all() and (first + length <= SOURCE_SAMPLES).all()


def test_tones_are_interpolated_between_samples(dice):
    frequency = torch.linspace(-0.15, 0.15, 64)[:, None] * torch.ones(SOURCE_SAMPLES)
    frequency = (frequency * SOURCE_SAMPLES).round() / SOURCE_SAMPLES
    spectrum = torch.fft.fft(phase_of(frequency))
    place = 100 + 2.37 * torch.arange(1024)[None] + dice.uniform()
    found = receiver.interpolated(spectrum, place)
    angle = 2 * math.pi * frequency[:, :1].double() * (place.double() + 1)
    expected = torch.polar(torch.ones_like(angle), angle)
    assert (found - expected).abs().max() < 0.05


def test_the_filter_stops_what_lies_outside(dice):
    f = torch.linspace(-3, 3, SOURCE_SAMPLES).expand(64, -1)
    gain = receiver.passband(f, torch.full((64, 1), 1.4), dice)
    assert (gain[f.abs() > 2.0 + 0.01] == 0).all()  # half of the sample rate
    assert (gain[f.abs() < 0.5] == 1).all()
    assert ((gain >= 0) & (gain <= 1)).all()


def test_bursts_begin_and_end_in_some_windows_and_most_are_full(dice):
    first, length = torch.full((64, 1), 500.0), torch.full((64, 1), 2000.0)
    sending = receiver.burst(first, length, dice)[:, 500:2500]
    full = (sending.amin(1) > 0.5).float().mean()
    assert 0.5 < full < 0.9
    assert sending.mean(1).min() > 0.2


def test_cheap_digitising_leaves_few_levels():
    dice = Dice(2000, torch.Generator().manual_seed(1))
    window = dice.complex_normal(256)
    out = receiver.digitised(window, dice)
    levels = torch.tensor([len(row.real.unique()) for row in out])
    assert 0.1 < (levels < 128).float().mean() < 0.4
    assert out.isfinite().all()


def test_a_channel_of_many_paths_cuts_notches_at_unit_power():
    dice = Dice(1000, torch.Generator().manual_seed(3))
    f = torch.linspace(-0.5, 0.5, 256).expand(1000, -1)
    power = receiver.scattering(f, dice).abs().square()
    torch.testing.assert_close(power.mean(1), torch.ones(1000))
    weaker = receiver.echoes(f, dice).abs().square()

    def notched(power):
        return (power.amin(1) < 0.1 * power.amax(1)).float().mean()

    assert notched(power) > 0.4
    assert notched(weaker) < 0.1


def test_a_squelch_writes_zeros_into_pauses_alone(dice, monkeypatch):
    monkeypatch.setattr(receiver, "SQUELCHED", 1.0)
    window = dice.complex_normal(1024)
    window[:, 300:700] *= 0.01
    heard = receiver.squelched(window, dice)
    assert (heard[:, 350:650] == 0).all()
    assert (heard[:, :250] == window[:, :250]).all()
    assert (heard[:, 750:] == window[:, 750:]).all()
    monkeypatch.setattr(receiver, "SQUELCHED", 0.0)
    assert (receiver.squelched(window, dice) == window).all()
