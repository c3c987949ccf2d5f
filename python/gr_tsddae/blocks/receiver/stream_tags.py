# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream tag's value says, as a finite number or as a time."""

import math

import pmt

from gr_tsddae.blocks.listening.content import number_of
from gr_tsddae.iq.receiver_time import receiver_time


def number_of_tag(value: pmt.pmt_base) -> float | None:
    """Read a finite number; None when there is none."""
    number = number_of(value)
    return float(number) if number is not None and math.isfinite(number) else None


def time_of_tag(value: pmt.pmt_base) -> tuple[int, float] | None:
    """Read an `rx_time`: whole seconds and a fraction from 0 up to 1; None when it holds none."""
    if not pmt.is_tuple(value) or pmt.length(value) < 2:
        return None
    return receiver_time(*(number_of(pmt.tuple_ref(value, at)) for at in (0, 1)))


def tag_of_time(whole_s: int, part_s: float) -> pmt.pmt_base:
    """Make the value of an `rx_time` tag."""
    return pmt.make_tuple(pmt.from_uint64(whole_s), pmt.from_double(part_s))
