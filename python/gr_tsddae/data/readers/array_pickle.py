# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a pickled dictionary of numeric arrays as data. Nothing that the file names is called.

Python's documentation says how ("Restricting Globals"): numpy's names stand for functions of this
file, which make nothing but arrays of plain numbers, and every other name is refused.
"""

import gzip
import mmap
import os
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from gr_tsddae.data.dataset import DatasetError

_PACKED = {b"BZh": "bzip2", b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"\x1f\x9d": "compress"}
_HDF5 = b"\x89HDF"
_TAR_AT = 257
_HEAD_BYTES = 512


def load_arrays(path: str | os.PathLike[str]) -> dict[Any, np.ndarray]:
    """Read the arrays of a pickle {key: array}: protocol 0 to 5, Python 2 or 3, plain or gzip.

    Text that Python 2 wrote comes as bytes. The arrays are read-only and share the bytes read.

    Raises:
        DatasetError: the file cannot be read, is cut short, or holds anything else.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise DatasetError(f"{path} is empty")
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    return _load(path, unpacked, unpacked.peek(_HEAD_BYTES))
            # A map gives as many bytes as there are, however many the pickle says there should be.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return _load(path, mapped, mapped[:_HEAD_BYTES])
    except DatasetError:
        raise
    except EOFError as error:
        raise DatasetError(f"{path} ends too early; fetch it again") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # bytes that are no pickle can fail anywhere in the machine
        said = str(error) or type(error).__name__
        raise DatasetError(f"{path} is no pickle of numeric arrays: {said}") from error


def _load(path: Path, file: BinaryIO | mmap.mmap, head: bytes) -> dict[Any, np.ndarray]:
    kinds = [name for magic, name in _PACKED.items() if head.startswith(magic)]
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        kinds = ["tar"]
    if kinds:
        raise DatasetError(f"{path} is a {kinds[0]} archive; unpack it first")
    if head.startswith(_HDF5):
        raise DatasetError(f"{path} is an HDF5 file; its kind may be rml2018.01a")
    found = _ArrayUnpickler(file, encoding="bytes").load()
    if not isinstance(found, dict):
        raise DatasetError(f"{path} holds a {type(found).__name__}; it must be a dictionary")
    for key, value in found.items():
        if not isinstance(value, _Array) or value.values is None:
            raise DatasetError(f"{path}: the value of {str(key)[:80]} is not a numeric array")
    if len({id(value) for value in found.values()}) < len(found):
        raise DatasetError(f"{path} has the same array under several keys")
    return {key: value.values for key, value in found.items()}


class _Type:
    """A stand-in for numpy.dtype. Its state sets the byte order and nothing else."""

    def __init__(self, code: Any, *_: Any):
        if not re.fullmatch("f[248]|[iu][1248]", _text(code)):
            raise pickle.UnpicklingError(f"arrays of dtype {_text(code)!r} are not read")
        self._dtype = np.dtype(_text(code))

    def __setstate__(self, state: Any) -> None:
        order, *rest = state[1:5]
        if rest != [None] * 3:
            raise pickle.UnpicklingError("structured arrays are not read")
        self._dtype = self._dtype.newbyteorder(_text(order))

    def array(self, data: Any, shape: Any, order: str) -> np.ndarray:
        """Take bytes for an array of this type."""
        if type(data) is not bytes:
            raise pickle.UnpicklingError("an array's data are not plain numbers")
        return np.frombuffer(data, self._dtype).reshape(shape, order=order)


class _Array:
    """A stand-in for numpy.ndarray, which its state fills."""

    values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, column_major, data = state
        self.values = _Type.array(kind, data, shape, "F" if column_major else "C")


class _Maker:
    """Makes what a name of numpy makes, and takes no state: a file changes no function."""

    def __init__(self, make: Callable[..., Any]):
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it gives a state to a function")


def _encode(text: str, encoding: Any) -> bytes:
    if _text(encoding) != "latin1":  # as Python 3 writes bytes in protocols 0 to 2
        raise pickle.UnpicklingError(f"text is encoded as {_text(encoding)!r}, not latin1")
    return text.encode("latin1")


def _reconstruct(kind: Any, shape: Any, _: Any) -> _Array:
    if kind != _NDARRAY or shape != (0,):
        raise pickle.UnpicklingError("an array is not made as numpy makes it")
    return _Array()


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any, *_: Any) -> _Array:
    array = _Array()
    array.values = _Type.array(kind, data, shape, _text(order))
    return array


_NDARRAY = "ndarray"  # stands for the class, which is only ever an argument
_MAKERS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _Maker(_encode),
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Maker(_Type),
    ("numpy.core.multiarray", "_reconstruct"): _Maker(_reconstruct),
    ("numpy.core.multiarray", "scalar"): _Maker(lambda kind, data: kind.array(data, 1, "C").item()),
    ("numpy.core.numeric", "_frombuffer"): _Maker(_frombuffer),
}


# The machine in Python rather than in C: a number in a small file cannot make it allocate a memo
# table of gigabytes. It costs nothing: the data of an array are one instruction.
class _ArrayUnpickler(pickle._Unpickler):
    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        key = module.replace("numpy._core", "numpy.core"), name  # of numpy 2
        if key not in _MAKERS:
            raise pickle.UnpicklingError(
                f"it asks for {f'{module}.{name}'[:100]!r}, which no array needs; nothing was run"
            )
        return _MAKERS[key]

    def load_bytearray8(self) -> None:
        """Read what is there; Python's own makes room for what is said to be there."""
        (count,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(count))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _text(value: Any) -> str:
    if type(value) not in (str, bytes):
        raise pickle.UnpicklingError(f"a {type(value).__name__} stands where text is needed")
    return value.decode("ascii") if isinstance(value, bytes) else value
