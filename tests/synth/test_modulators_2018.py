# SPDX-License-Identifier: GPL-3.0-or-later
"""The 24 classes of RML2018 against their definitions, and their order against physics."""

import math

import pytest
import torch

from gr_tsddae.iq.windows import to_complex
from gr_tsddae.synth import modulators_2018 as m
from gr_tsddae.synth.modulators import Timing
from gr_tsddae.synth.pulses import root_raised_cosine

# Points, and C40 and C42 of unit-energy symbols, from Swami and Sadler (2000) or by hand.
POINTS = {
    **{"OOK": 2, "4ASK": 4, "8ASK": 8, "BPSK": 2, "QPSK": 4, "8PSK": 8, "16PSK": 16, "32PSK": 32},
    **{"16APSK": 16, "32APSK": 32, "64APSK": 64, "128APSK": 128},
    **{"16QAM": 16, "32QAM": 32, "64QAM": 64, "128QAM": 128, "256QAM": 256},
}
QAM_CUMULANT = {
    "16QAM": -0.68,
    "32QAM": -0.69,
    "64QAM": -0.619,
    "128QAM": -0.6573,
    "256QAM": -0.6047,
}


def window(name, seeded, *, batch=16, samples=4096, samples_per_symbol=8.0, seed=1):
    timing = Timing(torch.full((batch,), samples_per_symbol), samples, m.AUDIO)
    return m.MODULATORS_2018[name](timing, seeded(seed)).to(torch.complex64)


def test_classes_in_the_order_of_the_file():
    order = (
        "OOK 4ASK 8ASK BPSK QPSK 8PSK 16PSK 32PSK 16APSK 32APSK 64APSK 128APSK 16QAM 32QAM 64QAM "
        "128QAM 256QAM AM-SSB-WC AM-SSB-SC AM-DSB-WC AM-DSB-SC FM GMSK OQPSK"
    )
    assert list(m.CLASSES_2018) == order.split()


@pytest.mark.parametrize("name", POINTS)
def test_constellations(name):
    points = m.ALPHABETS[name]
    assert len(points) == POINTS[name]
    assert points.abs().square().mean().item() == pytest.approx(1, abs=1e-5)
    distance = (points[:, None] - points).abs() + 9 * torch.eye(len(points))
    assert distance.min() > 0.1  # all are distinct
    if "ASK" in name or name == "OOK":
        assert (points.imag == 0).all() and (points.real >= 0).all()
        return
    assert points.mean().abs() < 1e-5
    turned = points * (1j if name != "BPSK" else -1)
    assert ((turned[:, None] - points).abs().min(1).values < 1e-5).all()  # the same set again


@pytest.mark.parametrize(("name", "c42"), QAM_CUMULANT.items())
def test_qam_cumulants(name, c42):
    points = m.ALPHABETS[name]
    found = points.abs().pow(4).mean() - points.square().mean().abs() ** 2 - 2
    assert found.item() == pytest.approx(c42, abs=0.002)


@pytest.mark.parametrize(("name", "side", "corner"), [("32QAM", 6, 1), ("128QAM", 12, 2)])
def test_cross_qam_is_a_square_without_corners(name, side, corner):
    points = m.ALPHABETS[name]
    step = (points.real.unique()[1] - points.real.unique()[0]).item()
    places = {
        (round(p.real / step + (side - 1) / 2), round(p.imag / step + (side - 1) / 2))
        for p in points.tolist()
    }
    missing = {(a, b) for a in range(side) for b in range(side)} - places
    ends = {*range(corner), *range(side - corner, side)}
    assert missing == {(a, b) for a in ends for b in ends}


@pytest.mark.parametrize(
    ("name", "rings"),
    [
        ("16APSK", [4, 12]),
        ("32APSK", [4, 12, 16]),
        ("64APSK", [4, 12, 20, 28]),
        ("128APSK", [16, 16, 16, 16, 16, 48]),
    ],
)
def test_apsk_rings(name, rings):
    radius = m.ALPHABETS[name].abs().double()
    counts = (radius * 1e4).round().unique(return_counts=True)[1]
    assert counts.tolist() == rings


