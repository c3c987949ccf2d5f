# SPDX-License-Identifier: GPL-3.0-or-later
"""The derived rows show what powers of samples tell."""

import dataclasses

import numpy as np
import pytest
import torch

from gr_tsddae.iq.windows import spectrum, to_rows, unit_power
from gr_tsddae.nets.tsnet.config import SIZES
from gr_tsddae.nets.tsnet.inputs import rows_of

PLAIN = SIZES["nano"]
DERIVED = dataclasses.replace(PLAIN, derived=True)
LENGTH, PER_SYMBOL, OFFSET_BINS = 1024, 8, 16  # 128 symbols, turned by 16 / 1024 per sample
LOG_SPECTRUM, LOG_ENVELOPE, LOG_SQUARE, LOG_FOURTH = 2, 3, 4, 5  # rows in frequency


def psk(order):
    """PSK with raised-cosine transitions, off the centre, (1, 2, L)."""
    random = np.random.default_rng(order)
    impulses = np.zeros(LENGTH, complex)
    turns = random.integers(order, size=LENGTH // PER_SYMBOL) / order
    impulses[::PER_SYMBOL] = np.exp(2j * np.pi * turns)
    iq = np.convolve(impulses, np.hanning(2 * PER_SYMBOL + 1), "same")
    iq *= np.exp(2j * np.pi * OFFSET_BINS * np.arange(LENGTH) / LENGTH)
    return unit_power(to_rows(torch.from_numpy(iq.astype(np.complex64))[None]))


def line(rows, row):
    """The bin of the highest value, and how far it is above the highest a few bins away."""
    levels = rows[0, row]
    at = int(levels.argmax())
    away = (torch.arange(LENGTH) - at).abs()
    beside = levels[(away > 3) & (away < 40)]
    return at, float(levels[at] - beside.max())


def test_a_plain_network_sees_the_samples_and_their_spectrum():
    rows = psk(4)
    seen = rows_of(PLAIN, rows)
    assert torch.equal(seen[0], rows) and torch.equal(seen[1], spectrum(rows))


def test_the_first_rows_are_the_plain_ones():
    rows = psk(4)
    in_time, in_frequency = rows_of(DERIVED, rows)
    assert in_time.shape == (1, 4, LENGTH) and in_frequency.shape == (1, 6, LENGTH)
    assert torch.equal(in_time[:, :2], rows)
    assert torch.equal(in_frequency[:, :2], spectrum(rows))
    expected = (spectrum(rows).square().sum(1) + 0.1).log()
    torch.testing.assert_close(in_frequency[:, LOG_SPECTRUM], expected)


@pytest.mark.parametrize(
    ("order", "row", "at_bins"),
    [(2, LOG_SQUARE, 2 * OFFSET_BINS), (2, LOG_FOURTH, 4 * OFFSET_BINS),
     (4, LOG_FOURTH, 4 * OFFSET_BINS)],
)  # fmt: skip
def test_a_power_shows_the_carrier(order, row, at_bins):
    at, above = line(rows_of(DERIVED, psk(order))[1], row)
    assert at == at_bins and above > 1


@pytest.mark.parametrize(("order", "row"), [(4, LOG_SQUARE), (8, LOG_SQUARE), (8, LOG_FOURTH)])
def test_a_power_that_is_too_low_shows_none(order, row):
    carrier = (4 if row == LOG_FOURTH else 2) * OFFSET_BINS
    at, above = line(rows_of(DERIVED, psk(order))[1], row)
    assert above < 1 or at != carrier


def test_the_envelope_shows_the_symbol_rate():
    at, above = line(rows_of(DERIVED, psk(4))[1], LOG_ENVELOPE)
    assert min(at, LENGTH - at) == LENGTH // PER_SYMBOL and above > 1


def test_envelope_and_phase_step():
    rows = psk(4)
    iq = torch.complex(rows[:, 0], rows[:, 1])
    in_time, _ = rows_of(DERIVED, rows)
    torch.testing.assert_close(in_time[:, 2], iq.abs())
    turn = (iq[:, 1:] * iq[:, :-1].conj()).angle().sin()
    sure = torch.minimum(iq.abs()[:, 1:], iq.abs()[:, :-1]) > 1e-3  # a zero has no phase
    torch.testing.assert_close(in_time[:, 3, 1:][sure], turn[sure], atol=1e-4, rtol=0)
    assert in_time[0, 3, 0] == 0


@pytest.mark.parametrize("level", [0.0, 1e-20])
def test_silence_and_its_gradient_are_finite(level):
    rows = torch.full((2, 2, 64), level, requires_grad=True)
    seen = rows_of(DERIVED, rows)
    sum(part.sum() for part in seen).backward()
    assert all(part.isfinite().all() for part in seen) and rows.grad.isfinite().all()
