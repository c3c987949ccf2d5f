# SPDX-License-Identifier: GPL-3.0-or-later
"""GNU Radio's serialised values (PMT) without GNU Radio: bytes -> plain Python values."""

from __future__ import annotations

import struct
from typing import Any

# Serialised PMT: one byte says what follows; numbers are big-endian.
_TRUE, _FALSE, SYMBOL, _INT32, _DOUBLE, _COMPLEX, _NULL, PAIR = range(8)
_VECTOR, DICT, _UNIFORM_VECTOR, _UINT64, _TUPLE, _INT64 = range(8, 14)
_NUMBERS = {_INT32: ">i", _DOUBLE: ">d", _COMPLEX: ">dd", _UINT64: ">Q", _INT64: ">q"}
_UNIFORM_ITEM_BYTES = (1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 8, 16)


def parse(data: bytes, at: int) -> tuple[Any, int]:
    """Read the value that begins at byte `at`.

    Pairs and tuples become tuples, dictionaries become dicts. A uniform vector becomes None.

    Returns:
        The value, and the byte at which the next one begins.

    Raises:
        ValueError, IndexError, TypeError, struct.error, RecursionError: If there is no value.
    """
    tag, at = data[at], at + 1
    if tag in (_TRUE, _FALSE):
        return tag == _TRUE, at
    if tag == _NULL:
        return {}, at
    if tag in _NUMBERS:
        numbers = struct.unpack_from(_NUMBERS[tag], data, at)
        value = complex(*numbers) if tag == _COMPLEX else numbers[0]
        return value, at + struct.calcsize(_NUMBERS[tag])
    if tag == SYMBOL:
        (length,) = struct.unpack_from(">H", data, at)
        return data[at + 2 : at + 2 + length].decode("utf-8"), at + 2 + length
    if tag == PAIR:
        first, at = parse(data, at)
        second, at = parse(data, at)
        return (first, second), at
    if tag == DICT:  # a list: each link is this tag, a pair, and the next link or null
        items = {}
        while tag == DICT:
            (key, value), at = parse(data, at)
            items.setdefault(key, value)  # the newest comes first
            tag, at = data[at], at + 1
        return items, at
    if tag in (_TUPLE, _VECTOR):
        (length,) = struct.unpack_from(">I", data, at)
        values, at = [], at + 4
        for _ in range(length):
            value, at = parse(data, at)
            values.append(value)
        return tuple(values), at
    if tag == _UNIFORM_VECTOR:
        kind, length, padding = struct.unpack_from(">BIB", data, at)
        return None, at + 6 + padding + length * _UNIFORM_ITEM_BYTES[kind]
    raise ValueError(f"unknown type {tag}")
