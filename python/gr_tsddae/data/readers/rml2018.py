# SPDX-License-Identifier: GPL-3.0-or-later
"""RML2018.01A: an HDF5 file of 20 GB, read by slices.

X float32 (2555904, 1024, 2), Y one-hot (N, 24), Z the SNR in decibels (N, 1), -20 to 30 dB.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gr_tsddae.data.dataset import Dataset, DatasetError, usable

try:
    import h5py
except ImportError as error:
    raise DatasetError("RML2018.01A is an HDF5 file: to read it, install h5py") from error

WINDOW_SAMPLES = 1024
# The order of the columns of Y. The classes.txt that comes with the file lists them in another one,
# which gives signals the names of others (radioML/dataset#25): it is not read.
CLASSES = (
    "OOK", "4ASK", "8ASK", "BPSK", "QPSK", "8PSK", "16PSK", "32PSK", "16APSK", "32APSK", "64APSK",
    "128APSK", "16QAM", "32QAM", "64QAM", "128QAM", "256QAM", "AM-SSB-WC", "AM-SSB-SC", "AM-DSB-WC",
    "AM-DSB-SC", "FM", "GMSK", "OQPSK",
)  # fmt: skip
_SLICE_WINDOWS = 2048  # 16 MiB
# Windows between two wanted ones that are read along with them: copying 8 KiB more is cheaper than
# another call of HDF5, up to about this many.
_GAP_WINDOWS = 8
_LABEL_ROWS = 1 << 16  # of Y at a time: all of it would be 490 MB


class Hdf5Store:
    """Windows of X, read on demand. Each process opens the file for itself.

    A store may be pickled, and used after a fork, as the workers of a DataLoader do.

    Args:
        path: of the HDF5 file.
        count: N.
    """

    def __init__(self, path: str, count: int):
        self.path = path
        self.shape = (count, 2, WINDOW_SAMPLES)
        self._opened: tuple[int, h5py.Dataset] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def read(self, index: np.ndarray) -> np.ndarray:
        """Read windows by number: int64 (n,), any order, repeats allowed -> float32 (n, 2, 1024).

        Raises:
            DatasetError: the file cannot be read, or a window has NaN or infinity in it.
        """
        rows = self.read_unchecked(index)
        finite = np.isfinite(rows).all((1, 2))
        if not finite.all():
            bad = np.unique(index[~finite])
            numbers = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
            raise DatasetError(
                f"{self.path}: not finite are windows {numbers}; "
                "open it with the option scan=true, which leaves such windows out"
            )
        return rows

    def read_unchecked(self, index: np.ndarray) -> np.ndarray:
        """Read windows as `read` does, but let NaN and infinity pass."""
        rows = np.empty((len(index), *self.shape[1:]), np.float32)
        order = np.argsort(index, kind="stable")
        wanted = index[order]
        try:
            windows = self._windows()
            for first, last in _runs(wanted):
                start, end = wanted[first], wanted[last - 1] + 1
                run = windows[start:end]  # (n, L, 2)
                rows[order[first:last]] = run[wanted[first:last] - start].swapaxes(1, 2)
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read: {error}") from error
        return rows

    def _windows(self) -> h5py.Dataset:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), _open(self.path)["X"])
        return self._opened[1]


def _runs(numbers: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut sorted numbers (n,) into [first, last) with small gaps, none longer than a slice."""
    first = 0
    for last in [*(np.flatnonzero(np.diff(numbers) > _GAP_WINDOWS) + 1).tolist(), len(numbers)]:
        while first < last:
            limit = numbers[first] + _SLICE_WINDOWS
            cut = first + int(np.searchsorted(numbers[first:last], limit))
            yield first, cut
            first = cut


