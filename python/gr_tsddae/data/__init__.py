# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled windows from files: `open_dataset(kind, path)`; splits; `tsddae data`.

The way of a window: a reader (one file per format) -> `Dataset` -> `splits` -> `train/`.
"""

import dataclasses
import inspect
import os
from collections.abc import Callable
from typing import Any

from gr_tsddae.data.dataset import UNLABELLED, Dataset, DatasetError, MemoryStore, WindowStore
from gr_tsddae.data.options import as_annotated
from gr_tsddae.plugins import VARIABLE, Registry

# kind -> module of `readers/` with read(kind, path, **options) -> Dataset, and what it reads. A
# module is imported when it is asked for: h5py and sigmf are not needed to read a pickle.
_READERS = {
    "rml2016.10a": ("rml2016", "RML2016.10a_dict.pkl, plain or .gz"),
    "rml2016.10b": ("rml2016", "RML2016.10b.dat, plain or .gz"),
    "rml2016.04c": ("rml2016", "2016.04C.multisnr.pkl, plain or .gz"),
    "rml2018.01a": ("rml2018", "GOLD_XYZ_OSC.0001_1024.hdf5"),
    "npz": ("npz", "numpy archive with X (N, 2, L), y class names (N,), snr in dB (N,)"),
    "techrec": ("techrec", "TechRec, a folder of .bin recordings"),
    "icarus": ("icarus", "ICARUS, LTE with and without an underlay"),
    "captures": ("labelled_captures", "your recordings: a file or folder of SigMF, WAV or raw IQ"),
}
KINDS = tuple(_READERS)  # of this package; `kinds()` has those of others, too
_REGISTRY: Registry[Callable[..., Dataset]] = Registry(
    "dataset kind",
    "gr_tsddae.datasets",
    {kind: f"{__name__}.readers.{module}:read" for kind, (module, _) in _READERS.items()},
)
register = _REGISTRY.register


def kinds() -> tuple[str, ...]:
    """List all kinds of dataset: those of this package, then those from outside."""
    return tuple(_REGISTRY.names())


def description(kind: str) -> str:
    """Say in one line what a kind reads: for a reader of others, the first line of its docstring.

    Raises:
        ValueError: there is no such kind, or its reader cannot be imported.
    """
    if kind in _READERS:
        return _READERS[kind][1]
    return (inspect.getdoc(_reader(kind)) or "").partition("\n")[0]


def open_dataset(kind: str, path: str | os.PathLike[str], **options: Any) -> Dataset:
    """Open a dataset; windows stay in their file until they are read, where the format allows.

    Args:
        kind: one of `kinds()`.
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
    if not isinstance(dataset, Dataset):
        raise DatasetError(f"the reader of {kind} returns {type(dataset).__name__}, not a Dataset")
    return dataset if licence is None else dataclasses.replace(dataset, licence=licence)


def reader_options(kind: str) -> dict[str, Any]:
    """Return names and defaults of the options that a kind of dataset has.

    Raises:
        DatasetError: when there is no such kind.
    """
    parameters = inspect.signature(_reader(kind)).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return own | {"licence": None}


def _reader(kind: str) -> Callable[..., Dataset]:
    if kind not in kinds():
        raise DatasetError(
            f"no dataset kind {kind!r}; there are: {', '.join(kinds())}; one from outside needs "
            f"its package installed, or its module named in {VARIABLE}"
        )
    reader = _REGISTRY.load(kind)
    if not callable(reader):
        raise DatasetError(f"the reader of {kind} is {reader!r}, which is no function")
    return reader
