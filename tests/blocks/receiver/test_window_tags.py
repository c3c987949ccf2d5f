# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of windows: where the receiver's setting changes, and at which sample they leave again."""

import math

import numpy as np
import pytest

pmt = pytest.importorskip("pmt", reason="GNU Radio is not installed")

from gr_tsddae.blocks.receiver.window_tags import WindowTags, changes

INFO = np.dtype(
    [
        ("first_sample", "u8"), ("rx_time_sample", "u8"), ("rx_time_full_s", "u8"),
        ("rx_time_frac_s", "f8"), ("rx_freq_hz", "f8"), ("rx_rate_hz", "f8"), ("has_time", "?"),
    ]
)  # fmt: skip


def windows(*each):
    """Window infos, (B,), of dictionaries; what they leave out is unknown."""
    info = np.zeros(len(each), INFO)
    info["rx_freq_hz"] = info["rx_rate_hz"] = math.nan
    for row, values in zip(info, each, strict=True):
        for name, value in values.items():
            row[name] = value
    return info


def timed(sample, full_s=100, frac_s=0.5):
    return {
        "has_time": True, "rx_time_sample": sample, "rx_time_full_s": full_s,
        "rx_time_frac_s": frac_s,
    }  # fmt: skip


def told(tags):
    return [(at, key, pmt.to_python(value)) for at, key, value in tags]


def test_changes_are_where_time_frequency_or_rate_differ():
    info = windows(
        {}, {}, {"rx_freq_hz": 1e6}, {"rx_freq_hz": 1e6}, {"rx_freq_hz": 1e6, "rx_rate_hz": 2e6},
        {"rx_freq_hz": 1e6, "rx_rate_hz": 2e6, **timed(0)},
        {"rx_freq_hz": 1e6, "rx_rate_hz": 2e6, **timed(640)},
    )  # fmt: skip
    assert changes(info).tolist() == [2, 4, 5, 6]
    assert changes(info[:2]).tolist() == []


def test_a_tag_leaves_once_and_at_its_sample():
    tags = WindowTags()
    first = windows({"first_sample": 0, "rx_freq_hz": 1e6}, {"first_sample": 64, "rx_freq_hz": 1e6})
    assert told(tags.news(first, 0)) == [(0, "rx_freq", 1e6)]
    second = windows(
        {"first_sample": 128, "rx_freq_hz": 1e6}, {"first_sample": 192, "rx_freq_hz": 2e6}
    )
    assert told(tags.news(second, 128)) == [(192, "rx_freq", 2e6)]


def test_a_time_comes_with_all_that_is_known():
    info = windows({"first_sample": 64, "rx_freq_hz": 1e6, "rx_rate_hz": 2e6, **timed(64)})
    assert told(WindowTags().news(info, 0)) == [
        (64, "rx_time", (100, 0.5)), (64, "rx_freq", 1e6), (64, "rx_rate", 2e6),
    ]  # fmt: skip


def test_the_tag_of_a_lost_window_stays_while_its_sample_has_not_left():
    info = windows({"first_sample": 128, "rx_rate_hz": 64.0, **timed(64)})
    assert told(WindowTags().news(info, 64))[0] == (64, "rx_time", (100, 0.5))


def test_the_tag_of_a_lost_window_moves_with_its_time():
    """The sample at 64 has left: at 128, one second of 64 samples later, it is a second later."""
    info = windows({"first_sample": 128, "rx_rate_hz": 64.0, **timed(64)})
    assert told(WindowTags().news(info, 65))[0] == (128, "rx_time", (101, 0.5))
    unknown = windows({"first_sample": 128, "rx_freq_hz": 1e6, **timed(64)})
    assert told(WindowTags().news(unknown, 65)) == [(128, "rx_freq", 1e6)]
