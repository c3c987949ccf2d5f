"""What transmitters send: each class is told by what theory says of it."""

import math

import pytest
import torch

from gr_tsddae.synth.air import analogue, audio, chirps, keyed, linear, multicarrier, outliers
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice, phase_of, smooth
from gr_tsddae.synth.air.receiver import occupied_band
from gr_tsddae.synth.air.recipe import SENDERS


def dice_of(batch=32, seed=0):
    return Dice(batch, torch.Generator().manual_seed(seed))


def envelope_spread(iq):
    return (iq.abs().std(1) / iq.abs().mean(1)).max().item()


@pytest.mark.parametrize("name", sorted(SENDERS.keys() - {"noise"}))
def test_sources_are_oversampled_enough_for_a_window(name):
    """A window at four times the bandwidth fits into the source, and its floor is seen."""
    sent = SENDERS[name](dice_of(64))
    _, width = occupied_band(sent.iq, torch.full((64, 1), 15.0))
    if sent.bandwidth is not None:
        width = sent.bandwidth
    assert width.quantile(0.9).item() < 0.26, "too little room beside the signal"
    assert width.median().item() > 256 / 0.7 / SOURCE_SAMPLES * 0.6, "windows would not fit"


@pytest.mark.parametrize("draw", [keyed.two_fsk, keyed.four_fsk, keyed.gfsk, analogue.fm,
                                  chirps.lora])  # fmt: skip
def test_frequency_modulation_has_a_constant_envelope(draw):
    assert envelope_spread(draw(dice_of()).iq) < 1e-4


@pytest.mark.parametrize(("tones", "index"), [(2, 0.5), (2, 3.0), (4, 0.27), (8, 1.0)])
def test_tones_lie_where_index_and_rate_put_them(tones, index):
    dice = dice_of(8)
    sent = keyed.frequency_keyed(tones, torch.full((8, 1), index), torch.full((8, 1), 100.0), dice)
    step = torch.angle(sent.iq[:, 1:] * sent.iq[:, :-1].conj()) / (2 * math.pi)
    samples_per_symbol = keyed.OVERSAMPLING * (index * (tones - 1) + 1)
    outer = index * (tones - 1) / 2 / samples_per_symbol
    assert step.max().item() == pytest.approx(outer, rel=0.1)
    assert step.min().item() == pytest.approx(-outer, rel=0.1)


