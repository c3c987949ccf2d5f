# SPDX-License-Identifier: GPL-3.0-or-later
"""What stream tags may say as numbers and as times."""

from __future__ import annotations

import math

import pytest

pmt = pytest.importorskip("pmt", reason="GNU Radio is not installed")

from gr_tsddae.blocks.receiver.stream_tags import number_of_tag, tag_of_time, time_of_tag


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (pmt.from_double(-2.5), -2.5),
        (pmt.from_long(-3), -3.0),
        (pmt.from_uint64(2**63), 2.0**63),
        (pmt.from_double(math.nan), None),
        (pmt.from_double(math.inf), None),
        (pmt.from_complex(1j), None),
        (pmt.from_complex(433e6), 433e6),
        (pmt.from_bool(True), None),
        (pmt.intern("1"), None),
        (pmt.PMT_NIL, None),
    ],
)
def test_numbers(value, number):
    assert number_of_tag(value) == number


@pytest.mark.parametrize("whole", [pmt.from_uint64, pmt.from_long, pmt.from_double])
@pytest.mark.parametrize("part", [pmt.from_uint64, pmt.from_long, pmt.from_double])
def test_times_of_every_numeric_type(whole, part):
    value = pmt.make_tuple(whole(1_700_000_000), part(0))
    assert time_of_tag(value) == (1_700_000_000, 0.0)
    whole_s, part_s = time_of_tag(value)
    assert isinstance(whole_s, int) and isinstance(part_s, float)


def test_a_tuple_may_hold_more_than_the_time():
    """gr-uhd adds nothing, other sources do."""
    value = pmt.make_tuple(pmt.from_uint64(1), pmt.from_double(0.25), pmt.from_long(7))
    assert time_of_tag(value) == (1, 0.25)


@pytest.mark.parametrize("time", [(0, 0.0), (1_700_000_000, 0.25), (3, 1.0 - 2**-53)])
def test_what_is_written_is_read(time):
    assert time_of_tag(tag_of_time(*time)) == time
