# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel: true SNR, echoes, carrier, clocks, noise filter; against theory and GNU Radio."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from gr_tsddae.iq.windows import to_complex
from gr_tsddae.synth import channel
from gr_tsddae.synth.modulators import CLASSES, MODULATORS, Timing
from gr_tsddae.synth.recipes import RECIPES, Recipe, draw

CPU = torch.device("cpu")
# The echoes of RML2016, as it gave them to GNU Radio's fading model.
RML2016_DELAYS, RML2016_AMPLITUDES = (0.0, 0.9, 1.7), (1.0, 0.8, 0.3)
RML_RECIPES = sorted(name for name, each in RECIPES.items() if each.classes == CLASSES)
SIGNALS = tuple(name for name in CLASSES if name != "noise")
# Two data symbols are never alike, so windows of these classes have nothing in common.
DIGITAL = ("8PSK", "BPSK", "CPFSK", "GFSK", "PAM4", "QAM16", "QAM64", "QPSK")


def drawn(name, snr_db, *, recipe="clean", batch=64, window_samples=128, seed=0):
    """Windows of one class, complex64 (B, L)."""
    recipe = RECIPES[recipe] if isinstance(recipe, str) else recipe
    label = torch.full((batch,), CLASSES.index(name))
    rows = draw(
        recipe,
        label,
        torch.full((batch,), float(snr_db)),
        window_samples=window_samples,
        generator=torch.Generator().manual_seed(seed),
    )
    return to_complex(rows)


def power(windows, dim=None):
    return windows.abs().square().mean(dim)


def theoretical_tap_powers():
    """Mean |tap|^2 of paths with independent phases: amplitudes^2 through the interpolator."""
    delays = np.array(RML2016_DELAYS)[:, None]
    amplitudes = np.array(RML2016_AMPLITUDES)[:, None]
    return np.sum((amplitudes * np.sinc(np.arange(channel.ECHO_TAPS) - delays)) ** 2, axis=0)


def path_gains(taps):
    """Taps (B, T) back to path gains (B, P): the interpolation undone by least squares."""
    delays = np.array(RML2016_DELAYS)[:, None]
    amplitudes = np.array(RML2016_AMPLITUDES)[:, None]
    interpolator = amplitudes * np.sinc(np.arange(channel.ECHO_TAPS) - delays)
    return taps @ np.linalg.pinv(interpolator)


def peakedness(gains):
    """E|g|^4 / (E|g|^2)^2 per path: 2 for Rayleigh, 1 + (2K + 1)/(K + 1)^2 for Rice."""
    return np.mean(np.abs(gains) ** 4, axis=0) / np.mean(np.abs(gains) ** 2, axis=0) ** 2


# SNR ------------------------------------------------------------------------------------------


@given(
    name=st.sampled_from(SIGNALS),
    snr_db=st.floats(-30, 40),
    # The levels of the recipe left out are labels of a release, not SNRs.
    recipe=st.sampled_from(sorted(set(RML_RECIPES) - {"as-released"})),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=40)
def test_snr_is_true(name, snr_db, recipe, seed):
    """The same draw without noise, taken off the draw with noise, leaves the noise."""
    clean = drawn(name, float("inf"), recipe=recipe, batch=256, seed=seed)
    noisy = drawn(name, snr_db, recipe=recipe, batch=256, seed=seed)
    torch.testing.assert_close(power(clean, 1), torch.ones(256), rtol=1e-3, atol=0)
    noise_power = 10 ** (-snr_db / 10)
    noise = noisy.to(torch.complex128) * (1 + noise_power) ** 0.5 - clean
    measured_db = 10 * np.log10(power(clean) / power(noise))
    assert measured_db == pytest.approx(snr_db, abs=0.4)


@pytest.mark.parametrize("snr_db", [-20, 0, 20])
def test_snr_of_each_window_is_its_own(snr_db):
    label = torch.full((512,), CLASSES.index("QPSK"))
    snr = torch.full((512,), float(snr_db))
    snr[1::2] += 10

    def both(snr):
        generator = torch.Generator().manual_seed(1)
        return to_complex(draw(RECIPES["rml"], label, snr, window_samples=128, generator=generator))

    clean, noisy = both(torch.full_like(snr, torch.inf)), both(snr)
    noise_power = 10 ** (-snr[:, None] / 10)
    noise = noisy * (1 + noise_power).sqrt() - clean
    for rows, expected_db in ((slice(0, None, 2), snr_db), (slice(1, None, 2), snr_db + 10)):
        assert -10 * power(noise[rows]).log10().item() == pytest.approx(expected_db, abs=0.2)