def read(
    kind: str, path: str, *, scan: bool = False, classes: Sequence[str] | None = None
) -> Dataset:
    """Open a file. Labels and levels are read; windows stay in the file.

    A window with NaN or infinity raises a DatasetError when it is read. Finding such windows here
    means reading 20 GB; `scan` does that.

    Args:
        kind: "rml2018.01a".
        path: `GOLD_XYZ_OSC.0001_1024.hdf5`, or a file in that layout.
        scan: read every window once; leave out, and count, those that are all zero or not finite.
        classes: names of the columns of Y, for a file that has not the 24 of RML2018.01A.

    Returns:
        Windows in the order of the file; of the classes, those that the file has.

    Raises:
        DatasetError: the file cannot be read, is cut short, or laid out otherwise.
    """
    names = CLASSES if classes is None else tuple(classes)
    with _reporting(path), _open(path) as file:
        _check_layout(path, file, len(names))
        column = _columns(path, file["Y"])
        level_db = _levels(path, file["Z"])
    store = Hdf5Store(path, len(column))
    keep, skipped = np.ones(len(column), bool), Counter()
    if scan:
        for start in range(0, len(column), _SLICE_WINDOWS):
            here = slice(start, min(start + _SLICE_WINDOWS, len(column)))
            keep[here], lost = usable(store.read_unchecked(np.arange(here.start, here.stop)))
            skipped.update(lost)
        if not keep.any():
            raise DatasetError(f"{path} holds no usable window: {dict(skipped)}")
    index = np.flatnonzero(keep)
    held, label = np.unique(column[keep], return_inverse=True)
    return Dataset(
        kind=kind,
        path=path,
        store=store,
        index=index,
        label=label.astype(np.int64, copy=False),
        level_db=level_db[keep],
        classes=tuple(names[number] for number in held),
        licence="CC-BY-NC-SA-4.0" if classes is None else "unknown",
        skipped=dict(skipped),
    )


def _open(path: str) -> h5py.File:
    # Nothing is written, and locks fail on many network file systems.
    return h5py.File(path, "r", locking=False)


@contextmanager
def _reporting(path: str) -> Iterator[None]:
    try:
        yield
    except DatasetError:
        raise
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist") from error
    except PermissionError as error:
        raise DatasetError(f"{path} cannot be read: check its permissions") from error
    except (OSError, RuntimeError, KeyError) as error:  # HDF5's own, for bytes that make no sense
        raise DatasetError(
            f"{path} is no HDF5 file, or one cut short (fetch it again): {error}"
        ) from error


def _check_layout(path: str, file: h5py.File, class_count: int) -> None:
    missing = [name for name in "XYZ" if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        raise DatasetError(
            f"{path} has no {' and no '.join(missing)}; needed are X (windows), Y (one-hot "
            f"classes) and Z (SNR); there are: {', '.join(file) or 'none'}"
        )
    x, y, z = (file[name].shape for name in "XYZ")
    if x[1:] != (WINDOW_SAMPLES, 2) or file["X"].dtype.kind != "f" or not x[0]:
        raise DatasetError(
            f"{path}: X is {file['X'].dtype} {x}; it must be float32 (N, {WINDOW_SAMPLES}, 2)"
        )
    if y != (x[0], class_count) or z not in ((x[0], 1), (x[0],)):
        raise DatasetError(
            f"{path}: Y is {y} and Z {z}; {x[0]} windows need ({x[0]}, {class_count}) "
            f"and ({x[0]}, 1); name the columns of another Y with the option classes"
        )
    if any(file[name].dtype.kind not in "fiub" for name in "YZ"):
        raise DatasetError(f"{path}: Y and Z must be numbers, not {file['Y'].dtype}")


def _columns(path: str, one_hot: h5py.Dataset) -> np.ndarray:
    """Find the column that is set: (N, 24) -> int64 (N,)."""
    parts = []
    for start in range(0, len(one_hot), _LABEL_ROWS):
        rows = one_hot[start : start + _LABEL_ROWS]
        good = (rows != 0).sum(1) == 1
        good &= rows.max(1) == 1
        if not good.all():
            row = int(good.argmin())
            raise DatasetError(
                f"{path}: row {start + row} of Y is not one-hot: it has "
                f"{int((rows[row] != 0).sum())} columns set, with at most {rows[row].max()}"
            )
        parts.append(rows.argmax(1))
    return np.concatenate(parts)


def _levels(path: str, levels: h5py.Dataset) -> np.ndarray:
    level_db = levels[()].reshape(-1)
    whole = np.rint(level_db).astype(np.float64)
    good = np.isfinite(whole) & (np.abs(whole) < 1000)
    if not good.all():
        row = int(good.argmin())
        raise DatasetError(f"{path}: row {row} of Z is {level_db[row]}; it must be decibels")
    return whole.astype(np.int64)
