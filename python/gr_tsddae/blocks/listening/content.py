# SPDX-License-Identifier: GPL-3.0-or-later
"""What tags and messages hold, in Python's types; every numeric PMT type is read as a number."""

import contextlib
import numbers
from typing import Any

import numpy as np
import pmt

_LONG_VECTORS = (  # that pmt.to_python refuses
    (pmt.is_s64vector, pmt.s64vector_elements, np.int64),
    (pmt.is_u64vector, pmt.u64vector_elements, np.uint64),
)


def number_of(value: pmt.pmt_base) -> int | float | None:
    """Read a number, also a complex one without an imaginary part; None when there is none."""
    if pmt.is_real(value) or pmt.is_integer(value) or pmt.is_uint64(value):
        return pmt.to_python(value)
    if pmt.is_complex(value) and pmt.to_complex(value).imag == 0:
        return pmt.to_complex(value).real
    return None


def content_of(message: pmt.pmt_base) -> Any:
    """Convert a message as pmt.to_python does, with numbers as `number_of` reads them.

    Raises:
        ValueError: If it holds what Python has no type for.
    """
    number = number_of(message)
    if number is not None:
        return number
    if pmt.is_dict(message) and not pmt.is_null(message):
        items = pmt.dict_items(message)
        pairs = (pmt.nth(at, items) for at in range(pmt.length(items)))
        return {content_of(pmt.car(pair)): content_of(pmt.cdr(pair)) for pair in pairs}
    if pmt.is_pair(message):
        return content_of(pmt.car(message)), content_of(pmt.cdr(message))
    if pmt.is_tuple(message):
        return tuple(content_of(pmt.tuple_ref(message, at)) for at in range(pmt.length(message)))
    if pmt.is_vector(message):
        return [content_of(pmt.vector_ref(message, at)) for at in range(pmt.length(message))]
    for is_one, elements, dtype in _LONG_VECTORS:
        if is_one(message):
            return np.array(elements(message), dtype)
    return pmt.to_python(message)


def as_number(value: Any) -> float:
    """Take a value of a message for a number: also text that is one, and an array of one.

    Raises:
        ValueError: If it is none.
    """
    given = value
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise ValueError(f"it is {given!r}, which is no number; send one, such as 200e3")
    return value


def as_switch(value: Any) -> bool:
    """Take a value of a message for on or off: true, false, 1 or 0.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(value, (bool, np.bool_, numbers.Real)) and value in (0, 1):
        return bool(value)
    raise ValueError(f"it is {value!r}, which is neither on nor off; send true or false")


def control_of(message: pmt.pmt_base) -> dict[str, Any]:
    """Read what is to be changed: a dictionary, or a pair (name . value).

    Raises:
        ValueError: If the message is neither.
    """
    wanted = content_of(message)
    if isinstance(wanted, tuple) and len(wanted) == 2:
        wanted = {wanted[0]: wanted[1]}
    if not isinstance(wanted, dict):
        raise ValueError(f"a control message must be a dictionary or a pair, not {wanted}")
    return {str(name): value for name, value in wanted.items()}
