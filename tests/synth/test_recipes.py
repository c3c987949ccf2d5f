# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes and draws: shapes, labels, power, and one clear sentence per mistake."""

import math

import pytest
import torch

from gr_tsddae.iq.windows import to_complex, unit_power
from gr_tsddae.synth import CLASSES, RECIPES, Recipe, draw, draw_random

RML2016_10A = ["8PSK", "AM-DSB", "AM-SSB", "BPSK", "CPFSK", "GFSK"]
RML2016_10A += ["PAM4", "QAM16", "QAM64", "QPSK", "WBFM"]
RML_RECIPES = sorted(name for name, each in RECIPES.items() if each.classes == CLASSES)


def drawn(label, snr_db, *, recipe="clean", window_samples=128, seed=0):
    recipe = RECIPES[recipe] if isinstance(recipe, str) else recipe
    generator = torch.Generator().manual_seed(seed)
    return draw(recipe, label, snr_db, window_samples=window_samples, generator=generator)


def every_class(each):
    """Labels 0, 1, ... each several times in a row."""
    return torch.arange(len(CLASSES)).repeat_interleave(each)


def test_classes_are_those_of_rml2016_and_noise():
    assert list(CLASSES) == [*RML2016_10A, "noise"]


@pytest.mark.parametrize("window_samples", [1, 100, 128, 1024])
@pytest.mark.parametrize("recipe", RML_RECIPES)
def test_every_class_at_every_length(recipe, window_samples):
    label = every_class(16)
    snr_db = torch.linspace(-20, 18, len(label))
    rows = drawn(label, snr_db, recipe=recipe, window_samples=window_samples)
    assert rows.shape == (len(label), 2, window_samples)
    assert rows.dtype == torch.float32
    assert rows.isfinite().all()
    scaled_power = unit_power(rows).square().sum(1).mean(1)
    torch.testing.assert_close(scaled_power, torch.ones(len(label)))


@pytest.mark.parametrize("recipe", RML_RECIPES)
def test_power_is_near_one_at_any_snr(recipe):
    label = every_class(64)
    for snr_db in (-20.0, 0.0, 18.0):
        rows = drawn(label, torch.full((len(label),), snr_db), recipe=recipe)
        by_class = rows.square().sum(1).mean(1).view(len(CLASSES), -1).mean(1)
        torch.testing.assert_close(by_class, torch.ones(len(CLASSES)), rtol=0, atol=0.1)


def test_rows_stand_where_their_labels_do():
    """Shuffled labels: each class is told by what only it and its like can look like."""
    order = torch.randperm(len(CLASSES) * 8, generator=torch.Generator().manual_seed(1))
    label = every_class(8)[order]
    noiseless = torch.full((len(label),), math.inf)
    windows = to_complex(drawn(label, noiseless, window_samples=1024))
    envelope_spread = windows.abs().std(1)
    # Real up to one phase: the two halves of the circle fold onto each other.
    straight = windows.square().mean(1).abs() / windows.abs().square().mean(1) > 0.999
    carrier = windows.mean(1).abs() > 0.8
    for index, spread, is_straight, has_carrier in zip(
        label.tolist(), envelope_spread, straight, carrier, strict=True
    ):
        name = CLASSES[index]
        assert (spread < 1e-3) == (name in ("CPFSK", "GFSK", "WBFM")) or name == "AM-DSB", name
        if name in ("AM-DSB", "BPSK", "PAM4"):
            assert is_straight, name
        elif name not in ("WBFM", "AM-SSB"):  # a silent WBFM window is a bare carrier
            assert not is_straight, name
        if name != "WBFM":
            assert has_carrier == (name == "AM-DSB"), name


def test_signal_does_not_depend_on_snr():
    label = every_class(4)
    quiet, loud = (drawn(label, torch.full((len(label),), s), seed=3) for s in (30.0, 80.0))
    assert (quiet - loud)[: 11 * 4].abs().max() < 0.25


def test_empty_batch():
    rows = drawn(torch.empty(0, dtype=torch.long), torch.empty(0))
    assert rows.shape == (0, 2, 128)


