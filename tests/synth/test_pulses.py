# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulse shapes against their defining properties."""

import math

import pytest
import torch

from gr_tsddae.synth.pulses import gaussian_frequency, root_raised_cosine

DENSITY = 64  # samples per symbol
TIMES = torch.arange(-100 * DENSITY, 100 * DENSITY + 1, dtype=torch.float64) / DENSITY


@pytest.mark.parametrize("rolloff", [0.2, 0.35, 1.0])
def test_root_raised_cosine_is_a_square_root_of_nyquist(rolloff):
    """p convolved with itself is 1 at its own symbol and 0 at all others."""
    pulse = root_raised_cosine(TIMES, rolloff)
    for symbols in range(6):
        shifted = pulse[symbols * DENSITY :]
        product = (pulse[: len(shifted)] * shifted).sum().item() / DENSITY
        assert product == pytest.approx(float(symbols == 0), abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rolloff", [0.2, 0.25, 0.35, 1.0])
def test_root_raised_cosine_has_no_holes(dtype, rolloff):
    """Through its removable singularities, on them and a float's breadth beside them."""
    edge = 1 / (4 * rolloff)
    quarter = math.pi * edge
    at_edge = rolloff / math.sqrt(2) * (
        (1 + 2 / math.pi) * math.sin(quarter)
    ) + rolloff / math.sqrt(2) * ((1 - 2 / math.pi) * math.cos(quarter))
    for centre, value in ((0, 1 + rolloff * (4 / math.pi - 1)), (edge, at_edge), (-edge, at_edge)):
        near = centre + torch.arange(-400, 401, dtype=dtype) * 1e-6  # the centre among them
        found = root_raised_cosine(near, rolloff)
        assert (found - value).abs().max() < 3e-3


@pytest.mark.parametrize("bandwidth_time", [0.3, 0.35, 0.5])
def test_gaussian_frequency_moves_one_symbol_of_phase(bandwidth_time):
    pulse = gaussian_frequency(TIMES, bandwidth_time)
    assert pulse.sum().item() / DENSITY == pytest.approx(1, abs=1e-6)
    assert (pulse >= 0).all() and torch.equal(pulse, pulse.flip(0))


def test_gaussian_frequency_has_its_bandwidth():
    """The Gaussian filter inside is 3 dB down at BT; the rectangle adds its own sinc."""
    bandwidth_time = 0.35
    pulse = gaussian_frequency(TIMES, bandwidth_time)
    response = (pulse * torch.cos(2 * math.pi * bandwidth_time * TIMES)).sum() / DENSITY
    gaussian = response / torch.sinc(torch.tensor(bandwidth_time, dtype=torch.float64))
    assert 20 * math.log10(gaussian) == pytest.approx(-3.01, abs=0.02)
