# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recipes of the air and of technologies promise alike: repeatability, powers, devices."""

import pytest
import torch

from gr_tsddae.iq.windows import to_complex
from gr_tsddae.synth import RECIPES, draw
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.air.outliers import JUDGES, LEARNED
from gr_tsddae.synth.air.recipe import SENDERS as AIR
from gr_tsddae.synth.wtc.recipe import SENDERS as WTC

SENDERS = [("air", name) for name in (*AIR, *LEARNED, *JUDGES)] + [("wtc", name) for name in WTC]
CLASSES = [("air", name) for name in AIR] + [("wtc", name) for name in WTC]


def windows(recipe, name, snr_db=10.0, batch=8, seed=0, window_samples=1024):
    """Complex windows of one class, (B, 1024)."""
    label = torch.full((batch,), RECIPES[recipe].classes.index(name))
    generator = torch.Generator().manual_seed(seed)
    level = torch.full((batch,), float(snr_db))
    rows = draw(RECIPES[recipe], label, level, window_samples=window_samples, generator=generator)
    return to_complex(rows)


@pytest.mark.parametrize(("recipe", "name"), CLASSES)
def test_a_seed_gives_the_same_windows(recipe, name):
    torch.manual_seed(1)
    first = windows(recipe, name, seed=5)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, windows(recipe, name, seed=5))
    assert torch.equal(torch.get_rng_state(), state)  # the global generator was left alone
    assert not torch.allclose(first, windows(recipe, name, seed=6))


@pytest.mark.parametrize(("recipe", "name"), CLASSES)
def test_windows_are_finite_and_of_about_unit_power(recipe, name):
    for snr_db in (-5.0, 30.0):
        found = windows(recipe, name, snr_db, batch=32)
        assert found.shape == (32, 1024) and found.isfinite().all()
        power = found.abs().square().mean(1)
        assert power.min() > 0.05 and power.max() < 8  # gain steps and clipping come after scaling


@pytest.mark.parametrize(("recipe", "name"), SENDERS)
def test_senders_follow_their_generator_to_its_device(recipe, name):
    """Under another default device, a tensor made without saying where would not fit the rest."""
    send = WTC[name] if recipe == "wtc" else {**AIR, **LEARNED, **JUDGES}[name]
    expected = send(Dice(6, torch.Generator().manual_seed(4))).iq
    with torch.device("meta"):
        sent = send(Dice(6, torch.Generator().manual_seed(4)))
    assert sent.iq.device.type == "cpu"
    assert torch.equal(sent.iq, expected)
    assert sent.iq.shape == (6, SOURCE_SAMPLES) and sent.iq.is_complex()


@pytest.mark.parametrize("recipe", ["air", "wtc"])
def test_a_longer_window_is_refused(recipe):
    with pytest.raises(ValueError, match=r"window_samples is 1025: .* at most 1024"):
        windows(recipe, "noise", window_samples=1025)
