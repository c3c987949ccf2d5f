# SPDX-License-Identifier: GPL-3.0-or-later
"""Receiver's tags become segments of a recording; what cannot be true changes nothing."""

import math

import pytest

pmt = pytest.importorskip("pmt", reason="GNU Radio is not installed")

from gr_tsddae.blocks.receiver.receiver_tags import ReceiverTags
from gr_tsddae.blocks.receiver.stream_tags import tag_of_time

NOON_S = 1_700_000_000


def number(value):
    return pmt.from_double(value)


def test_without_tags_the_settings_hold():
    tags = ReceiverTags(1e6, 433e6, NOON_S + 0.25)
    assert tags.segment(0) == (0, 433e6, NOON_S + 0.25)
    assert tags.segment(500_000) == (500_000, 433e6, NOON_S + 0.75)
    assert ReceiverTags(None, None, None).segment(7) == (7, None, None)


def test_what_a_tag_says_replaces_the_setting():
    tags = ReceiverTags(1e6, 433e6, None)
    said = {"rx_rate": number(2e6), "rx_freq": number(434e6), "rx_time": tag_of_time(NOON_S, 0.5)}
    assert tags.take(100, said)
    assert tags.rate_changed_from is None, "a setting was replaced, no rate changed"
    assert tags.segment(100) == (100, 434e6, NOON_S + 0.5)
    assert tags.segment(200_100) == (200_100, 434e6, pytest.approx(NOON_S + 0.6))


def test_what_is_said_again_is_no_news():
    tags = ReceiverTags(None, None, None)
    said = {"rx_rate": number(1e6), "rx_freq": number(433e6), "rx_time": tag_of_time(NOON_S, 0.0)}
    assert tags.take(0, said)
    later = said | {"rx_time": tag_of_time(NOON_S + 1, 0.0)}
    assert not tags.take(1_000_000, later), "the clock is where it must be after a second"
    assert tags.take(2_000_000, later), "the clock stood still: samples were lost"


def test_a_change_of_rate_is_told():
    tags = ReceiverTags(None, None, None)
    assert tags.take(0, {"rx_rate": number(1e6)}) and tags.rate_changed_from is None
    assert tags.take(5, {"rx_rate": number(2e6)}) and tags.rate_changed_from == 1e6
    assert not tags.take(9, {"rx_rate": number(2e6)}) and tags.rate_changed_from is None


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("rx_rate", number(0.0), "a finite number above 0"),
        ("rx_rate", number(-1e6), "a finite number above 0"),
        ("rx_rate", pmt.intern("fast"), "a finite number above 0"),
        ("rx_freq", number(math.nan), "a finite number"),
        ("rx_time", number(5.0), "a tuple of whole seconds"),
    ],
)
def test_a_tag_that_cannot_be_true_is_ignored_and_named(key, value, wanted):
    tags = ReceiverTags(1e6, 433e6, NOON_S)
    assert not tags.take(10, {key: value})
    assert list(tags.ignored) == [key] and wanted in tags.ignored[key]
    assert tags.segment(1_000_000) == (1_000_000, 433e6, NOON_S + 1)
    tags.take(20, {})
    assert not tags.ignored


def test_a_clock_that_was_never_set_gives_no_time():
    """Receivers without GPS count seconds from their start."""
    tags = ReceiverTags(1e6, None, NOON_S)
    assert tags.take(0, {"rx_time": tag_of_time(3, 0.0)})
    assert tags.segment(0) == (0, None, None)