def test_narrowed_noise_has_the_same_power_in_the_whole_band():
    recipe = Recipe(filtered_share=1.0)
    clean = drawn("QPSK", float("inf"), recipe=recipe, batch=1024)
    noise = drawn("QPSK", 0, recipe=recipe, batch=1024) * 2**0.5 - clean
    assert power(noise).item() == pytest.approx(1, abs=0.04)


def test_noise_class_is_nothing_but_noise():
    windows = drawn("noise", 0, batch=512)
    assert power(windows).item() == pytest.approx(1, abs=0.02)
    assert torch.equal(windows, drawn("noise", 40, batch=512))  # SNR means nothing to it
    assert torch.equal(windows, drawn("noise", float("inf"), batch=512))
    # White: flat spectrum. Circular Gaussian: E|x|^4 = 2, no E x^2.
    density = power(torch.fft.fft(windows, norm="ortho"), 0)
    assert (density - 1).abs().max() < 0.25
    assert windows.abs().pow(4).mean().item() == pytest.approx(2, abs=0.06)
    assert windows.square().mean().abs() < 0.02


# Echoes ---------------------------------------------------------------------------------------


def test_echo_taps_follow_theory(seeded):
    taps = channel.echo_taps(100_000, seeded(2), CPU).numpy()
    assert taps.shape == (100_000, channel.ECHO_TAPS)
    np.testing.assert_allclose(
        np.mean(np.abs(taps) ** 2, axis=0), theoretical_tap_powers(), rtol=0.02
    )
    assert np.abs(taps.mean(0)).max() < 0.02  # phases are uniform
    gains = path_gains(taps)
    np.testing.assert_allclose(np.mean(np.abs(gains) ** 2, axis=0), 1, rtol=0.02)
    rice = 1 + (2 * channel.RICEAN_K + 1) / (channel.RICEAN_K + 1) ** 2
    np.testing.assert_allclose(peakedness(gains), [rice, 2, 2], rtol=0.03)
    # Paths fade independently.
    assert np.abs(np.corrcoef(gains.T) - np.eye(3)).max() < 0.02


