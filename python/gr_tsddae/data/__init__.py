# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled windows from files: `open_dataset(kind, path)`; splits; `python -m gr_tsddae.data`.

The way of a window: a reader (one file per format) -> `Dataset` -> `splits` -> `train/`.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from gr_tsddae.data.dataset import UNLABELLED, Dataset, DatasetError, MemoryStore, WindowStore
from gr_tsddae.data.options import as_annotated

# kind -> module of `readers/` with read(kind, path, **options) -> Dataset. Imported when asked
# for: h5py and sigmf are not needed to read a pickle.
_READERS = {
    "rml2016.10a": "rml2016",
    "rml2016.10b": "rml2016",
    "rml2016.04c": "rml2016",
    "rml2018.01a": "rml2018",
    "npz": "npz",
    "techrec": "techrec",
    "icarus": "icarus",
    "captures": "labelled_captures",
}
KINDS = tuple(_READERS)


def open_dataset(kind: str, path: str | os.PathLike[str], **options: Any) -> Dataset:
    """Open a dataset; windows stay in their file until they are read, where the format allows.

    Args:
        kind: one of `KINDS`.
        path: file or folder.
        **options: of the reader, see its `read`; and `licence`, which wins over what the reader
            knows of the format, e.g. for windows of one's own in the layout of a released file.

    Raises:
        DatasetError: naming the file, what is wrong and what to do.
    """
    known = reader_options(kind)
    if unknown := sorted(options.keys() - known.keys()):
        raise DatasetError(
            f"{kind} has no option {', '.join(unknown)}; there are: {', '.join(known) or 'none'}"
        )
    licence = options.pop("licence", None)
    if licence is not None and (not isinstance(licence, str) or not licence):
        raise DatasetError(f"licence is {licence!r}: give its SPDX identifier, e.g. CC-BY-4.0")
    reader = _reader(kind)
    dataset = reader(kind, os.fspath(path), **as_annotated(kind, reader, options))
    return dataset if licence is None else dataclasses.replace(dataset, licence=licence)


def reader_options(kind: str) -> dict[str, Any]:
    """Names and defaults of the options a kind of dataset has.

    Raises:
        DatasetError: when there is no such kind.
    """
    parameters = inspect.signature(_reader(kind)).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return own | {"licence": None}


def _reader(kind: str) -> Callable[..., Dataset]:
    if kind not in _READERS:
        raise DatasetError(f"no dataset kind {kind!r}; there are: {', '.join(KINDS)}")
    return import_module(f"gr_tsddae.data.readers.{_READERS[kind]}").read


__all__ = [
    "KINDS",
    "UNLABELLED",
    "Dataset",
    "DatasetError",
    "MemoryStore",
    "WindowStore",
    "open_dataset",
    "reader_options",
]
