# SPDX-License-Identifier: GPL-3.0-or-later
"""What messages hold: numbers of every PMT type are numbers."""

from __future__ import annotations

import numpy as np
import pytest

pmt = pytest.importorskip("pmt", reason="GNU Radio is not installed")

from gr_tsddae.blocks.listening.content import as_number, as_switch, content_of, control_of

KEY = pmt.intern("offset_hz")
NUMBERS = [
    *(pmt.from_double(25e3), pmt.from_float(25e3), pmt.from_long(25_000)),
    *(pmt.from_uint64(25_000), pmt.from_complex(25e3)),
]


@pytest.mark.parametrize("number", NUMBERS, ids=range(len(NUMBERS)))
def test_a_control_message_takes_a_number_of_every_type(number):
    dictionary = pmt.dict_add(pmt.make_dict(), KEY, number)
    for message in (dictionary, pmt.cons(KEY, number)):
        wanted = control_of(message)
        assert wanted == {"offset_hz": 25e3}
        assert isinstance(wanted["offset_hz"], int | float)


@pytest.mark.parametrize("message", [pmt.PMT_NIL, pmt.intern("x"), pmt.from_double(1.0)])
def test_other_messages_control_nothing(message):
    with pytest.raises(ValueError, match="must be a dictionary or a pair"):
        control_of(message)


def test_what_is_no_number_stays_as_pmt_reads_it():
    content = {"a": True, "b": None, "c": "x", "d": {"e": (1, 2.5)}, "f": [1, 2], "g": 1j}
    assert content_of(pmt.to_pmt(content)) == content
    row = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(content_of(pmt.to_pmt(row)), row)


@pytest.mark.parametrize("make", [pmt.init_s64vector, pmt.init_u64vector])
def test_vectors_of_long_numbers(make):
    assert content_of(make(2, [1, 2**40])).tolist() == [1, 2**40]


ONES = [np.array([5], np.uint8), np.array([5.0]), "5.0", 5, np.float32(5)]
NONE = [True, "five", "5M", 5j, np.array([5j]), np.zeros(0), np.zeros(2), (5.0,), [5.0], {"x": 5.0}]


@pytest.mark.parametrize("value", ONES, ids=repr)
def test_what_can_only_mean_a_number(value):
    assert as_number(value) == 5


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match="which is no number; send one, such as 200e3"):
        as_number(value)


def test_switches():
    assert [as_switch(value) for value in (True, False, 1, 0.0)] == [True, False, True, False]
    for value in ("False", 2, None, np.zeros(2)):
        with pytest.raises(ValueError, match="send true or false"):
            as_switch(value)