def test_echo_taps_are_those_of_gnuradio(seeded):
    try:
        from gnuradio import blocks, channels, gr
    except Exception as error:  # an incompatible numpy does not raise ImportError
        pytest.skip(f"GNU Radio cannot be imported: {error}")
    spacing, taps = 16, channel.ECHO_TAPS
    impulses = np.zeros(8000, complex)
    impulses[::spacing] = 1
    responses = []
    # Neighbouring seeds share their random numbers between paths, so leave gaps.
    for seed in range(0, 600, 10):
        top = gr.top_block()
        source = blocks.vector_source_c(impulses.tolist())
        fading = channels.selective_fading_model(
            8, 1e-3, True, 4.0, seed, RML2016_DELAYS, RML2016_AMPLITUDES, taps
        )
        sink = blocks.vector_sink_c()
        top.connect(source, fading, sink)
        top.run()
        output = np.array(sink.data())
        responses.append(output[: output.size // spacing * spacing].reshape(-1, spacing)[:, :taps])
    theirs = np.concatenate(responses)
    ours = channel.echo_taps(50_000, seeded(3), CPU).numpy()
    powers, their_powers = (np.mean(np.abs(t) ** 2, axis=0) for t in (ours, theirs))
    np.testing.assert_allclose(powers[:3], their_powers[:3], rtol=0.15)
    np.testing.assert_allclose(powers.sum(), their_powers.sum(), rtol=0.1)
    # Which path has a line of sight shows in how deep it fades; 8 sinusoids stop short of 2.
    np.testing.assert_allclose(
        peakedness(path_gains(ours)), peakedness(path_gains(theirs)), rtol=0.12
    )


def test_convolve_is_numpys(seeded):
    signal = channel.complex_normal(3, 57, generator=seeded(4), device=CPU)
    taps = channel.complex_normal(3, 8, generator=seeded(5), device=CPU)
    expected = [
        np.convolve(s, t, "valid") for s, t in zip(signal.numpy(), taps.numpy(), strict=True)
    ]
    np.testing.assert_allclose(channel.convolve(signal, taps), expected, atol=1e-5)


@pytest.mark.parametrize(("share", "low", "high"), [(0, 0, 0), (0.5, 0.4, 0.6), (1, 0.97, 1)])
def test_echo_share(share, low, high):
    """A constant envelope survives a lone path and nothing else."""
    recipe = Recipe(echo_share=share)
    # CPFSK with random data: echoes of neighbouring symbols must show in the envelope.
    windows = drawn("CPFSK", float("inf"), recipe=recipe, batch=400)
    echoed = windows.abs().std(1) > 1e-3
    assert low <= echoed.float().mean() <= high


# Carrier --------------------------------------------------------------------------------------


def test_shift_carrier_turns_a_constant():
    offsets = torch.tensor([-0.4, -0.0025, 0.0, 0.01, 0.3])
    phases = torch.tensor([0.0, 1.0, -2.0, 3.0, 0.5])
    turned = channel.shift_carrier(torch.ones(5, 1024, dtype=torch.complex64), offsets, phases)
    steps = (turned[:, 1:] * turned[:, :-1].conj()).mean(1).angle() / (2 * torch.pi)
    torch.testing.assert_close(steps, offsets, rtol=0, atol=1e-6)
    torch.testing.assert_close(turned[:, 0].angle(), phases, rtol=0, atol=1e-6)
    torch.testing.assert_close(turned.abs(), torch.ones(5, 1024))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_carrier_offset_of_a_draw(share):
    """The carrier of AM-DSB tells where the window was tuned."""
    recipe = Recipe(carrier_offset=0.1, carrier_share=share)
    windows = drawn("AM-DSB", float("inf"), recipe=recipe, batch=400, window_samples=1024)
    found = torch.fft.fftfreq(1024)[torch.fft.fft(windows).abs().argmax(1)]
    assert found.abs().max() <= 0.1005
    # Uniform over +-0.1, hence a standard deviation of 0.1 / sqrt(3); the rest sits at 0.
    assert found.std().item() == pytest.approx(0.1 * (share / 3) ** 0.5, abs=0.006)
    assert abs(found.mean()) < 0.012
    assert (found.abs() < 0.0015).float().mean().item() == pytest.approx(1 - share, abs=0.09)


def test_carrier_phase_is_uniform():
    windows = drawn("AM-DSB", float("inf"), batch=1000)
    phases = windows.mean(1).angle() / (2 * np.pi) + 0.5
    assert kstest(phases.numpy(), "uniform").pvalue > 1e-4


# Clocks ---------------------------------------------------------------------------------------


def symbol_line(windows, cycles_per_sample):
    """Complex strength of the line in |x|^2 at a frequency, mean over windows (B, L)."""
    squared = windows.abs().square().double()
    squared = squared - squared.mean(1, keepdim=True)
    n = torch.arange(windows.shape[1])
    weight = torch.hann_window(windows.shape[1], dtype=torch.float64)
    probe = weight * torch.exp(-2j * torch.pi * cycles_per_sample * n)
    return (squared.to(torch.complex128) @ probe).mean() / weight.sum()


@pytest.mark.parametrize("samples_per_symbol", [7.6, 7.996, 8.0, 8.004, 8.4])
def test_symbol_rate_line_moves_with_the_clock(samples_per_symbol, fixed_timing, seeded):
    timing = fixed_timing(batch=16, window_samples=8192, samples_per_symbol=samples_per_symbol)
    windows = MODULATORS["QPSK"](timing, seeded(6))
    candidates = (1 / samples_per_symbol) * (1 + np.arange(-20, 21) * 1e-3)
    strength = [symbol_line(windows, c).abs().item() for c in candidates]
    assert np.argmax(strength) == 20
    assert strength[20] > 4 * np.median(strength)


@pytest.mark.parametrize("phase_symbols", [0.1, 0.25, 0.5, 0.77])
def test_fractional_timing_turns_the_symbol_rate_line(phase_symbols, fixed_timing, seeded):
    """A clock `phase_symbols` ahead turns the line at the symbol rate by that many cycles."""

    def phase(start):
        timing = fixed_timing(batch=16, window_samples=8192, phase_symbols=start)
        return symbol_line(MODULATORS["QPSK"](timing, seeded(7)), 1 / 8).angle() / (2 * torch.pi)

    turned = (phase(phase_symbols) - phase(0.0) - phase_symbols + 0.5) % 1 - 0.5
    assert abs(turned) < 0.03


def test_symbol_phase_is_uniform(seeded):
    timing = Timing(torch.full((2000,), 8.0), 16)
    times = timing.symbol_times(seeded(8))
    assert times[:, 0].min() >= 0 and times[:, 0].max() < 1
    assert kstest(times[:, 0].numpy(), "uniform").pvalue > 1e-4
    torch.testing.assert_close(times[:, 1:] - times[:, :-1], torch.full((2000, 15), 1 / 8))


@pytest.mark.parametrize("name", ["BPSK", "GFSK"])
def test_rate_offset_of_a_draw(name):
    """Symbol clocks of a draw spread over the whole commanded range, and no further."""
    recipe = Recipe(samples_per_symbol=6.0, rate_offset=0.05)
    windows = drawn(name, float("inf"), recipe=recipe, batch=48, window_samples=4096)
    if name == "GFSK":  # its envelope is constant; its data show in how frequency changes
        windows = (windows[:, 1:] * windows[:, :-1].conj()).angle().diff(dim=1).abs() + 0j
    squared = windows.abs().square()
    squared = (squared - squared.mean(1, keepdim=True)) * torch.hann_window(windows.shape[1])
    spectrum = torch.fft.rfft(squared, 2**14).abs()
    frequency = torch.fft.rfftfreq(2**14)
    near = (frequency > 0.12) & (frequency < 0.21)  # 1/6 is 0.167
    rates = frequency[near][spectrum[:, near].argmax(1)]
    samples_per_symbol = 1 / rates
    assert samples_per_symbol.min() > 6 * 0.948 and samples_per_symbol.max() < 6 * 1.052
    assert samples_per_symbol.min() < 6 * 0.97 and samples_per_symbol.max() > 6 * 1.03


# Noise filter ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bandwidth", "centre"), [(0.15, 0.0), (0.4, 0.05), (0.9, -0.05), (0.3, 0.45), (0.3, -0.5)]
)
def test_band_limit_keeps_power_and_confines(bandwidth, centre, seeded):
    noise = channel.complex_normal(500, 1024, generator=seeded(9), device=CPU)
    shaped = channel.band_limit(noise, torch.full((500,), bandwidth), torch.full((500,), centre))
    assert power(shaped).item() == pytest.approx(1, abs=0.02)
    density = power(torch.fft.fft(shaped, norm="ortho"), 0)
    distance = ((torch.fft.fftfreq(1024) - centre + 0.5) % 1 - 0.5).abs()
    inside, outside = distance < bandwidth / 2 - 0.03, distance > bandwidth / 2 + 0.03
    assert inside.any() and outside.any()
    # Flat inside, at the height that unit power in this bandwidth needs (its soft edges cost a
    # hundredth of a cycle per sample); nothing outside.
    assert density[inside].mean().item() == pytest.approx(1 / (bandwidth - 0.01), rel=0.03)
    assert density[inside].std() < 0.1 * density[inside].mean()
    assert density[outside].max() < 1e-4 * density[inside].mean()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_filtered_share(share):
    windows = drawn("noise", 0, recipe=Recipe(filtered_share=share), batch=400, window_samples=1024)
    density = torch.fft.fft(windows, norm="ortho").abs().square()
    # White noise leaves a thousandth of its bins this empty, a filter at least its stop band.
    narrowed = (density < 1e-3).float().mean(1) > 0.02
    assert narrowed.float().mean().item() == pytest.approx(share, abs=0.09)


# Randomness and devices -----------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RML_RECIPES)
@pytest.mark.parametrize("name", CLASSES)
def test_draws_repeat_by_seed_alone(name, recipe):
    torch.manual_seed(1)
    first = drawn(name, 10, recipe=recipe, batch=8, seed=11)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, drawn(name, 10, recipe=recipe, batch=8, seed=11))
    assert torch.equal(torch.get_rng_state(), state)  # the global generator was left alone
    assert not torch.allclose(first, drawn(name, 10, recipe=recipe, batch=8, seed=12))


