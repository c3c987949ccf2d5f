# SPDX-License-Identifier: GPL-3.0-or-later
"""How a latency target becomes a pace."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")

from gr_tsddae.blocks import window_batcher
from gr_tsddae.blocks.network.pace import Pacer, PassTimes


def batcher(batch_windows=1024, max_wait_s=10.0):
    return window_batcher(
        window_samples=8, hop_samples=8, batch_windows=batch_windows, policy="drop_oldest",
        max_wait_s=max_wait_s,
    )  # fmt: skip


def passes(pacer, *, fixed_s, each_s, count=100):
    """The network is given as much as it may have: what a full load does."""
    for _ in range(count):
        windows = pacer.batch_limit_windows
        pacer.add_pass(windows, fixed_s + each_s * windows)


def test_without_a_target_the_pace_is_the_batchers_own():
    b = batcher(64, 0.25)
    pacer = Pacer(b, 16)
    passes(pacer, fixed_s=1, each_s=1)
    assert b.pace() == (64, 0.25, math.inf)


@pytest.mark.parametrize("target_ms", [10, 20, 100])
def test_oldest_window_of_a_full_load_is_in_time_with_the_largest_batch(target_ms):
    b = batcher()
    pacer = Pacer(b, 16, target_ms)
    fixed_s, each_s = 0.5e-3, 50e-6
    passes(pacer, fixed_s=fixed_s, each_s=each_s)
    windows, wait_s, age_s = b.pace()
    pass_s = fixed_s + each_s * windows
    assert max(wait_s, pass_s) + pass_s <= target_ms / 1e3
    assert wait_s <= age_s <= target_ms / 1e3 - pass_s + 1e-9
    assert pass_s >= 0.3 * target_ms / 1e3  # of 0.5: not smaller than it need be


def test_a_long_target_allows_the_largest_batch_and_max_wait_still_holds():
    b = batcher(256, max_wait_s=0.1)
    pacer = Pacer(b, 16, 10_000)
    passes(pacer, fixed_s=1e-3, each_s=50e-6)
    windows, wait_s, age_s = b.pace()
    assert (windows, wait_s) == (256, 0.1)
    assert age_s > 1


def test_a_pass_that_is_padded_is_used_to_the_full():
    """Passes take as long for 16 windows as for 64, and twice as long for 65."""
    b = batcher()
    pacer = Pacer(b, 64, 50)
    for _ in range(100):
        windows = pacer.batch_limit_windows
        pacer.add_pass(windows, 10e-3 * math.ceil(windows / 64))
    assert b.pace()[0] == 128  # two of 10 ms in half of 0.9 * 50 ms
    pacer.network_changed(32)
    assert b.pace()[0] == 32  # careful, until it is known


def test_a_target_that_cannot_be_met_gets_the_smallest_batch_at_once():
    b = batcher()
    pacer = Pacer(b, 16, 5)
    passes(pacer, fixed_s=0.5, each_s=1e-3)
    assert b.pace() == (16, 0.0, 0.0)


def test_a_slower_network_and_a_faster_one_are_noticed():
    b = batcher()
    pacer = Pacer(b, 16, 50)
    passes(pacer, fixed_s=1e-3, each_s=50e-6)
    fast = pacer.batch_limit_windows
    passes(pacer, fixed_s=1e-3, each_s=500e-6, count=300)
    slow = pacer.batch_limit_windows
    assert slow < fast / 4
    passes(pacer, fixed_s=1e-3, each_s=50e-6, count=300)
    assert pacer.batch_limit_windows > 0.8 * fast


def test_one_hiccup_is_forgotten():
    b = batcher()
    pacer = Pacer(b, 16, 50)
    passes(pacer, fixed_s=1e-3, each_s=50e-6)
    before = pacer.batch_limit_windows
    pacer.add_pass(before, 1.0)
    assert pacer.batch_limit_windows < before
    passes(pacer, fixed_s=1e-3, each_s=50e-6, count=300)
    assert pacer.batch_limit_windows > 0.8 * before


def test_the_target_can_be_changed_and_taken_back():
    b = batcher(128, 0.25)
    pacer = Pacer(b, 16, 4)
    assert b.pace()[0] == 16
    pacer.set_max_latency_ms(0)
    assert b.pace() == (128, 0.25, math.inf)
    for bad in (-1, math.inf, math.nan):
        with pytest.raises(ValueError, match="max_latency_ms is"):
            pacer.set_max_latency_ms(bad)


def test_times_are_never_negative_and_one_size_says_nothing_of_others():
    times = PassTimes()
    times.add(16, 0.016)
    assert times.long_s(32) == pytest.approx(0.032)
    for windows, seconds in ((8, 0.02), (32, 0.01)) * 20:  # larger ones seem to be faster
        times.add(windows, seconds)
    assert times.long_s(1) > 0
    assert times.windows_within(1.0, 512) == 512
