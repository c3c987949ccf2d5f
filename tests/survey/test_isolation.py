# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting an emission out: nothing of it is lost, nothing beside it comes along, no seams."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.survey.isolation import Isolator

RATE_HZ = 1e6


def cutter(iq: np.ndarray, block: int = 16384) -> Isolator:
    def read(first: int, count: int) -> tuple[np.ndarray, bool]:
        out = np.zeros(count, np.complex64)
        low, high = max(0, first), min(len(iq), first + count)
        if low < high:
            out[low - first : high - first] = iq[low:high]
        return out, True

    return Isolator(read, RATE_HZ, block)


@pytest.mark.parametrize("oversampling", [1.4, 4.0, 7.3])
@pytest.mark.parametrize("hz", [123_456.7, -400_100.0])
def test_a_tone_stays_a_tone_across_blocks(hz, oversampling):
    n = np.arange(200_000)
    tone = np.exp(2j * np.pi * hz / RATE_HZ * n).astype(np.complex64)
    isolator = cutter(tone)
    iq, out_hz = isolator.cut(hz - 7e3, hz + 5e3, 30_000, 170_000, oversampling=oversampling)
    assert len(iq) == pytest.approx(140_000 * out_hz / RATE_HZ, abs=2)
    assert out_hz >= 1.3 * 12e3
    center_hz = isolator.center_hz(hz - 7e3, hz + 5e3)
    turn = np.exp(-2j * np.pi * (hz - center_hz) / out_hz * np.arange(len(iq)))
    still = iq * turn
    assert np.abs(still - still.mean()).max() < 0.02  # one phase and amplitude throughout
    assert abs(still.mean()) == pytest.approx(1, abs=0.01)


def test_what_lies_beside_is_kept_out():
    n = np.arange(100_000)
    iq = np.exp(2j * np.pi * 0.2 * n) + np.exp(2j * np.pi * 0.25 * n)
    out, _ = cutter(iq.astype(np.complex64)).cut(195e3, 205e3, 10_000, 90_000)
    assert np.std(np.abs(out)) < 0.01


def test_a_band_as_wide_as_the_stream_is_the_stream():
    rng = np.random.default_rng(1)
    iq = (rng.standard_normal(50_000) + 1j * rng.standard_normal(50_000)).astype(np.complex64)
    out, out_hz = cutter(iq).cut(-0.49e6, 0.49e6, 0, 50_000)
    assert out_hz == RATE_HZ
    assert len(out) == 50_000
    assert np.abs(out - iq)[100:-100].mean() < 0.3  # but for the filter's edges


def test_bursts_of_one_band_are_cut_as_if_each_were_alone():
    rng = np.random.default_rng(2)
    iq = (rng.standard_normal(80_000) + 1j * rng.standard_normal(80_000)).astype(np.complex64)
    shared = cutter(iq)
    for low_hz, first, stop in [(5e4, 100, 900), (5e4, 13_000, 30_000), (-9e4, 200, 700)] * 2:
        band = low_hz, low_hz + 2e4, first, stop
        assert np.array_equal(shared.cut(*band)[0], cutter(iq).cut(*band)[0])


def test_samples_that_come_later_are_seen():
    tone = np.exp(0.2j * np.pi * np.arange(60_000)).astype(np.complex64)
    come = 20_000

    def read(first: int, count: int) -> tuple[np.ndarray, bool]:
        out = np.zeros(count, np.complex64)
        low, high = max(0, first), min(come, first + count)
        out[low - first : max(low, high) - first] = tone[low:high]
        return out, first + count <= come

    isolator = Isolator(read, RATE_HZ, 16384)
    band = 90e3, 110e3, 25_000, 30_000
    assert np.abs(isolator.cut(*band)[0]).max() < 0.1
    come = 60_000
    assert np.abs(isolator.cut(*band)[0]).min() > 0.9