@pytest.mark.parametrize(("name", "power"), [("BPSK", 2), ("QPSK", 4), ("8PSK", 8)])
def test_a_power_of_psk_has_a_line_where_it_must_and_no_lower_one(name, power):
    """At the right sampling instants, the M-th power of M-PSK is a constant."""
    dice = dice_of()
    symbols = linear.symbols_of(linear.ALPHABETS[name], dice)
    torch.testing.assert_close((symbols**power).mean(1).abs(), torch.ones(32), rtol=1e-4, atol=1e-4)
    assert (symbols ** (power // 2)).mean(1).abs().max() < 0.4


def test_quarter_pi_dqpsk_turns_by_odd_eighths():
    iq = linear.quarter_pi_dqpsk(dice_of()).iq
    assert iq.shape == (32, SOURCE_SAMPLES)
    fourth = iq**4
    line = torch.fft.fft(fourth).abs()
    # pi/4-DQPSK's fourth power has lines half a symbol rate from the carrier.
    bins = SOURCE_SAMPLES // linear.SAMPLES_PER_SYMBOL // 2
    strongest = line.argmax(1)
    assert torch.isin(strongest, torch.tensor([bins, SOURCE_SAMPLES - bins])).float().mean() > 0.8


def test_half_sine_oqpsk_has_a_constant_envelope():
    """Offset QPSK with half-sine pulses is MSK."""
    dice = dice_of(4)
    f = torch.fft.fftfreq(SOURCE_SAMPLES, 1 / linear.SAMPLES_PER_SYMBOL)
    response = (torch.sinc(f - 0.5) + torch.sinc(f + 0.5)).expand(4, -1)
    rows = [2.0 * dice.integers(2, linear.SYMBOLS).float() - 1 for _ in range(2)]
    late = torch.polar(torch.ones_like(f), -math.pi * f)
    iq = torch.fft.ifft(
        linear.spread(rows[0], response) + 1j * linear.spread(rows[1], response) * late
    )
    assert envelope_spread(iq) < 0.05


def test_on_off_keying_is_on_and_off():
    level = keyed.ook(dice_of(64)).iq.abs()
    deep = level.amin(1) / level.amax(1)
    assert deep.max() < 0.4 and (deep < 0.05).float().mean() > 0.6
    share_on = (level > 0.5 * level.amax(1, keepdim=True)).float().mean(1)
    assert share_on.min() > 0.03 and share_on.max() < 0.95


def test_pulses_are_short_and_rare():
    level = keyed.pulses(dice_of(64)).iq.abs()
    on = (level > 0.5 * level.amax(1, keepdim=True)).float().mean(1)
    assert on.median() < 0.45 and on.min() > 0


def test_ofdm_repeats_its_prefix():
    """Of the rows whose useful length is 256 samples, some correlate at that lag."""
    iq = multicarrier._symbols(256, dice_of(64))
    lag = (iq[:, 256:] * iq[:, :-256].conj()).mean(1).abs() / iq.abs().square().mean(1)
    beside = (iq[:, 301:] * iq[:, :-301].conj()).mean(1).abs() / iq.abs().square().mean(1)
    assert lag.median() > 2 * beside.median()


def test_ofdm_peaks_and_precoded_peaks_less():
    iq = multicarrier.ofdm(dice_of(200)).iq
    assert iq.isfinite().all() and (iq.abs().square().mean(1) > 0).all()
    peak = iq.abs().square().amax(1) / iq.abs().square().mean(1)
    assert peak.median() > 6 and peak.min() < 6


def test_lora_crosses_its_whole_band():
    sent = chirps.lora(dice_of(64))
    step = torch.angle(sent.iq[:, 1:] * sent.iq[:, :-1].conj()) / (2 * math.pi)
    width = step.amax(1) - step.amin(1)
    assert width.max() < 1.02 / chirps.OVERSAMPLING
    assert width.median() > 0.9 / chirps.OVERSAMPLING


def test_am_keeps_its_carrier_and_ssb_has_none():
    am = analogue.am_dsb(dice_of()).iq
    assert (am.imag == 0).all() and (am.real >= 0).all()
    assert (am.mean(1).abs().square() / am.abs().square().mean(1)).min() > 0.5
    ssb = analogue.am_ssb(dice_of()).iq
    assert (ssb.mean(1).abs().square() / ssb.abs().square().mean(1)).max() < 0.2


def test_single_sidebands_lie_on_either_side():
    """Speech is strongest at its low end: at the lower edge of an upper sideband."""
    power = torch.fft.fft(analogue.am_ssb(dice_of(100)).iq).abs().square()
    f = torch.fft.fftfreq(SOURCE_SAMPLES)
    middle = (power * f).sum(1) / power.sum(1)
    assert 20 < (middle < 0).sum() < 80


def test_audio_stays_in_its_band():
    dice = dice_of(16)
    rate_hz = torch.full((16, 1), 32e3)
    sound = audio.audio(rate_hz, torch.full((16, 1), 3e3), torch.full((16, 1), 300.0), dice)
    power = torch.fft.rfft(sound * torch.hann_window(SOURCE_SAMPLES)).abs().square()
    f = audio.spectrum_hz(rate_hz)
    outside = (power * ((f > 3500) | (f < 100))).sum(1) / power.sum(1)
    assert outside.max() < 0.03
    torch.testing.assert_close(sound.square().mean(1), torch.ones(16), rtol=1e-3, atol=0)


def test_a_smoothed_step_rises_as_the_gaussian_says():
    step = torch.zeros(1, SOURCE_SAMPLES)
    step[:, 1000:3000] = 1
    risen = smooth(step, torch.full((1, 1), 20.0))
    expected = 0.5 * (1 + math.erf(20 / 20 / math.sqrt(2)))
    assert risen[0, 1000 + 19].item() == pytest.approx(expected, abs=0.01)


def test_phase_is_the_sum_of_frequency():
    turned = phase_of(torch.full((1, SOURCE_SAMPLES), 0.25))
    torch.testing.assert_close(turned[0, :4], torch.tensor([1j, -1, -1j, 1]), atol=1e-5, rtol=0)


def test_preambles_repeat():
    dice = dice_of(4000)
    index = linear.with_preamble(dice.integers(4, 256), dice)
    same = (index[:, 4:] == index[:, :-4]).float()
    # Chance alone makes runs of 24 equal symbols in none of so many rows.
    run = same.unfold(1, 24, 1).sum(2).amax(1) == 24
    assert 0.005 < run.float().mean() < 0.12


@pytest.mark.parametrize("name", sorted(outliers.JUDGES))
def test_judges_send_something(name):
    iq = outliers.JUDGES[name](dice_of(16)).iq
    assert iq.isfinite().all() and (iq.abs().square().mean(1) > 0).all()
