# SPDX-License-Identifier: GPL-3.0-or-later
"""A band of a recording as a recording, at any rate."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.iq.cut_out import cut_out

RATE_HZ, FIRST = 100e3, 1_000


@pytest.fixture
def capture(tmp_path):
    """A tone at 10.3 kHz, and a stronger one 8 kHz above it."""
    turns = np.arange(60_000) / RATE_HZ
    iq = np.exp(2j * np.pi * 10.3e3 * turns) + 3 * np.exp(2j * np.pi * 18.3e3 * turns)
    iq.astype(np.complex64).tofile(tmp_path / "tones.cf32")
    with open_capture(tmp_path / "tones.cf32", sample_rate_hz=RATE_HZ) as capture:
        yield capture


@pytest.mark.parametrize("wanted_hz", [4e3, 9e3, 20e3, 37e3, 83e3, 100e3, 240e3, 1.9e6])
def test_a_signal_is_cut_out_at_any_rate(capture, wanted_hz):
    part = cut_out(capture, FIRST, 20_000, (9.5e3, 10.5e3), wanted_hz, exact=True)
    assert part.sample_rate_hz == pytest.approx(wanted_hz, rel=0.01)
    assert part.duration_s == pytest.approx(0.2, rel=0.01)
    iq = part.read(0, part.sample_count)
    seconds = FIRST / RATE_HZ + np.arange(len(iq)) / part.sample_rate_hz
    tone = np.exp(2j * np.pi * 300 * seconds)  # from the middle of the band
    assert np.abs(iq - tone).max() < 0.1
    step = 777  # in pieces it is the same
    pieces = [
        part.read(at, min(step, part.sample_count - at)) for at in range(0, part.sample_count, step)
    ]
    np.testing.assert_allclose(np.concatenate(pieces), iq, atol=1e-6)


@pytest.mark.parametrize(("wanted_hz", "gets_hz"), [(4.2e3, 100e3 / 24), (83e3, 100e3), (1e6, 1e5)])
def test_otherwise_the_rate_is_divided_by_a_whole_number(capture, wanted_hz, gets_hz):
    part = cut_out(capture, FIRST, 20_000, (9.5e3, 10.5e3), wanted_hz)
    assert part.sample_rate_hz == pytest.approx(gets_hz)
