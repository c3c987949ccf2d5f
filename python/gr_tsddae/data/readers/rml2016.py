# SPDX-License-Identifier: GPL-3.0-or-later
"""RML2016.10A, 10B and 04C: pickles of {(modulation, SNR): float32 (n, 2, 128)}.

Published by DeepSig, made with GNU Radio at 8 samples per symbol, labelled -20 to 18 dB. 10A: 11
classes, 1000 windows a key; 10B: 10 classes (no AM-SSB), 6000 a key; 04C: 11 classes, counts vary.
"""

from collections import Counter
from typing import Any

import numpy as np

from gr_tsddae.data.dataset import ChunkedStore, Dataset, DatasetError, usable
from gr_tsddae.data.readers.array_pickle import load_arrays

WINDOW_SAMPLES = 128
_LEVEL_LIMIT_DB = 200


def read(kind: str, path: str) -> Dataset:
    """Read a file, plain or gzip. Arrays stay as they are and take the memory of the file.

    Windows that are all zero, or have NaN or infinity in them, are left out and counted.

    Args:
        kind: "rml2016.10a", "rml2016.10b" or "rml2016.04c".
        path: `RML2016.10a_dict.pkl`, `RML2016.10b.dat`, `2016.04C.multisnr.pkl`, or in that layout.

    Returns:
        Windows in the order of class and level; the classes are those of the file, by name.

    Raises:
        DatasetError: the file is hostile, cut short, or laid out otherwise.
    """
    arrays = {_key(path, key): rows for key, rows in load_arrays(path).items()}
    if not arrays:
        raise DatasetError(f"{path} holds no windows")
    for key, rows in arrays.items():
        _check_rows(path, key, rows)
    keys = sorted(arrays)
    classes = tuple(sorted({name for name, _ in keys}))
    if kind == "rml2016.10b" and "AM-SSB" in classes:
        raise DatasetError(
            f"{path} has AM-SSB, which RML2016.10B has not; open it as rml2016.10a or rml2016.04c"
        )
    keep, skipped = [], Counter()
    for key in keys:
        kept, lost = usable(arrays[key])
        keep.append(kept)
        skipped.update(lost)
    index = np.flatnonzero(np.concatenate(keep))
    if not len(index):
        raise DatasetError(f"{path} holds no usable window: {dict(skipped)}")
    counts = [len(arrays[key]) for key in keys]
    label = np.repeat([classes.index(name) for name, _ in keys], counts)
    level_db = np.repeat([level for _, level in keys], counts)
    return Dataset(
        kind=kind,
        path=path,
        store=ChunkedStore([arrays[key] for key in keys]),
        index=index,
        label=label[index],
        level_db=level_db[index],
        classes=classes,
        samples_per_symbol=8.0,
        licence="CC-BY-NC-SA-4.0",
        skipped=dict(skipped),
    )


def _key(path: str, key: Any) -> tuple[str, int]:
    if isinstance(key, tuple) and len(key) == 2:
        name, level = key
        if isinstance(name, bytes):  # from Python 2
            name = name.decode("ascii", "replace")
        if isinstance(name, str) and name.isprintable() and name.strip() and type(level) is int:
            if abs(level) > _LEVEL_LIMIT_DB:
                raise DatasetError(
                    f"{path}: {name} is labelled {level} dB; up to {_LEVEL_LIMIT_DB} is believed"
                )
            return name, level
    raise DatasetError(
        f"{path} has the key {str(key)[:80]}; keys must be (modulation, SNR in whole decibels), "
        "as ('QPSK', -4)"
    )


def _check_rows(path: str, key: tuple[str, int], rows: np.ndarray) -> None:
    if rows.ndim != 3 or rows.shape[1:] != (2, WINDOW_SAMPLES):
        raise DatasetError(
            f"{path}: {key} has the shape {rows.shape}; RML2016 has (n, 2, {WINDOW_SAMPLES})"
        )
    if rows.dtype.kind != "f":
        raise DatasetError(f"{path}: {key} holds {rows.dtype}; RML2016 holds float32")
