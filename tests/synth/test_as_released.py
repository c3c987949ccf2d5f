# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe that rebuilds RML2016 as it was released, against theory and against the release."""

import numpy as np
import pytest
import torch

from gr_tsddae.iq.windows import to_complex
from gr_tsddae.synth import CLASSES, RECIPES, draw, draw_random

RECIPE = RECIPES["as-released"]
# Mean energy of constellations with odd integer coordinates.
ENERGY = {"PAM4": 5.0, "QAM16": 10.0, "QAM64": 42.0}
WINDOWS = 200


def windows_of(name, level_db, count=WINDOWS, seed=0):
    label = torch.full((count,), CLASSES.index(name))
    generator = torch.Generator().manual_seed(seed)
    level = torch.full((count,), float(level_db))
    rows = draw(RECIPE, label, level, window_samples=128, generator=generator)
    return to_complex(rows).numpy()


def snr_db(windows):
    """Median SNR of windows (B, L), noise taken from bins that hold no signal."""
    density = np.abs(np.fft.fft(windows * np.hanning(windows.shape[1]), axis=1)) ** 2
    empty = np.abs(np.fft.fftfreq(windows.shape[1])) > 0.3
    noise = density[:, empty].mean(1) * windows.shape[1]
    return float(np.median(10 * np.log10(np.maximum(density.sum(1) / noise - 1, 1e-3))))


@pytest.mark.parametrize("name", ["BPSK", "8PSK", "PAM4", "QAM16", "QAM64", "AM-DSB"])
@pytest.mark.parametrize("level_db", [0, 8, 18])
def test_two_decibels_a_step_and_constellations_as_they_were_sent(name, level_db):
    gain_db = 10 * np.log10(ENERGY.get(name, 1.0))
    expected = 2 * level_db + 5.2 + gain_db
    # The window's own leakage ends what can be measured.
    assert snr_db(windows_of(name, level_db)) == pytest.approx(min(expected, 56), abs=1.5)


def test_empty_class_is_noise():
    white = windows_of("AM-SSB", 18)
    density = (np.abs(np.fft.fft(white, axis=1)) ** 2).mean(0)
    assert density.std() / density.mean() < 0.15  # a flat spectrum, at the best level there is
    assert abs(np.mean(white**2)) < 0.02  # and circular


def test_against_the_released_windows(recordings):
    """SNR per class and level, and the depth of AM, on windows of the released RML2016.10B."""
    file = np.load(recordings / "modulation-classification" / "rml2016_10b_subset_A.npz")
    genuine, name, level = file["X"][:, 0] + 1j * file["X"][:, 1], file["y"], file["snr"]
    for each in sorted(set(name) - {"CPFSK"}):  # its spectrum reaches into the empty bins
        for level_db in range(0, 19, 2):
            there = snr_db(genuine[(name == each) & (level == level_db)])
            assert there == pytest.approx(snr_db(windows_of(each, level_db)), abs=4), each

    def depth(windows):
        smooth = np.array([np.convolve(w, np.hanning(11) / 5, "valid") for w in windows])
        return np.quantile(np.abs(smooth).std(1) / np.abs(smooth).mean(1), [0.25, 0.5, 0.75])

    levels = range(8, 19, 2)
    ours = np.concatenate([windows_of("AM-DSB", level_db) for level_db in levels])
    theirs = genuine[(name == "AM-DSB") & (level >= 8)]
    np.testing.assert_allclose(depth(ours), depth(theirs), rtol=0.35)


def test_random_draws_are_even_and_leave_empty_classes_out():
    generator = torch.Generator().manual_seed(5)
    rows, label, level_db = draw_random(
        "live+as-released", 6000, window_samples=16, generator=generator
    )
    assert rows.shape == (6000, 2, 16) and rows.isfinite().all()
    live, released = label[0::2], label[1::2]
    assert torch.bincount(live, minlength=12).float().std() < 30  # 250 each, and their spread
    counts = torch.bincount(released, minlength=12)
    assert counts[CLASSES.index("AM-SSB")] == 0
    assert counts[counts > 0].min() > 200
    assert level_db[0::2].max() > 29 and level_db[1::2].max() <= 18
    assert level_db.min() < -19


def test_random_draws_repeat_with_their_seed():
    first, again, other = (
        draw_random(
            "as-released", 64, window_samples=128, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_unknown_recipe():
    with pytest.raises(ValueError, match="no recipe 'dead'; there are: clean, as-released"):
        draw_random("live+dead", 4, window_samples=128, generator=torch.Generator())