def test_oqpsk_rows_are_half_a_symbol_apart(seeded):
    """Each row's squared envelope beats at the symbol rate, in opposite phase."""
    samples = window("OQPSK", seeded)
    spectrum = torch.fft.fft(torch.stack((samples.real, samples.imag)).square())
    line = spectrum[..., 4096 // 8]  # (2, B), the symbol rate
    turn = (line[0] * line[1].conj()).sum()
    assert math.cos(turn.angle()) == pytest.approx(-1, abs=0.05)
    assert turn.abs() > 0.8 * line[0].abs().square().sum()
    together = torch.fft.fft(window("QPSK", seeded).abs().square())[:, 4096 // 8]
    apart = torch.fft.fft(samples.abs().square())[:, 4096 // 8]
    assert apart.abs().mean() < 0.25 * together.abs().mean()


def test_gmsk_turns_a_quarter_circle_per_symbol(seeded):
    samples = window("GMSK", seeded, batch=4)
    torch.testing.assert_close(samples.abs(), torch.ones_like(samples.abs()))
    step = (samples[:, 1:] * samples[:, :-1].conj()).angle() * 8  # radians per symbol
    assert step.abs().max().item() == pytest.approx(math.pi / 2, rel=2e-3)
    # BT 0.35: how far an alternating ...+-+-... pattern still swings, from the Gaussian's
    # transfer function at half the symbol rate (its harmonics are gone).
    gaussian = math.exp(-math.log(2) / 2 * (0.5 / 0.35) ** 2)
    alternating = 4 / math.pi * gaussian * math.pi / 2
    turns = step[:, 3:-3].abs()
    peaks = turns[:, 1:-1][(turns[:, 1:-1] >= turns[:, :-2]) & (turns[:, 1:-1] > turns[:, 2:])]
    assert peaks.min().item() == pytest.approx(alternating, rel=0.05)


@pytest.mark.parametrize("rolloff", [0.1, 0.4])
def test_bandwidth_follows_the_rolloff(rolloff, seeded, monkeypatch):
    monkeypatch.setattr(m, "ROLLOFF", (rolloff, rolloff))
    samples = window("16QAM", seeded)
    density = torch.fft.fft(samples * torch.hann_window(4096)).abs().square().mean(0)
    frequency = torch.fft.fftfreq(4096).abs() * 8  # in symbol rates
    inside = density[frequency < (1 + rolloff) / 2 + 0.02].sum() / density.sum()
    assert inside > 0.995
    # Half power at half the symbol rate, whatever the roll-off: only the slope differs.
    near = density[(frequency - 0.5).abs() < 0.01].mean() / density[frequency < 0.25].mean()
    assert near.item() == pytest.approx(0.5, abs=0.08)
    beyond = density[(frequency - 0.58).abs() < 0.02].mean() / density[frequency < 0.25].mean()
    assert (beyond < 0.02) == (rolloff == 0.1)


def carrier_share(samples):
    """Power of the mean over all power, per window: (B, L) -> (B,)."""
    return samples.mean(1).abs().square() / samples.abs().square().mean(1)


def test_am_carriers_and_sidebands(seeded):
    for name in ("AM-SSB-WC", "AM-DSB-WC"):
        assert carrier_share(window(name, seeded)).min() > 0.7, name
    for name in ("AM-SSB-SC", "AM-DSB-SC"):
        assert carrier_share(window(name, seeded)).median() < 0.05, name
    assert (window("AM-DSB-WC", seeded).real > 0).double().mean() > 0.995  # not overmodulated
    for sidebands, name in ((1, "AM-SSB-SC"), (2, "AM-DSB-SC")):
        samples = window(name, seeded, batch=6, samples=16384) * torch.hann_window(16384)
        density = torch.fft.fft(samples).abs().square()
        upper, lower = density[:, 16:8192].sum(1), density[:, 8193:-15].sum(1)
        weaker = torch.minimum(upper, lower) / (upper + lower)
        assert (weaker < 0.02).all() if sidebands == 1 else (weaker > 0.4).all(), name


def test_es_n0(seeded):
    """With 8 samples per symbol, the SNR in the whole band is 9.03 dB less."""
    label = torch.full((200,), m.CLASSES_2018.index("BPSK"))
    rows = m.draw_2018(label, torch.full((200,), 10.0), window_samples=1024, generator=seeded(3))
    density = torch.fft.fft(to_complex(rows)).abs().square().mean(0) / 1024
    noise_power = density[256:768].mean()  # far out of the signal's band
    snr_db = 10 * torch.log10((density.mean() - noise_power) / noise_power)
    assert snr_db.item() == pytest.approx(10 - 10 * math.log10(8), abs=0.15)


def test_channel_taps(seeded):
    taps = m.rayleigh_taps(4000, seeded(1), torch.device("cpu"))
    single = (taps[:, 1:].abs() < 1e-9).all(1)
    assert single.double().mean().item() == pytest.approx(0.25, abs=0.03)  # spread 0
    power = taps[~single].abs().square().mean(0)
    mean_delay = (power * torch.arange(len(power))).sum() / power.sum()
    # Mean of Rayleigh delays is spread * sqrt(pi / 2); spreads 0.5, 1 and 2 are as likely.
    assert mean_delay.item() == pytest.approx(math.sqrt(math.pi / 2) * 3.5 / 3, rel=0.05)


# Points and radius of each ring of what is round.
RINGS = {
    **{"QPSK": [(4, 1)], "8PSK": [(8, 1)], "16PSK": [(16, 1)], "32PSK": [(32, 1)]},
    "16APSK": [(4, 1), (12, 2.85)],
    "32APSK": [(4, 1), (12, 2.84), (16, 5.27)],
    "64APSK": [(4, 1), (12, 2.4), (20, 4.3), (28, 7)],
    "128APSK": [(16, 1), (16, 1.715), (16, 2.118), (16, 2.681), (16, 2.75), (48, 3.733)],
}


def c42_of_rings(rings):
    count = sum(n for n, _ in rings)
    second, fourth = (sum(n * r**k for n, r in rings) / count for k in (2, 4))
    return fourth / second**2 - 2


C42 = {"BPSK": -2.0, **QAM_CUMULANT, **{name: c42_of_rings(r) for name, r in RINGS.items()}}


@pytest.mark.parametrize("name", C42)
def test_labels_against_cumulants(name, seeded, monkeypatch):
    """Windows drawn by their label, without channel: C42 behind a matched filter."""
    monkeypatch.setattr(m, "DELAY_SPREADS_SAMPLES", (0.0,))
    monkeypatch.setattr(m, "CLOCK_OFFSET_STD", 0.0)
    monkeypatch.setattr(m, "ROLLOFF", (0.3, 0.3))
    label = torch.full((32,), m.CLASSES_2018.index(name))
    rows = m.draw_2018(label, torch.full((32,), 60.0), window_samples=1024, generator=seeded(4))
    pulse = root_raised_cosine(torch.arange(-64, 65) / 8, 0.3)
    rows = torch.nn.functional.conv1d(rows.reshape(64, 1, -1), pulse[None, None] / 8)
    matched = to_complex(rows.view(32, 2, -1))
    phases = torch.stack([matched[:, i::8][:, :111] for i in range(8)])  # (8, B, S)
    best = phases.abs().square().mean(2).argmax(0)  # the eye is widest where power is largest
    symbols = phases[best, torch.arange(32)]
    second = symbols.abs().square().mean()
    c42 = symbols.abs().pow(4).mean() / second**2 - 2
    c42 = c42 - (symbols.square().mean(1).abs().square().mean() / second**2)
    assert c42.item() == pytest.approx(C42[name], abs=0.07)
    fourth = (symbols.pow(4).mean(1).abs() / second**2).mean()
    assert (fourth > 0.4) == (name in {"BPSK", "QPSK", "16QAM", "64QAM", "256QAM"})


def test_families_survive_the_channel(seeded):
    """Labels of `draw_2018` against what only signals of that name look like."""
    per_class = 16
    label = torch.arange(24).repeat_interleave(per_class)
    es_n0_db = torch.full((len(label),), 50.0)
    rows = m.draw_2018(label, es_n0_db, window_samples=1024, generator=seeded(5))
    samples = to_complex(rows)
    power = samples.abs().square().mean(1)
    straight = samples.square().mean(1).abs() / power  # 1 on a line, 0 when round
    ripple = samples.abs().square().std(1) / power

    def median(values):
        values = values.view(24, per_class).median(1).values
        return dict(zip(m.CLASSES_2018, values.tolist(), strict=True))

    straight, ripple, carrier = (median(v) for v in (straight, ripple, carrier_share(samples)))
    assert {name for name, value in straight.items() if value > 0.5} == {
        *("OOK", "4ASK", "8ASK", "BPSK", "AM-SSB-WC", "AM-DSB-WC", "AM-DSB-SC")
    }
    assert {name for name, value in carrier.items() if value > 0.2} == {
        *("OOK", "4ASK", "8ASK", "AM-SSB-WC", "AM-DSB-WC")
    }
    assert {name for name, value in ripple.items() if value < 0.4} - {"AM-DSB-WC"} == {
        *("AM-SSB-WC", "FM", "GMSK")
    }
    assert all(0.4 < ripple[n] < 0.58 for n in ("QPSK", "8PSK", "16PSK", "32PSK", "OQPSK"))
    assert all(0.6 < v < 0.9 for n, v in ripple.items() if n.endswith(("QAM", "APSK")))
