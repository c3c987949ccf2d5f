# SPDX-License-Identifier: GPL-3.0-or-later
"""numpy's .npy: complex samples (N,), or I and Q as columns (N, 2), rows (2, N) or fields."""

from __future__ import annotations

import contextlib
import math
import tokenize
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from gr_tsddae.iq.formats.capture import Capture, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import CaptureDamagedError, CaptureFormatError
from gr_tsddae.iq.formats.sample_format import SampleFormat

SUFFIX = ".npy"

# Of an array of pairs; numpy itself calls the fields f0 and f1 where nobody names them.
_FIELDS = (("i", "q"), ("re", "im"), ("r", "i"), ("real", "imag"), ("f0", "f1"))

_REMEDIES = {
    "f": "save a.astype(numpy.complex64), or float32",
    "i": "64 bits have no usual full scale; save the type that the receiver gave, such as "
    "a.astype(numpy.int16)",
    "u": "64 bits have no usual full scale; save the type that the receiver gave, such as "
    "a.astype(numpy.uint8)",
    "b": "samples of a radio have more than one bit; save i + 1j * q",
}

HEADER_ERRORS = (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError,
                 OverflowError, tokenize.TokenError)  # fmt: skip
"""What numpy raises for a header that is none."""


def open_numpy(path: Path) -> Capture:
    """Open a .npy file of complex numbers, or of pairs of numbers.

    Raises:
        CaptureMissingError: If the file cannot be opened.
        CaptureFormatError: If the array is of another type or shape.
        CaptureDamagedError: If it is no .npy file, or holds no samples.
    """
    file_bytes = check_file(path)
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, columns_first, dtype = read(file)
            header_bytes = file.tell()
    except HEADER_ERRORS as error:
        raise CaptureDamagedError(f"{path} is no .npy file ({error}); save it again") from error
    flat = math.prod(shape) * dtype.itemsize
    found = _numbers(shape, columns_first, dtype)
    if found is None:
        raise CaptureFormatError(
            f"{path} holds {dtype} {shape} where complex samples (N,), or I and Q as (N, 2) or "
            "(2, N), are wanted; save i + 1j * q, or a.reshape(-1, 2) where I and Q alternate"
        )
    number, is_planar = found
    sample_format = _stored(number)
    if sample_format is None:
        raise CaptureFormatError(f"{path} holds numbers of type {number}: {_REMEDIES[number.kind]}")
    there = min(flat, file_bytes - header_bytes)
    # Of samples whose Q is not there, the I is of no use.
    usable = 2 * max(0, there - flat // 2) if is_planar else there
    counts, faults = count_samples(path, sample_format, usable)
    if there < flat:
        faults += (f"{path} names {flat} bytes of samples, and {there} are there",)
    return Capture(
        path=path,
        data_path=path,
        format=f"npy {sample_format.name}",
        sample_format=sample_format,
        sample_count=counts[0],
        header_bytes=header_bytes,
        trailing_bytes=file_bytes - header_bytes - there,
        q_offset_bytes=flat // 2 if is_planar else 0,
        faults=faults,
    )


def _numbers(
    shape: tuple[int, ...], columns_first: bool, dtype: np.dtype
) -> tuple[np.dtype, bool] | None:
    """Return the type of I and Q, and whether all I lie before all Q; None if they are none.

    Axes of length 1 do not matter. An array (2, 2) is taken for (N, 2).
    """
    used = [length for length in shape if length != 1]
    if len(used) <= 1 and dtype.kind == "V":
        dtype = _number_of_pairs(dtype)
        return None if dtype is None else (dtype, False)
    if len(used) <= 1 and dtype.kind == "c":
        return np.dtype(f"{dtype.byteorder}f{dtype.itemsize // 2}"), False
    if dtype.kind in "fiub" and (used == [2] or (len(used) == 2 and 2 in used)):
        return dtype, len(used) == 2 and (used[1] == 2) == columns_first
    return None


def _stored(number: np.dtype) -> SampleFormat | None:
    """Return how samples of this type of I and Q are stored; None if nobody can tell."""
    if number == np.float16:
        return SampleFormat(number, 0.0, 1.0)
    order = "_be" if number.byteorder == ">" else ""
    with contextlib.suppress(CaptureFormatError):
        return SampleFormat.parse(f"c{number.kind}{8 * number.itemsize}{order}")
    return None


def _number_of_pairs(dtype: np.dtype) -> np.dtype | None:
    """Return the type of I and Q where a structured type has both in this order, and no more.

    A structured type of nothing but one complex number has both, too.
    """
    names = tuple(name.lower() for name in dtype.names or ())
    if len(names) == 1 and dtype[0].kind == "c" and dtype.itemsize == dtype[0].itemsize:
        return np.dtype(f"{dtype[0].byteorder}f{dtype.itemsize // 2}")
    if names not in _FIELDS or dtype[0] != dtype[1] or dtype.itemsize != 2 * dtype[0].itemsize:
        return None
    at_the_start = dtype.fields[dtype.names[0]][1] == 0
    return dtype[0] if at_the_start and dtype[0].kind in "fiub" else None
