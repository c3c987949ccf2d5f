# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream tag's value says, as a number or as a time; each numeric PMT type is read."""

import math

import pmt

from gr_tsddae.iq.receiver_time import receiver_time


def number_of_tag(value: pmt.pmt_base) -> float | None:
    """Read a finite number; None when there is none."""
    number = _number(value)
    return float(number) if number is not None and math.isfinite(number) else None


def time_of_tag(value: pmt.pmt_base) -> tuple[int, float] | None:
    """Read an `rx_time`: whole seconds and a fraction from 0 up to 1; None when it holds none."""
    if not pmt.is_tuple(value) or pmt.length(value) < 2:
        return None
    return receiver_time(*(_number(pmt.tuple_ref(value, at)) for at in (0, 1)))


def tag_of_time(whole_s: int, part_s: float) -> pmt.pmt_base:
    """Make the value of an `rx_time` tag."""
    return pmt.make_tuple(pmt.from_uint64(whole_s), pmt.from_double(part_s))


def _number(value: pmt.pmt_base) -> int | float | None:
    if pmt.is_real(value) or pmt.is_integer(value) or pmt.is_uint64(value):
        return pmt.to_python(value)
    if pmt.is_complex(value) and pmt.to_complex(value).imag == 0:
        return pmt.to_complex(value).real
    return None
