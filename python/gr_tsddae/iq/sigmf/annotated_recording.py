# SPDX-License-Identifier: GPL-3.0-or-later
"""A SigMF recording whose annotations grow while decisions come.

Each write replaces the metadata as a whole. The file is valid at any moment, also after the program
was killed, and it never mentions samples that are not written yet. Writes stay cheap when there are
very many annotations: decisions that agree are merged, every annotation becomes text once, and a
larger file is written more rarely (`pause_s`).
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gr_tsddae.files import json_text
from gr_tsddae.iq.captures import is_recording, open_capture
from gr_tsddae.iq.formats.capture_errors import CaptureError, CaptureFormatError
from gr_tsddae.iq.formats.file_meta import SUFFIX as FILE_META_SUFFIX
from gr_tsddae.iq.sigmf import describe
from gr_tsddae.iq.sigmf.metadata import read_metadata
from gr_tsddae.iq.sigmf.model_annotation import DecisionLike, ModelAnnotation, Note
from gr_tsddae.iq.sigmf.opinion import generator, is_opinion
from gr_tsddae.iq.sigmf.write import annotation_text, meta_path, new_global, write_metadata

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
WRITE_SHARE = 0.02  # of the time
WRITE_BYTES_PER_S = 2e6  # on average: memory cards wear out


class AnnotatedRecording:
    """Metadata of one recording; any thread may call any method.

    Make one with `new` or `existing`.

    Attributes:
        meta_path: The .sigmf-meta file.
        data_path: The file with the samples.
        pause_s: How long to wait after `save` before it is called again.
        unwritable_count: Annotations that the last `save` left out, because JSON cannot say them.
    """

    def __init__(
        self,
        meta_path: Path,
        data_path: Path,
        metadata: dict[str, Any],
        *,
        sample_count: int = 0,
        link_from: Path | None = None,
    ):
        self.meta_path = meta_path
        self.data_path = data_path
        self.pause_s = SHORTEST_PAUSE_S
        self.sample_count = sample_count  # that a recording had when it was opened
        self._link_from = link_from
        self._metadata = metadata
        self._rate_hz: float | None = metadata["global"].get("core:sample_rate")
        self._offset = int(metadata["global"].get("core:offset", 0))
        self._texts: list[tuple[int, str]] = []  # (first sample, JSON): will not change any more
        for entry in metadata.pop("annotations"):
            if not ("core:label" in entry and is_opinion(entry.get("core:generator"))):
                text = json_text(entry, allow_nan=False)
                self._texts.append((int(entry["core:sample_start"]), text))
        self._remarks: list[tuple[int, int, str]] = []  # first sample, end: not yet written
        self._closed: list[Note] = []  # their samples may not be written yet
        self._open: dict[str, ModelAnnotation] = {}  # by model: the last one may still grow
        self._growing: dict[int, Note] = {}  # by number: later ones may replace them
        self._count = 0
        self._unwritable = 0  # of what will not change any more
        self.unwritable_count = 0
        self._lock = threading.Lock()

    @classmethod
    def new(
        cls, path: str | os.PathLike[str], *, sample_rate_hz: float | None = None, **about: str
    ) -> AnnotatedRecording:
        """Plan a recording of cf32_le samples under a name that is still free.

        Args:
            path: Where to write, with or without extension; NAME-2, NAME-3, ... where it exists.
            sample_rate_hz: Samples per second, or None.
            about: What else is known: author, description, hw.

        Raises:
            CaptureError: If the folder cannot be made.
        """
        meta = meta_path(Path(path))
        try:
            meta.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CaptureError(
                f"{meta.parent} cannot be made ({error.strerror}); choose another folder"
            ) from error
        meta = next(name for name in _numbered(meta) if not _is_taken(name))
        metadata = {
            "global": new_global(sample_rate_hz, **about),
            "captures": [{"core:sample_start": 0}],
            "annotations": [],
        }
        return cls(meta, meta.with_suffix(".sigmf-data"), metadata)

    @classmethod
    def existing(
        cls, path: str | os.PathLike[str], *, sample_rate_hz: float | None = None
    ) -> AnnotatedRecording:
        """Annotate a recording that exists; its metadata and the annotations of others stay.

        Annotations that a model made in an earlier run are left out. Raw and WAV files get
        metadata beside them. Nothing is written before `save`.

        Raises:
            CaptureError: If it cannot be opened, or cannot be annotated where it is.
        """
        path = named = Path(path)
        if path.suffix == ".sigmf":
            raise CaptureFormatError(
                f"{path} is an archive, which cannot be changed in place; unpack it with tar"
            )
        own, beside = meta_path(path), meta_path(_stem(path))
        if own.exists():
            path = own
        elif beside.exists():
            path = beside
        with open_capture(path, sample_rate_hz=sample_rate_hz) as capture:
            if capture.metadata:
                _check_describes(path, capture.data_path, named)
                beside, data_path, link_from = path.with_suffix(".sigmf-meta"), None, None
                metadata = read_metadata(beside)
                info = metadata["global"]
                info["core:extensions"] = describe.with_ours(info.get("core:extensions", []))
            else:
                data_path, link_from = describe.samples_path(beside, capture), capture.data_path
                if data_path.exists() and not describe.same_bytes(data_path, link_from):
                    raise CaptureError(
                        f"{data_path} holds other samples than {link_from}; move one of them away"
                    )
                metadata = {
                    "global": describe.global_of(capture, data_path),
                    "captures": describe.captures_of(capture),
                    "annotations": [],
                }
            return cls(
                beside,
                data_path or capture.data_path,
                metadata,
                sample_count=capture.sample_count,
                link_from=link_from and link_from.resolve(),
            )

    @property
    def annotation_count(self) -> int:
        """Annotations made here, after merging."""
        return self._count - self.unwritable_count

    def set_sample_rate_hz(self, sample_rate_hz: float) -> None:
        """Set the rate of the whole recording.

        Raises:
            CaptureError: If it is not a finite number.
        """
        _check_finite("sample_rate_hz", sample_rate_hz)
        with self._lock:
            self._rate_hz = self._metadata["global"]["core:sample_rate"] = sample_rate_hz

    def add_segment(
        self, first_sample: int, frequency_hz: float | None, time_s: float | None
    ) -> None:
        """Start a segment of other tuning; one that starts at the same sample is replaced.

        Raises:
            CaptureError: If the frequency is not a finite number, or no calendar has the time.
        """
        _check_finite("frequency_hz", frequency_hz)
        segment: dict[str, Any] = {"core:sample_start": first_sample}
        if frequency_hz is not None:
            segment["core:frequency"] = frequency_hz
        if time_s is not None:
            try:
                moment = datetime.fromtimestamp(time_s, timezone.utc).replace(tzinfo=None)
            except (OverflowError, ValueError, OSError) as error:
                raise CaptureError(
                    f"time_s is {time_s}, and SigMF can say the years 1 to 9999; give Unix time, "
                    "or None when unknown"
                ) from error
            segment["core:datetime"] = moment.isoformat(timespec="microseconds") + "Z"
        with self._lock:
            segments = self._metadata["captures"]
            if segments and segments[-1]["core:sample_start"] == first_sample:
                segments.pop()
            segments.append(segment)

    def add_remark(self, first_sample: int, sample_count: int, comment: str) -> None:
        """Add an annotation without a label: it is about samples that are written, no signal."""
        entry = {
            "core:sample_start": first_sample,
            "core:sample_count": sample_count,
            "core:comment": comment,
            "core:generator": generator(),
        }
        with self._lock:
            self._remarks.append(
                (first_sample, first_sample + sample_count, annotation_text(entry))
            )

    def add(self, decision: DecisionLike, *, merge: bool = True) -> None:
        """Annotate a decision; with `merge`, it may lengthen the model's last annotation.

        Raises:
            CaptureError: If it names no samples, or a number in it is not finite.
        """
        note = ModelAnnotation.of(decision)
        if note.first_sample < 0 or note.sample_count < 1 or not math.isfinite(note.confidence):
            raise CaptureError(
                f"the decision has first_sample {note.first_sample}, sample_count "
                f"{note.sample_count} and confidence {note.confidence}; samples are counted from 0 "
                "on and a decision needs at least one, confidences are numbers"
            )
        _check_finite("center_frequency_hz", note.center_frequency_hz)
        _check_finite("sample_rate_hz", note.sample_rate_hz)
        with self._lock:
            last = self._open.get(note.model)
            if merge and last and last.first_sample <= note.first_sample and last.take_in(note):
                return
            if last:
                self._closed.append(last)
            self._open[note.model] = note
            self._count += 1

    def put(self, number: int, note: Note, *, last: bool) -> None:
        """Annotate something that goes on: a note replaces the one of the same number before it.

        Args:
            number: Of what is annotated.
            note: What is known of it now.
            last: Whether no other note will replace this one.
        """
        with self._lock:
            self._count += number not in self._growing
            self._growing[number] = note
            if last:
                self._closed.append(self._growing.pop(number))

    def withdraw(self, number: int) -> None:
        """Take the note of a number back, unless it was the last, or there is none."""
        with self._lock:
            if self._growing.pop(number, None) is not None:
                self._count -= 1

    def save(self, sample_count: int) -> None:
        """Write the metadata as they are now.

        An annotation that JSON cannot say is left out, see `unwritable_count`.

        Args:
            sample_count: Samples that are in the file; annotations end there at the latest, and
                segments that begin behind them are not written yet.

        Raises:
            OSError: If they cannot be written; what was there before is left as it was.
        """
        began = time.monotonic()
        with self._lock:
            self._settle(sample_count)
            growing = [
                (note.first_sample + self._offset, self._text(note, sample_count))
                for note in [*self._closed, *self._open.values(), *self._growing.values()]
                if note.first_sample < sample_count
            ]
            self.unwritable_count = self._unwritable + sum(text is None for _, text in growing)
            growing = [entry for entry in growing if entry[1] is not None]
            self._texts.sort(key=lambda entry: entry[0])  # nearly sorted: a matter of milliseconds
            lines = [text for _, text in sorted([*self._texts, *growing], key=lambda e: e[0])]
            segments = self._metadata["captures"]
            end = sample_count + self._offset
            begun = [s for s in segments if s["core:sample_start"] < end] or segments[:1]
            info = dict(self._metadata["global"])
        if self._link_from is not None:
            describe.link(self._link_from, self.data_path)
            self._link_from = None
        written_bytes = 0
        try:
            written_bytes = write_metadata(self.meta_path, info, begun, lines)
        finally:
            took_s = time.monotonic() - began
            due_s = max(took_s / WRITE_SHARE, written_bytes / WRITE_BYTES_PER_S)
            self.pause_s = min(max(SHORTEST_PAUSE_S, due_s), LONGEST_PAUSE_S)

    def _settle(self, sample_count: int) -> None:
        """Make text of the annotations that cannot change any more."""
        still = []
        for note in self._closed:
            if note.end_sample > sample_count:
                still.append(note)
            elif (text := self._text(note, sample_count)) is not None:
                self._texts.append((note.first_sample + self._offset, text))
            else:
                self._unwritable += 1
        self._closed = still
        self._texts += [(first, text) for first, end, text in self._remarks if end <= sample_count]
        self._remarks = [remark for remark in self._remarks if remark[1] > sample_count]

    def _text(self, note: Note, sample_count: int) -> str | None:
        """Return one line of JSON, cut at the end of the samples; None if JSON cannot say it."""
        entry = note.entry(
            sample_rate_hz=self._rate_hz,
            center_frequency_hz=self._center_frequency_at(note.first_sample + self._offset),
        )
        entry["core:sample_start"] += self._offset
        entry["core:sample_count"] = min(note.sample_count, sample_count - note.first_sample)
        try:
            return annotation_text(entry)
        except (TypeError, ValueError):
            return None  # one that cannot be written must not keep the others from being written

    def _center_frequency_at(self, sample: int) -> float | None:
        for segment in reversed(self._metadata["captures"]):
            if segment["core:sample_start"] <= sample:
                return segment.get("core:frequency")
        return None


def _check_finite(name: str, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise CaptureError(f"{name} is {value}; give a finite number, or None when unknown")


def _stem(path: Path) -> Path:
    """Return a name without the suffix of a recording; fm_100.1MHz has none."""
    known = is_recording(path) or path.suffix == FILE_META_SUFFIX
    return path.with_suffix("") if known else path


def _check_describes(meta_path: Path, data_path: Path, named: Path) -> None:
    """Refuse metadata that lie beside a recording by name only: iq.sigmf-meta beside iq.cf32."""
    samples = named.with_suffix("") if named.suffix == FILE_META_SUFFIX else named
    if named.suffix in (".sigmf-meta", ".sigmf-data") or not is_recording(samples):
        return
    if samples.is_file() and not describe.same_bytes(samples, data_path):
        raise CaptureError(
            f"{meta_path} describes {data_path}, which holds other samples than {samples}; "
            "move one of them away, or name the .sigmf-meta file"
        )


def _numbered(meta_path: Path) -> Iterator[Path]:
    yield meta_path
    number = 2
    while True:
        yield meta_path.with_name(f"{meta_path.stem}-{number}{meta_path.suffix}")
        number += 1


def _is_taken(meta_path: Path) -> bool:
    return meta_path.exists() or meta_path.with_suffix(".sigmf-data").exists()
