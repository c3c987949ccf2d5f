# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulses that are much shorter than a frame of the spectrum, as those of transponders."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.survey.detection.box import Box
from gr_tsddae.survey.detection.pulses import find_pulses, with_pulses
from gr_tsddae.survey.truth.scenes import survey_samples

RATE_HZ = 2e6


def messages(per_second: float, samples: int = 500_000, seed: int = 1) -> tuple[np.ndarray, int]:
    """Pulse-position messages of 120 us at random times, in noise, and how many there are."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((2, samples)) * 0.02
    iq, count, at = rows[0] + 1j * rows[1], 0, 0
    while True:
        at += int(rng.exponential(RATE_HZ / per_second)) + 300
        if at + 240 > samples:
            return iq.astype(np.complex64), count
        bits = rng.integers(0, 2, 112)
        level = np.zeros(240)
        level[[0, 2, 7, 9]] = 1
        level[16:] = np.stack((bits, 1 - bits), 1).ravel()
        turn_rad = 2 * np.pi * (rng.random() + rng.uniform(-0.02, 0.02) * np.arange(240))
        iq[at : at + 240] += level * rng.uniform(0.2, 1) * np.exp(1j * turn_rad)
        count += 1


@pytest.mark.parametrize("per_second", [40, 200, 1500])
def test_messages_of_transponders_are_one_emission_and_no_ofdm(per_second):
    iq, _ = messages(per_second)
    found = survey_samples(iq, RATE_HZ)
    assert len(found) == 1
    assert found[0].bandwidth_hz > 1.5e6
    assert "ofdm_useful_s" not in found[0].measured


def test_sparse_messages_are_bursts_of_their_own_length():
    iq, count = messages(40, 1_000_000, 3)
    found = survey_samples(iq, RATE_HZ)
    assert len(found) == 1
    assert count / 2 <= found[0].measured["bursts"] <= count
    assert sum(stop - start for start, stop in found[0].bursts) < 0.1


def test_noise_and_what_lasts_are_no_pulses():
    rng = np.random.default_rng(1)
    noise = (rng.standard_normal((100_000, 2)) @ [1, 1j]).astype(np.complex64)
    assert find_pulses(noise, 512) is None
    assert find_pulses(noise + 10, 512) is None


def test_pulses_of_a_narrow_emission_are_left_to_the_spectrum():
    rng = np.random.default_rng(1)
    iq = (rng.standard_normal((100_000, 2)) @ [1, 1j]).astype(np.complex64)
    window = np.hanning(400) * 30
    for start in range(1000, 90_000, 5000):
        iq[start : start + 400] += window
    assert find_pulses(iq, 512) is None


@pytest.mark.parametrize(("frames", "count"), [(range(256), 2), (range(0, 256, 18), 1)])
def test_a_narrow_box_that_does_not_pause_where_many_pulses_do_is_another_emission(frames, count):
    def box(low, high, active):
        return Box(low, high, np.isin(np.arange(256), active), np.ones(256, np.float32))

    found = with_pulses([box(400, 450, frames), box(110, 890, range(256))],
                        box(100, 900, range(0, 256, 18)))  # fmt: skip
    assert len(found) == count