@pytest.mark.parametrize("name", [*DIGITAL, "noise"])
def test_windows_of_a_batch_are_independent(name):
    windows = drawn(name, float("inf"), recipe="rml", batch=32, window_samples=4096)
    windows = windows / windows.norm(dim=1, keepdim=True)
    likeness = (windows @ windows.mH).abs() - torch.eye(32)
    # 512 symbols: chance alone gives 0.04; the largest of 496 pairs stays far below this.
    assert likeness.max() < 0.3


@pytest.mark.parametrize("name", SIGNALS)
def test_no_window_repeats(name):
    windows = drawn(name, float("inf"), batch=32)
    distances = torch.cdist(
        torch.view_as_real(windows).flatten(1).double()[None],
        torch.view_as_real(windows).flatten(1).double()[None],
    )[0]
    assert (distances + 1e9 * torch.eye(32)).min() > 1e-3


@pytest.mark.parametrize("name", CLASSES)
def test_everything_is_made_on_the_labels_device(name):
    """Under another default device, a tensor made without saying where would not fit the rest."""
    expected = drawn(name, 10, recipe="live", batch=4)
    label = torch.full((4,), CLASSES.index(name))
    snr_db = torch.full((4,), 10.0)
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        rows = draw(RECIPES["live"], label, snr_db, window_samples=128, generator=generator)
    assert rows.device == CPU
    assert torch.equal(to_complex(rows), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("recipe", RML_RECIPES)
def test_draws_on_a_gpu(recipe):
    device = torch.device("cuda")
    label = torch.arange(len(CLASSES), device=device)
    rows = draw(
        RECIPES[recipe],
        label,
        torch.full_like(label, 10, dtype=torch.float32),
        window_samples=128,
        generator=torch.Generator(device).manual_seed(0),
    )
    assert rows.device.type == "cuda" and rows.isfinite().all()
