# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows: cutting, rows and complex samples, scaling, spectrum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_tsddae.iq.windows import cut, spectrum, to_complex, to_rows, unit_power


def noise(batch, window_samples, seed=0):
    """White circular windows of unit power, complex64 (B, L)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, window_samples, dtype=torch.complex64, generator=generator)


def power(rows):
    return rows.square().sum(1).mean(1)  # (B, 2, L) -> (B,)


@given(
    samples=st.integers(0, 200), window_samples=st.integers(1, 60), hop_samples=st.integers(1, 90)
)
def test_cut_is_a_loop(samples, window_samples, hop_samples):
    iq = (np.arange(samples) * (1 + 1j)).astype(np.complex64)
    expected = [
        iq[start : start + window_samples]
        for start in range(0, samples - window_samples + 1, hop_samples)
    ]
    windows = cut(iq, window_samples, hop_samples)
    assert windows.shape == (len(expected), window_samples) and windows.dtype == iq.dtype
    assert all(np.array_equal(a, b) for a, b in zip(windows, expected, strict=True))


def test_cut_copies_nothing_and_protects_the_stream():
    iq = np.arange(1000, dtype=np.complex64)
    windows = cut(iq, 128, 32)
    assert np.shares_memory(windows, iq)
    assert not windows.flags.writeable
    iq[40] = -1  # a view shows it
    assert windows[1, 8] == -1


def test_cut_shorter_than_a_window_is_empty():
    assert cut(np.zeros(127, np.complex64), 128, 1).shape == (0, 128)
    assert cut(np.zeros(128, np.complex64), 128, 1).shape == (1, 128)


@pytest.mark.parametrize("window_samples", [0, -128])
def test_cut_refuses_empty_windows(window_samples):
    with pytest.raises(ValueError, match=f"window_samples is {window_samples}"):
        cut(np.zeros(256, np.complex64), window_samples, 1)


@pytest.mark.parametrize("hop_samples", [0, -1])
def test_cut_refuses_to_stand_still(hop_samples):
    with pytest.raises(ValueError, match=f"hop_samples is {hop_samples}"):
        cut(np.zeros(256, np.complex64), 128, hop_samples)


def test_cut_refuses_two_dimensions():
    with pytest.raises(ValueError, match=r"\(2, 128\)"):
        cut(np.zeros((2, 128), np.complex64), 128, 128)


def test_rows_are_i_then_q():
    rows = to_rows(torch.tensor([[1 + 2j, 3 + 4j, 5 + 6j]]))
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[[1, 3, 5], [2, 4, 6]]]


@pytest.mark.parametrize("window_samples", [1, 100, 128])
def test_rows_round_trip(window_samples):
    windows = noise(3, window_samples)
    rows = to_rows(windows)
    assert rows.shape == (3, 2, window_samples)
    assert torch.equal(to_complex(rows), windows)
    assert torch.equal(to_rows(to_complex(rows.contiguous())), rows)


def test_rows_of_an_empty_batch():
    empty = torch.empty(0, 128, dtype=torch.complex64)
    assert to_rows(empty).shape == (0, 2, 128)
    assert to_complex(to_rows(empty)).shape == (0, 128)
    assert unit_power(to_rows(empty)).shape == (0, 2, 128)


@given(level=st.floats(1e-12, 1e6), imbalance=st.floats(0, 3), window_samples=st.integers(1, 300))
@settings(deadline=None)
def test_unit_power_is_one_at_any_level(level, imbalance, window_samples):
    rows = to_rows(noise(4, window_samples)) * level
    rows[:, 1] *= imbalance
    scaled = unit_power(rows)
    torch.testing.assert_close(power(scaled), torch.ones(4))
    # One gain for I and Q: scaled is a multiple of rows.
    gain = scaled.flatten(1).norm(dim=1) / rows.flatten(1).norm(dim=1)
    torch.testing.assert_close(scaled, rows * gain[:, None, None])


@given(exponent=st.integers(-40, 20))
def test_unit_power_forgets_the_level(exponent):
    rows = to_rows(noise(4, 128))
    # Powers of two scale floats without rounding; rsqrt may differ in its last place.
    torch.testing.assert_close(
        unit_power(rows * 2.0**exponent), unit_power(rows), rtol=1e-6, atol=1e-7
    )


def test_unit_power_scales_each_window_by_itself():
    rows = to_rows(noise(3, 128))
    levels = torch.tensor([1e-6, 1.0, 1e6])[:, None, None]
    torch.testing.assert_close(unit_power(rows * levels), unit_power(rows))


def test_unit_power_keeps_the_constellation_upright():
    """A real signal stays real: separate gains would blow its empty Q row up."""
    rows = torch.zeros(1, 2, 64)
    rows[0, 0] = 0.01
    scaled = unit_power(rows)
    assert torch.equal(scaled[0, 1], torch.zeros(64))
    torch.testing.assert_close(scaled[0, 0], torch.ones(64))


@pytest.mark.parametrize("level", [0.0, 1e-20, 1e-38])
def test_unit_power_leaves_silence_alone(level):
    rows = torch.full((2, 2, 128), level)
    rows[1] = 1.0  # beside a window that is not silent
    scaled = unit_power(rows)
    assert torch.equal(scaled[0], rows[0])
    torch.testing.assert_close(power(scaled)[1], torch.tensor(1.0))


@pytest.mark.parametrize("window_samples", [1, 100, 128, 1024])
def test_spectrum_is_numpys(window_samples):
    windows = noise(3, window_samples)
    rows = to_rows(windows)
    found = to_complex(spectrum(rows)).numpy()
    expected = np.fft.fft(windows.numpy().astype(np.complex128), norm="ortho")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    back = np.fft.ifft(found, norm="ortho")
    np.testing.assert_allclose(back, windows.numpy(), atol=1e-5)


@pytest.mark.parametrize("window_samples", [1, 100, 128, 1024])
def test_spectrum_keeps_power(window_samples):
    rows = to_rows(noise(5, window_samples))
    torch.testing.assert_close(power(spectrum(rows)), power(rows))


@pytest.mark.parametrize("bin_", [0, 1, 31, 64, 127])
def test_tone_lands_in_its_bin(bin_):
    """Bin k is k/L cycles per sample, so the upper half holds negative frequencies."""
    n = torch.arange(128)
    tone = torch.polar(torch.ones(128), 2 * torch.pi * bin_ * n / 128 + 0.5)[None]
    found = to_complex(spectrum(to_rows(tone)))[0].abs()
    expected = torch.zeros(128)
    expected[bin_] = 128**0.5
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_spectrum_of_half_precision_is_float32(dtype):
    rows = to_rows(noise(2, 128)).to(dtype)
    found = spectrum(rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, spectrum(rows.float()))
