# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled windows in a numpy archive: X (N, 2, L), y class names (N,), snr decibels (N,).

X may also be complex (N, L), or (N, L, 2); y may be whole numbers whose names are given.
"""

import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from gr_tsddae.data.dataset import UNLABELLED, Dataset, DatasetError, MemoryStore, usable
from gr_tsddae.iq.formats.numpy_file import HEADER_ERRORS


def read(kind: str, path: str, *, classes: Sequence[str] | None = None) -> Dataset:
    """Read an .npz into memory.

    Windows that are all zero, or have NaN or infinity in them, are left out and counted. An archive
    without `y` is unlabelled, one without `snr` has no levels. Levels become whole decibels.

    Args:
        kind: "npz".
        path: with the arrays X, floating-point (N, 2, L) or (N, L, 2) or complex (N, L), y, text or
            whole numbers (N,), and snr, numbers (N,).
        classes: names of the whole numbers in y, from 0 on.

    Raises:
        DatasetError: no .npz, or its arrays do not fit together.
    """
    arrays = load_npz(path, ("X", "y", "snr"))
    if "X" not in arrays:
        raise DatasetError(f"{path} has no array X; it must hold the windows, (N, 2, L)")
    rows = as_rows(path, arrays["X"])
    index = np.arange(len(rows))
    label, level_db = np.full(len(rows), UNLABELLED), np.zeros(len(rows), np.int64)
    names_of_classes, classes = classes, ()
    if "y" in arrays:
        names = _column(path, "y", arrays["y"], len(rows), kinds="Uiu", what="text")
        if names.dtype.kind != "U":
            names = _named(path, names, names_of_classes)
        held, label = np.unique(names, return_inverse=True)
        classes = tuple(held.tolist())
        if "" in classes:
            raise DatasetError(f"{path}: y has no name for window {np.flatnonzero(names == '')[0]}")
    if "snr" in arrays:
        snr_db = _column(path, "snr", arrays["snr"], len(rows), kinds="fiu", what="numbers")
        known = np.isfinite(snr_db)
        if not known.all():
            raise DatasetError(f"{path}: snr of window {known.argmin()} is not finite")
        level_db = np.rint(snr_db).astype(np.int64)
    keep, skipped = usable(rows)
    if not keep.any():
        raise DatasetError(f"{path} holds no usable window: {skipped}")
    return Dataset(
        kind=kind,
        path=path,
        store=MemoryStore(rows),
        index=index[keep],
        label=label[keep],
        level_db=level_db[keep],
        classes=classes,
        level_name="SNR" if "snr" in arrays else None,
        skipped=skipped,
    )


def as_rows(path: str, windows: np.ndarray) -> np.ndarray:
    """View an array X as floating-point (N, 2, L).

    Raises:
        DatasetError: it holds no windows.
    """
    rows = windows
    if rows.ndim == 2 and rows.dtype.kind == "c":  # I and Q lie side by side
        rows = np.ascontiguousarray(rows)
        rows = rows.view(rows.real.dtype).reshape(*rows.shape, 2)
    if rows.ndim == 3 and rows.shape[1] != 2 and rows.shape[2] == 2:
        rows = rows.swapaxes(1, 2)
    if rows.ndim != 3 or rows.shape[1] != 2 or not rows.size or rows.dtype.kind != "f":
        raise DatasetError(
            f"{path}: X is {windows.dtype} {windows.shape}; it must be floating-point (N, 2, L) or "
            "(N, L, 2), or complex (N, L)"
        )
    return rows


def _named(path: str, numbers: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    """Put the names of classes in place of their numbers: (N,) whole numbers -> text (N,)."""
    low, high = int(numbers.min()), int(numbers.max())
    if classes is None or not 0 <= low <= high < len(classes):
        raise DatasetError(
            f"{path}: y holds numbers from {low} to {high}, and {len(classes or ())} have a name; "
            "name all classes from 0 on with the option classes, as in classes=[BPSK, QPSK]"
        )
    return np.asarray(classes, dtype=str)[numbers]


def load_npz(path: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read those of the named arrays that an .npz has; nothing in it is run.

    Raises:
        DatasetError: it cannot be read, or is no .npz.
    """
    try:
        with zipfile.ZipFile(path):  # np.load would take other files for arrays or pickles
            file = np.load(path, allow_pickle=False)
        with file:
            return {name: file[name] for name in names if name in file}
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except (*HEADER_ERRORS, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{path} is no .npz of plain arrays, or cut short: {error}") from error


def _column(
    path: str, name: str, values: np.ndarray, count: int, *, kinds: str, what: str
) -> np.ndarray:
    if values.size != count or values.ndim > 2 or values.dtype.kind not in kinds:
        raise DatasetError(
            f"{path}: {name} is {values.dtype} {values.shape}; X has {count} windows, "
            f"so it must be {what} ({count},)"
        )
    return values.reshape(count)
