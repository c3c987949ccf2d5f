# SPDX-License-Identifier: GPL-3.0-or-later
"""numpy's .npy: complex samples (N,), or I and Q as columns (N, 2)."""

from __future__ import annotations

import math
import tokenize
from pathlib import Path

from numpy.lib import format as npy

from gr_tsddae.iq.formats.capture import Capture, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import CaptureDamagedError, CaptureFormatError
from gr_tsddae.iq.formats.sample_format import SampleFormat

SUFFIX = ".npy"

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
    used = [length for length in shape if length != 1]
    flat = math.prod(shape) * dtype.itemsize
    kind, order = dtype.kind, "_be" if dtype.byteorder == ">" else ""
    if kind == "c" and len(used) <= 1:
        name = f"cf{4 * dtype.itemsize}{order}"
    elif kind in "fiu" and (shape[-1:] == (2,) if not columns_first else shape[:1] == (2,)):
        name = f"c{kind}{8 * dtype.itemsize}{order}"
    else:
        raise CaptureFormatError(
            f"{path} holds {dtype} {shape} where complex samples (N,), or I and Q as (N, 2), are "
            "wanted; save i + 1j * q"
        )
    sample_format = SampleFormat.parse(name)
    there = min(flat, file_bytes - header_bytes)
    counts, faults = count_samples(path, sample_format, there)
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
        faults=faults,
    )
