# SPDX-License-Identifier: GPL-3.0-or-later
"""Serialised values against GNU Radio's own library, and bytes that are none."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr_tsddae.iq.formats.pmt_reader import parse

pmt = pytest.importorskip("pmt")

NUMBERS = st.one_of(
    st.booleans(), st.integers(-(2**31), 2**31 - 1), st.floats(), st.complex_numbers()
)
VALUES = st.recursive(
    NUMBERS | st.text(st.characters(min_codepoint=1, codec="utf-8"), max_size=20),
    lambda values: st.one_of(
        st.tuples(values, values),
        st.lists(values, min_size=3, max_size=4).map(tuple),
        st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=1)), values, max_size=3),
    ),
    max_leaves=8,
)


def to_pmt(value):
    if isinstance(value, tuple):
        items = [to_pmt(each) for each in value]
        return pmt.cons(*items) if len(items) == 2 else pmt.make_tuple(*items)
    if isinstance(value, dict):
        made = pmt.make_dict()
        for key, each in value.items():
            made = pmt.dict_add(made, pmt.intern(key), to_pmt(each))
        return made
    if isinstance(value, int) and not isinstance(value, bool):
        return pmt.from_long(value)
    return pmt.to_pmt(value)


def same(left, right):
    if isinstance(left, (float, complex)):
        return struct.pack("dd", complex(left).real, complex(left).imag) == struct.pack(
            "dd", complex(right).real, complex(right).imag
        ) or (math.isnan(abs(left)) and math.isnan(abs(right)))
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


@given(value=VALUES, behind=st.binary(max_size=5))
def test_what_gnuradio_serialises(value, behind):
    data = pmt.serialize_str(to_pmt(value))
    parsed, end = parse(data + behind, 0)
    assert end == len(data) and same(value, parsed)


@given(data=st.binary(max_size=100))
def test_bytes_that_are_no_value(data):
    try:
        _, end = parse(data, 0)
        assert end > 0
    except (ValueError, IndexError, TypeError, struct.error, RecursionError):
        pass
