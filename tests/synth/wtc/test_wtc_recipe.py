# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of technologies: classes, repeatability, devices, powers, spectra, numerology."""

import pytest
import torch

from gr_tsddae.iq.windows import to_complex
from gr_tsddae.synth import RECIPES, draw, draw_random, wtc
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.wtc.dvbt import dvbt
from gr_tsddae.synth.wtc.lte import lte
from gr_tsddae.synth.wtc.others import STANDARDS, _standard
from gr_tsddae.synth.wtc.recipe import SENDERS
from gr_tsddae.synth.wtc.symbols import signs, square_qam, stream
from gr_tsddae.synth.wtc.wifi import wifi


def windows(name, snr_db=20.0, batch=8, seed=0):
    """Complex windows of one class, (B, 1024)."""
    label = torch.full((batch,), wtc.CLASSES.index(name))
    generator = torch.Generator().manual_seed(seed)
    level = torch.full((batch,), float(snr_db))
    return to_complex(draw(RECIPES["wtc"], label, level, window_samples=1024, generator=generator))


def dice(batch=48, seed=1):
    return Dice(batch, torch.Generator().manual_seed(seed))


def likeness(iq, lag):
    """|autocorrelation| at a lag over power, of rows (B, N): root of the mean square, a float."""
    product = (iq[:, lag:] * iq[:, :-lag].conj()).sum(1).abs()
    return (product / iq.abs().square().sum(1)).square().mean().sqrt().item()


def test_the_classes_and_the_rate():
    assert wtc.CLASSES == ("LTE", "Wi-Fi", "DVB-T", "other", "noise")
    assert RECIPES["wtc"].sample_rate_hz == wtc.RATE_HZ == 10e6
    assert RECIPES["wtc"].task == "wtc"
    assert RECIPES["wtc"].samples_per_symbol is RECIPES["wtc"].bandwidth_multiple is None


@pytest.mark.parametrize("name", [name for name in wtc.CLASSES if name != "noise"])
def test_every_row_sends_something(name):
    sent = SENDERS[name](dice(256))
    assert sent.iq.shape == (256, SOURCE_SAMPLES)
    assert (sent.iq.abs().square().mean(1) > 0).all()
    assert (sent.bandwidth_hz > 0).all() and (sent.rate_hz > 0).all()


def test_random_windows_hold_all_classes():
    generator = torch.Generator().manual_seed(3)
    rows, label, level_db = draw_random("wtc", 96, window_samples=512, generator=generator)
    assert rows.shape == (96, 2, 512)
    assert set(label.tolist()) == set(range(len(wtc.CLASSES)))
    assert level_db.min() >= 0 and level_db.max() <= 30


def test_a_stream_repeats_the_end_of_each_symbol_before_it():
    """Against the definition: prefixes of different lengths, from a moment in the first on."""
    made = dice(3, seed=2)
    grid = square_qam(torch.full((3, 80, 64), 2.0), made)
    prefix = torch.tensor([5, 9]).repeat(40).expand(3, -1)
    iq = stream(grid, prefix, made)
    body = torch.fft.ifft(grid)
    for row in range(3):
        symbols = [torch.cat((b[-p:], b)) for b, p in zip(body[row], prefix[row], strict=True)]
        expected = torch.cat(symbols)
        starts = [s for s in range(69) if torch.allclose(expected[s : s + 99], iq[row, :99])]
        assert len(starts) == 1
        assert torch.allclose(expected[starts[0] :][:SOURCE_SAMPLES], iq[row], atol=1e-6)


def test_points_have_unit_energy():
    side = torch.tensor([1.0, 2.0, 4.0, 8.0])[:, None].expand(-1, 20_000)
    points = square_qam(side, dice(4))
    assert points.abs().square().mean(1).numpy() == pytest.approx([1] * 4, abs=0.02)
    assert len(points[0].real.unique()) == 2 and not points[0].imag.any()
    assert set(signs((100,), dice(1)).tolist()) == {1.0, -1.0}


def test_lte_repeats_after_66_7_us_and_its_reference_signals_after_11_1_us():
    iq = lte(dice(96)).iq
    assert likeness(iq, 1024) > 1.4 * likeness(iq, 1024 + 40)
    assert likeness(iq, 171) > 2 * likeness(iq, 130)  # every sixth carrier of 15 kHz, 15.36 MS/s


def test_wifi_repeats_after_3_2_us_and_has_no_carrier_in_its_middle():
    sent = wifi(dice(96))
    assert likeness(sent.iq, 64) > 4 * likeness(sent.iq, 57)
    middle = sent.iq[sent.centre_hz.squeeze(1) == 0]
    power = torch.fft.fft(middle).abs().square().mean(0)  # 4.9 kHz a bin
    assert power[:5].mean() < 0.3 * power[40:60].mean()
    assert power[1850:2200].mean() < 0.05 * power[300:1000].mean()  # beyond 9 MHz


@pytest.mark.parametrize(("long", "useful"), [(True, 8192), (False, 2048)])
def test_dvbt_is_flat_and_as_wide_as_its_channel(long, useful):
    sent = dvbt(dice(96))
    share = sent.bandwidth_hz / sent.rate_hz
    rows = ((share < 0.83225) == long).squeeze(1)  # 6817 of 8192, or 1705 of 2048
    assert 20 < rows.sum() < 76
    power = torch.fft.fft(sent.iq[rows]).abs().square().mean(0)
    half = int(0.416 * SOURCE_SAMPLES)
    inside = power[torch.arange(-half + 10, half - 10)]
    blocks = inside[: len(inside) // 50 * 50].view(-1, 50).mean(1)  # continual pilots are lines
    assert blocks.min() > 0.7 * inside.mean() and blocks.max() < 1.4 * inside.mean()
    assert power[half + 40 : -half - 40].mean() < 0.02 * inside.mean()
    if useful == 2048:  # of 8192 samples and a prefix, a stretch holds less than one symbol
        assert likeness(sent.iq[rows], 2048) > 2 * likeness(sent.iq[rows], 1990)


def test_other_ofdm_lasts_as_its_standard_says():
    for number, (useful, rate_hz, width_hz) in enumerate(STANDARDS):
        sent = _standard(number)(dice(32))
        assert (sent.rate_hz == rate_hz).all()
        if width_hz:
            assert sent.bandwidth_hz.max() <= width_hz + rate_hz / useful + 1
        if useful < 1000:
            assert likeness(sent.iq, useful) > 1.5 * likeness(sent.iq, useful - useful // 3)


def test_noise_of_a_window_is_as_strong_as_its_level_says():
    """At 0 dB half of the power is noise: a window is less like itself than one at 30 dB."""
    weak, strong = (likeness(windows("Wi-Fi", snr_db, 128), 32) for snr_db in (0.0, 30.0))
    assert weak < 0.8 * strong


def test_dvbt_is_received_with_both_edges():
    power = torch.fft.fftshift(torch.fft.fft(windows("DVB-T", 25.0, 64)).abs().square().mean(0))
    level_db = 10 * power.log10()
    assert level_db[300:724].mean() - level_db[[*range(20), *range(1004, 1024)]].mean() > 8