def test_snr_may_be_whole_numbers():
    label = every_class(2)
    whole = drawn(label, torch.full((len(label),), 6))
    assert torch.equal(whole, drawn(label, torch.full((len(label),), 6.0)))


@pytest.mark.parametrize("index", [-1, len(CLASSES), 99])
def test_unknown_label(index):
    with pytest.raises(ValueError, match=rf"labels span 0\.\.{index}|labels span {index}\.\.0"):
        drawn(torch.tensor([0, index]), torch.zeros(2))


@pytest.mark.parametrize(
    ("label_shape", "snr_shape"), [((2,), (3,)), ((2, 1), (2, 1)), ((), ()), ((2,), (2, 1))]
)
def test_lengths_must_agree(label_shape, snr_shape):
    with pytest.raises(ValueError, match=r"must both be \(B,\)"):
        drawn(torch.zeros(label_shape, dtype=torch.long), torch.zeros(snr_shape))


@pytest.mark.parametrize("window_samples", [0, -1])
def test_empty_window(window_samples):
    with pytest.raises(ValueError, match=f"window_samples is {window_samples}"):
        drawn(torch.zeros(2, dtype=torch.long), torch.zeros(2), window_samples=window_samples)


@pytest.mark.parametrize("name", ["carrier_share", "echo_share", "filtered_share"])
@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_shares_are_probabilities(name, share):
    with pytest.raises(ValueError, match=f"{name} is {share}"):
        Recipe(**{name: share})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples_per_symbol", 1.9),
        ("samples_per_symbol", -8),
        ("samples_per_symbol", math.nan),
        ("rate_offset", -0.1),
        ("rate_offset", 1.0),
        ("rate_offset", math.nan),
        ("carrier_offset", -0.1),
        ("carrier_offset", 0.6),
        ("carrier_offset", math.nan),
    ],
)
def test_impossible_recipes(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        Recipe(**{name: value})


def test_recipes_take_names_only():
    with pytest.raises(TypeError):
        Recipe(8.0)


@pytest.mark.parametrize("samples_per_symbol", [2.0, 3.7, 20.0])
def test_samples_per_symbol(samples_per_symbol):
    """Power of a linear class sits within (1 + roll-off) of the symbol rate."""
    recipe = Recipe(samples_per_symbol=samples_per_symbol)
    label = torch.full((64,), CLASSES.index("QAM16"))
    rows = drawn(label, torch.full((64,), math.inf), recipe=recipe, window_samples=1024)
    density = torch.fft.fft(to_complex(rows) * torch.hann_window(1024)).abs().square().mean(0)
    frequency = torch.fft.fftfreq(1024).abs()
    symbol_rate = 1 / samples_per_symbol
    inside = density[frequency < symbol_rate * 1.35 / 2 + 0.005].sum() / density.sum()
    assert inside > 0.998
    core = density[frequency < symbol_rate * 0.65 / 2].sum() / density.sum()
    assert core.item() == pytest.approx(0.65, abs=0.03)


def test_noise_free_windows_hold_the_signals_of_live_and_next_to_no_noise():
    generator = torch.Generator().manual_seed(5)
    _, label, level_db = draw_random("noise-free", 600, window_samples=128, generator=generator)
    assert set(label.tolist()) == set(range(len(CLASSES) - 1)), "all classes but noise"
    assert level_db.min() >= 30
    label = every_class(20)[: 20 * (len(CLASSES) - 1)]
    noisy = drawn(label, torch.full((len(label),), 30.0), recipe="noise-free")
    clean = drawn(label, torch.full((len(label),), math.inf), recipe="noise-free")
    error = (unit_power(noisy) - unit_power(clean)).square().sum(1).mean(1)
    assert error.max() < 2e-3
    # Channel by channel what `live` draws, whose noise alone is narrowed.
    for name in ("rate_offset", "carrier_offset", "carrier_share", "echo_share"):
        assert getattr(RECIPES["noise-free"], name) == getattr(RECIPES["live"], name)
