# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of an ICARUS folder, with class (LTE, or LTE with DSSS) and SIR of each."""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gr_tsddae.data.dataset import DatasetError
from gr_tsddae.data.readers.recording_folder import note_opinions
from gr_tsddae.data.readers.same_samples import without_copies
from gr_tsddae.iq.captures import Capture, open_capture
from gr_tsddae.iq.formats.sample_format import SampleFormat
from gr_tsddae.iq.sigmf.metadata import annotated_samples, read_metadata
from gr_tsddae.iq.sigmf.opinion import is_opinion

CLASSES = ("normal", "anomaly")
NO_SIR = int(np.iinfo(np.int64).min)

_SIR = re.compile(r"(?<![a-z])sir(?:_?db)?[\s_=:]*(?P<db>-?\d+(?:\.\d+)?)", re.IGNORECASE)
_ANOMALY = re.compile(r"dsss|anomal|abnormal", re.IGNORECASE)
_NORMAL = re.compile(r"(?<![a-z])(only)?lte|normal", re.IGNORECASE)  # a "filter" is no LTE
_NO_TEXTS = ("sha512", "extensions", "collection", "dataset_doi", "generator", "uuid")


@dataclass(frozen=True)
class Signal:
    """Samples of a recording that are of one class.

    Attributes:
        capture: the recording.
        first_sample: where they start in it.
        sample_count: how many they are.
        label: index into `CLASSES`.
        level_db: SIR in whole decibels, or `NO_SIR` for a normal one that gives none.
    """

    capture: Capture
    first_sample: int
    sample_count: int
    label: int
    level_db: int


def released(folder: Path) -> Iterator[Signal]:
    """Read the published layout: IQ/NAME and Metadata/NAME.csv.

    Raises:
        DatasetError: if a recording has no table, or the two do not say what is in it.
    """
    for file in sorted((folder / "IQ").iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue
        table = folder / "Metadata" / f"{file.name}.csv"
        try:
            with table.open(newline="", encoding="utf-8-sig") as rows:
                row = next(csv.DictReader(rows), {})
            head = np.fromfile(file, "<i4", count=2)
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{file} or {table} cannot be read ({error}); each file of IQ/ needs its table"
            ) from error
        sample_format = SampleFormat.parse("cf32")
        stored_bytes = file.stat().st_size - 8
        if len(head) < 2 or head[0] != 2 or head[1] * sample_format.bytes_per_sample > stored_bytes:
            raise DatasetError(
                f"{file} begins with {head.tolist()}, not with 2 and its number of samples "
                f"({max(0, stored_bytes // 8)} would fit); copy it again"
            )
        fields = {str(key).strip().lower(): str(value).strip() for key, value in row.items()}
        label = label_of(fields.get("signal_type", ""), str(table))
        capture = Capture(
            path=file,
            data_path=file,
            format="icarus cf32",
            sample_format=sample_format,
            sample_count=int(head[1]),
            sample_rate_hz=_number(fields.get("lte_sr", "")),
            header_bytes=8,
        )
        sir_db = _number(fields.get("lte_dsss_sir_db", ""))
        yield Signal(capture, 0, int(head[1]), label, _level(sir_db, label, str(table)))


def annotated(folder: Path, notes: Counter[str]) -> Iterator[Signal]:
    """Read SigMF recordings, labelled by an annotation, else the path, else the global object.

    Annotations that this program wrote are ignored: a model must not learn from its own answers.

    Args:
        folder: of the recordings.
        notes: where reason -> number of recordings and annotations that are left out is added.

    Raises:
        CaptureError: if a recording cannot be opened.
        DatasetError: a recording does not say its class, or says two of one sample.
    """
    captures = [open_capture(file) for file in sorted(folder.rglob("*.sigmf-meta"))]
    for capture in without_copies(captures, notes):
        file = capture.path
        metadata = read_metadata(file)  # again, for the comments of the annotations
        around = (file.relative_to(folder).as_posix(), _texts(metadata["global"]))
        end_of_last = 0
        saying = [part for part in metadata["annotations"] if _said(_texts(part))]
        parts = [part for part in saying if not is_opinion(part.get("core:generator"))]
        note_opinions(len(saying) - len(parts), notes)
        everything = [({}, 0, capture.sample_count)]
        spans = annotated_samples(metadata | {"annotations": parts}, capture.sample_count)
        for part, first, end in spans if parts else everything:
            if first < end_of_last:
                raise DatasetError(
                    f"{file} has two annotations over sample {first}; "
                    "say for each stretch once whether it is normal or an anomaly"
                )
            end_of_last = end
            texts = (_texts(part), *around)
            label = label_of(next(filter(_said, texts), ""), str(file))
            sir = next(filter(None, map(_SIR.search, texts)), None)
            sir_db = float(sir["db"]) if sir else None
            yield Signal(capture, first, end - first, label, _level(sir_db, label, str(file)))


def _texts(entry: dict[str, Any]) -> str:
    """Join metadata to one text, in which `_SIR` and `_said` search."""
    keys = [
        key
        for key in entry
        if key.rpartition(":")[2] not in _NO_TEXTS and not key.startswith("tsddae:")
    ]
    return " ".join(f"{key.rpartition(':')[2]} {entry[key]}" for key in keys)


def _said(text: str) -> str | None:
    """Find the class that a text names, or None."""
    if _ANOMALY.search(text):
        return "anomaly"
    return "normal" if _NORMAL.search(text) else None


def label_of(text: str, where: str) -> int:
    """Find the index into `CLASSES` of the class that a text names.

    Raises:
        DatasetError: the text names neither; `where` is the place that should name it.
    """
    name = _said(text)
    if name is None:
        raise DatasetError(
            f"{where} does not say whether it is normal (LTE) or an anomaly (LTE with DSSS); "
            "say it there"
        )
    return CLASSES.index(name)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _level(sir_db: float | None, label: int, where: str) -> int:
    if sir_db is not None:
        return round(sir_db)
    if label == CLASSES.index("anomaly"):
        raise DatasetError(f"{where} is an anomaly without its SIR; say it there, as in 'SIR 5 dB'")
    return NO_SIR
