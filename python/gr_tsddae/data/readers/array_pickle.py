# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a pickled dictionary of numeric arrays as data. Nothing that the file names is called.

A pickle is a program for a small machine. Here that machine knows only the instructions which
numbers, text, tuples, lists, dictionaries and arrays need; numpy's names stand for functions of
this file, which make nothing but arrays of plain numbers; and no byte of the file is used again
and again, so that a small file cannot fill the memory.
"""

import gzip
import os
import pickle
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gr_tsddae.data.dataset import DatasetError

# gzip cannot make more than 1032 bytes of one; no published set unpacks to more than 4 GiB.
_GZIP_RATIO = 1032
_MOST_BYTES = 8 << 30

_PACKED = {b"BZh": "bzip2", b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"\x1f\x9d": "compress"}
_HDF5 = b"\x89HDF"
_TAR_AT = 257

_INSTRUCTIONS = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE
    INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS
    EMPTY_DICT
    PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET
    GLOBAL STACK_GLOBAL REDUCE
"""


def load_arrays(path: str | os.PathLike[str]) -> dict[Any, np.ndarray]:
    """Read the arrays of a pickle {key: array}: protocol 0 to 5, Python 2 or 3, plain or gzip.

    Text that Python 2 wrote comes as bytes. The arrays are read-only and share the bytes read.

    Raises:
        DatasetError: the file cannot be read, is cut short, or holds anything else.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise DatasetError(f"{path} is empty")
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    return _load(path, unpacked, min(size * _GZIP_RATIO, _MOST_BYTES))
            return _load(path, file, size)
    except DatasetError:
        raise
    except EOFError as error:
        raise DatasetError(f"{path} ends too early; fetch it again") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # bytes that are no pickle can fail anywhere in the machine
        said = str(error) or type(error).__name__
        raise DatasetError(f"{path} is no pickle of numeric arrays: {said}") from error


def _load(path: Path, file: BinaryIO, limit_bytes: int) -> dict[Any, np.ndarray]:
    head = file.peek(512)
    kinds = [name for magic, name in _PACKED.items() if head.startswith(magic)]
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        kinds = ["tar"]
    if kinds:
        raise DatasetError(f"{path} is a {kinds[0]} archive; unpack it first")
    if head.startswith(_HDF5):
        raise DatasetError(f"{path} is an HDF5 file; its kind may be rml2018.01a")
    found = _ArrayUnpickler(_CountedFile(file, limit_bytes)).load()
    if not isinstance(found, dict):
        raise DatasetError(f"{path} holds a {type(found).__name__}; it must be a dictionary")
    for key, value in found.items():
        if not isinstance(value, _Array) or value.values is None:
            raise DatasetError(f"{path}: the value of {str(key)[:80]} is not a numeric array")
    if len({id(value) for value in found.values()}) < len(found):
        raise DatasetError(f"{path} has the same array under several keys")
    return {key: value.values for key, value in found.items()}


class _CountedFile:
    """A file that is never asked for more bytes than it can hold, whatever a length field says."""

    def __init__(self, file: BinaryIO, limit_bytes: int):
        self._file, self._left = file, limit_bytes
        self.read_bytes = 0

    def read(self, count: int) -> bytes:
        if count > self._left:
            raise EOFError
        return self._counted(self._file.read(count))

    def readline(self) -> bytes:
        line = self._counted(self._file.readline(self._left))
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        self.read_bytes += len(data)
        return data


class _Type:
    """A stand-in for numpy.dtype. Its `BUILD` sets the byte order and nothing else."""

    def __init__(self, code: str):
        self.code, self.order = code, "|"

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class _Array:
    """A stand-in for numpy.ndarray, which `BUILD` fills."""

    values: np.ndarray | None = None


_NDARRAY = object()  # stands for the class, which is only ever an argument


class _Machine(dict):
    def __missing__(self, code: int) -> Any:
        raise pickle.UnpicklingError(f"no array needs the instruction {bytes([code])!r}")


# The machine in Python rather than in C: its instructions can be chosen, and a number in a small
# file cannot make it allocate (and touch) a memo table of gigabytes. It costs nothing: the data of
# an array are one instruction.
class _ArrayUnpickler(pickle._Unpickler):
    dispatch = _Machine(
        (getattr(pickle, name)[0], pickle._Unpickler.dispatch[getattr(pickle, name)[0]])
        for name in _INSTRUCTIONS.split()
    )

    def __init__(self, file: _CountedFile):
        # As bytes, the data of Python 2 arrays become theirs without a copy.
        super().__init__(file, encoding="bytes")
        self._source, self._used_bytes = file, 0
        self._makers = {
            ("_codecs", "encode"): self._encode,
            ("numpy", "ndarray"): _NDARRAY,
            ("numpy", "dtype"): self._dtype,
        }
        for core in ("numpy.core", "numpy._core"):
            self._makers[f"{core}.multiarray", "_reconstruct"] = self._reconstruct
            self._makers[f"{core}.multiarray", "scalar"] = self._scalar
            self._makers[f"{core}.numeric", "_frombuffer"] = self._frombuffer

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._makers:
            raise pickle.UnpicklingError(
                f"it asks for {f'{module}.{name}'[:100]!r}, which no array needs; nothing was run"
            )
        return self._makers[module, name]

    def load_build(self) -> None:
        state = self.stack.pop()
        thing = self.stack[-1]
        if type(thing) is _Type:
            order, *rest = state[1:5]
            if rest != [None] * 3 or _text(order) not in tuple("<>|="):
                raise pickle.UnpicklingError("structured arrays are not read")
            thing.order = _text(order)
        elif type(thing) is _Array:
            _, shape, dtype, column_major, data = state
            thing.values = self._values(data, dtype, shape, "F" if column_major else "C")
        else:
            raise pickle.UnpicklingError(f"state for a {type(thing).__name__} is not read")

    def load_bytearray8(self) -> None:
        (count,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(count))

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set_items(items, self.stack[-1])

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value], self.stack[-1])

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark(), self.stack[-1])

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems

    def _set_items(self, items: list[Any], into: Any) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Tuples of tuples of tuples, each twice the one before, would be hashed for ever.
            if not all(map(_is_plain, key if type(key) is tuple else [key])):
                raise pickle.UnpicklingError("a key is not made of text and numbers")
            into[key] = value

    def _use(self, count: int) -> None:
        self._used_bytes += count
        # Twice: Python 3 writes the bytes of protocols 0 to 2 as text, which is encoded first.
        if self._used_bytes > 2 * self._source.read_bytes:
            raise pickle.UnpicklingError("its arrays share their data")

    def _encode(self, text: str, encoding: Any) -> bytes:
        if _text(encoding) != "latin1":
            raise pickle.UnpicklingError(f"text is encoded as {_text(encoding)!r}, not latin1")
        self._use(len(text))
        return text.encode("latin1")

    def _dtype(self, code: Any, *_: Any) -> _Type:
        if not re.fullmatch("f[248]|[iu][1248]", _text(code)):
            raise pickle.UnpicklingError(f"arrays of dtype {_text(code)!r} are not read")
        return _Type(_text(code))

    def _reconstruct(self, kind: Any, shape: Any, _: Any) -> _Array:
        if kind is not _NDARRAY or shape != (0,):
            raise pickle.UnpicklingError("an array is not made as numpy makes it")
        return _Array()

    def _frombuffer(self, data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> _Array:
        array = _Array()
        array.values = self._values(data, dtype, shape, _text(order))
        return array

    def _scalar(self, dtype: Any, data: Any) -> int | float:
        return self._values(data, dtype, (1,), "C").item()

    def _values(self, data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
        if type(data) is not bytes or type(dtype) is not _Type:
            raise pickle.UnpicklingError("an array's data are not plain numbers")
        self._use(len(data))
        return np.frombuffer(data, dtype.numpy()).reshape(shape, order=order)


def _is_plain(value: Any) -> bool:
    if type(value) is int:
        return value.bit_length() <= 64
    return type(value) in (str, bytes, float)


def _text(value: Any) -> str:
    if type(value) not in (str, bytes):
        raise pickle.UnpicklingError(f"a {type(value).__name__} stands where text is needed")
    return value.decode("ascii") if isinstance(value, bytes) else value
