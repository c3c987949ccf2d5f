# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers for the layouts of the RML2016 pickles and the RML2018 HDF5 file, a slice at a time."""

import math
import pickle
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gr_tsddae.files import creating

Key = tuple[str, int]


def sum_one(rows: np.ndarray) -> np.ndarray:
    """RML2016's scaling: sum over time of |x| is 1. (n, 2, L) -> float32 (n, 2, L)."""
    return (rows / np.hypot(rows[:, 0], rows[:, 1]).sum(1)[:, None, None]).astype(np.float32)


def _text(data: bytes) -> bytes:
    """Pickle a `str` of Python 2. Python 3 pickles bytes as a call to a codec, which readers of the
    released files need not allow."""
    if len(data) < 256:
        return pickle.SHORT_BINSTRING + bytes([len(data)]) + data
    return pickle.BINSTRING + struct.pack("<i", len(data)) + data


def _number(value: int) -> bytes:
    return pickle.BININT + struct.pack("<i", value)


def _array(rows: np.ndarray) -> bytes:
    """Pickle a C-contiguous float32 array as numpy did under Python 2."""
    dtype = b"".join(
        (
            b"cnumpy\ndtype\n" + _text(b"f4") + _number(0) + _number(1),
            pickle.TUPLE3 + pickle.REDUCE,
            pickle.MARK + _number(3) + _text(b"<") + pickle.NONE * 3 + _number(-1) * 2,
            _number(0) + pickle.TUPLE + pickle.BUILD,
        )
    )
    data = np.ascontiguousarray(rows, "<f4").tobytes()
    return b"".join(
        (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n",
            _number(0) + pickle.TUPLE1 + _text(b"b") + pickle.TUPLE3 + pickle.REDUCE,
            pickle.MARK + _number(1) + b"".join(map(_number, rows.shape)) + pickle.TUPLE3,
            dtype + pickle.NEWFALSE + _text(data) + pickle.TUPLE + pickle.BUILD,
        )
    )


def write_pickle(file: BinaryIO, items: Iterable[tuple[Key, np.ndarray]]) -> None:
    """Write {(modulation, SNR): float32 (n, 2, L)} as Python 2 did, protocol 2, key by key.

    The `pickle` module would hold all arrays in memory, and cannot write strings of Python 2.
    """
    file.write(pickle.PROTO + b"\x02" + pickle.EMPTY_DICT)
    for (modulation, snr_db), rows in items:
        key = _text(modulation.encode("ascii")) + _number(snr_db) + pickle.TUPLE2
        file.write(key + _array(rows) + pickle.SETITEM)
    file.write(pickle.STOP)


def write_rml2016(path: Path, items: Iterable[tuple[Key, np.ndarray]], size_bytes: int) -> None:
    """Write an RML2016 pickle; see `files.creating` for its errors."""
    with creating(path, size_bytes) as partial, partial.open("wb") as file:
        write_pickle(file, items)


def write_rml2018(
    path: Path,
    slices: Iterable[tuple[int, int, np.ndarray]],
    *,
    windows: int,
    window_samples: int,
    class_count: int,
) -> None:
    """Write X (N, L, 2) float32, Y (N, C) int64 one-hot and Z (N, 1) int64 as HDF5.

    Args:
        slices: (class, SNR in dB, float32 (n, 2, L)) in the file's order, N windows in all.

    Raises:
        OSError: see `files.creating`.
        ValueError: when the slices do not hold N windows.
    """
    import h5py

    columns = {  # name -> (shape of one window's entry, type)
        "X": ((window_samples, 2), np.dtype("<f4")),
        "Y": ((class_count,), np.dtype("<i8")),
        "Z": ((1,), np.dtype("<i8")),
    }
    size_bytes = sum(math.prod(shape) * kind.itemsize for shape, kind in columns.values())
    with creating(path, windows * size_bytes) as partial:
        # HDF5 lays the file out, plain writes fill it: the library crashes the process when its
        # own writes find the disk full.
        offsets = {}
        with h5py.File(partial, "w") as file:
            for name, (shape, kind) in columns.items():
                layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                layout.set_layout(h5py.h5d.CONTIGUOUS)
                layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
                dataset = file.create_dataset(name, (windows, *shape), kind, dcpl=layout)
                offsets[name] = dataset.id.get_offset()
        start = 0
        with partial.open("r+b") as file:
            for label, snr_db, rows in slices:
                if start + len(rows) > windows:
                    raise ValueError(f"the slices hold more than the {windows} announced windows")
                one_hot = np.zeros((len(rows), class_count))
                one_hot[:, label] = 1
                values = {
                    "X": rows.transpose(0, 2, 1),
                    "Y": one_hot,
                    "Z": np.full((len(rows), 1), snr_db),
                }
                for name, (shape, kind) in columns.items():
                    file.seek(offsets[name] + start * math.prod(shape) * kind.itemsize)
                    file.write(np.ascontiguousarray(values[name], kind))
                start += len(rows)
        if start != windows:
            raise ValueError(f"the slices hold {start} windows; {windows} were announced")
