# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the recordings in a folder, with their sidecars and labels."""

import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gr_tsddae.data.dataset import DatasetError
from gr_tsddae.data.readers.same_samples import by_samples
from gr_tsddae.data.readers.sidecar import read_sidecar
from gr_tsddae.data.readers.trimmed_copy import holders
from gr_tsddae.iq.captures import (
    Annotation,
    Capture,
    CaptureError,
    CaptureFormatError,
    describes_itself,
    is_packed,
    is_recording,
    open_capture,
)
from gr_tsddae.iq.formats.names import told_by_name
from gr_tsddae.iq.sigmf.opinion import PROGRAM, is_annotated_copy, is_opinion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """One recording and its label.

    Attributes:
        capture: the samples.
        label: from the sidecar, else from the folder, else None.
        annotations: those that a person (or another program) made.
    """

    capture: Capture
    label: str | None
    annotations: tuple[Annotation, ...]


def find_recordings(
    path: Path,
    *,
    dtype: str | None = None,
    sample_rate_hz: float | None = None,
    center_frequency_hz: float | None = None,
    strict: bool = False,
) -> tuple[list[Recording], Counter[str]]:
    """Open a recording, or all recordings of a folder in the order of their names.

    A file of a folder that cannot be read is left out with a warning. So are demodulated audio and,
    beside IQ, WAV files of one channel.

    Args:
        path: a file, or a folder; the name of a folder inside it labels what lies in it.
        dtype: how raw samples are stored; wins over extension and sidecar.
        sample_rate_hz: wins over what the files say.
        center_frequency_hz: wins over what the files say.
        strict: whether a file that cannot be read, or has a fault, is an error.

    Returns:
        The recordings, and reason -> number of files or annotations that were passed over.

    Raises:
        DatasetError: if there is none, if nothing says how a raw file stores its samples, or if
            the same samples lie there with two labels.
    """
    notes: Counter[str] = Counter()
    refused: list[CaptureError] = []
    found: list[Recording] = []
    described: set[tuple[int, int]] = set()  # files with samples that SigMF describes
    files = _files(path, notes)
    for file in sorted(files, key=lambda each: not _is_sigmf(each)):  # SigMF first
        if file != path and _is_audio(file):
            notes["file of demodulated audio"] += 1
            continue
        if not _is_sigmf(file) and _identity(file) in described:
            continue
        try:
            each = _open(file, path, dtype, sample_rate_hz, center_frequency_hz, strict, notes)
        except CaptureError as error:
            unknown_storage = isinstance(error, CaptureFormatError) and not describes_itself(file)
            if file == path or strict or unknown_storage:
                if file == path:
                    raise DatasetError(str(error)) from error
                raise DatasetError(
                    f"{path} cannot be used: {error}, or put the file elsewhere if it is no "
                    "recording"
                ) from error
            refused.append(error)
            continue
        found.append(each)
        if _is_sigmf(file) and not is_annotated_copy(each.capture.metadata):
            described.add(_identity(each.capture.data_path))
        for fault in each.capture.faults:
            log.warning("%s", fault)
            notes["recording with a fault"] += 1
    for error in refused:
        log.warning("left out: %s", error)
    if refused:
        notes["file that cannot be read"] = len(refused)
    if refused and not found:
        raise DatasetError(f"{path} holds no recording that can be read: {refused[0]}")
    iq = [each for each in found if not each.capture.sample_format.is_real]
    if iq and len(iq) < len(found):
        notes["file of one channel beside IQ"] = len(found) - len(iq)
        found = iq
    recording_of = {each.capture.path: each for each in found}
    kept = []
    for group in by_samples((each.capture for each in found), notes):
        source, *copies = (recording_of[capture.path] for capture in group)
        _check_labels(source, copies)
        kept.append(source)
    return _without_trimmed(kept, notes), notes


def note_opinions(count: int, notes: Counter[str]) -> None:
    """Count annotations that are left out because this program wrote them."""
    notes[f"annotation by {PROGRAM}"] += count


def _check_labels(source: Recording, copies: list[Recording]) -> None:
    """Refuse the same samples under two labels."""
    for each in copies:
        if each.annotations or is_annotated_copy(each.capture.metadata):
            continue
        if each.label and source.label and each.label != source.label:
            raise DatasetError(
                f"{each.capture.path} and {source.capture.path} hold the same samples under two "
                f"labels, {each.label!r} and {source.label!r}; remove one of them"
            )


def _without_trimmed(found: list[Recording], notes: Counter[str]) -> list[Recording]:
    """Leave out recordings that are a stretch of another, where both label the same samples."""
    kept = dict(enumerate(found))
    for number, (other, offset) in holders([each.capture for each in found]).items():
        inside, holder = found[number], found[other]
        there = [(first + offset, end + offset, label) for first, end, label in _claims(inside)]
        shared = [
            (ours, theirs)
            for first, end, ours in there
            for begin, until, theirs in _claims(holder)
            if first < until and begin < end
        ]
        if missing := {ours for ours, _ in shared} - {theirs for _, theirs in shared}:
            other_labels = ", ".join(repr(label) for label in sorted({each for _, each in shared}))
            raise DatasetError(
                f"{inside.capture.path} holds samples {offset} to "
                f"{offset + inside.capture.sample_count - 1} of {holder.capture.path} under "
                f"another label, {min(missing)!r} and not {other_labels}; remove one of them"
            )
        if shared or not (there or _claims(holder)):
            log.warning(
                "left out: %s holds samples of %s from %d on",
                inside.capture.path, holder.capture.path, offset,
            )  # fmt: skip
            notes["recording whose samples are part of another's"] += 1
            del kept[number]
    return list(kept.values())


def _claims(recording: Recording) -> list[tuple[int, int, str]]:
    """List the labelled samples of a recording: the first, the one behind the last, the label."""
    if recording.annotations:
        return [
            (each.first_sample, each.first_sample + each.sample_count, each.label)
            for each in recording.annotations
        ]
    return [(0, recording.capture.sample_count, recording.label)] if recording.label else []


def _identity(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:  # opening it says what is wrong
        return (-1, hash(file))
    return (status.st_dev, status.st_ino)


def _files(path: Path, notes: Counter[str]) -> list[Path]:
    if not path.is_dir():
        return [path]
    inside, seen = [], set()
    try:
        for folder, folders, names in os.walk(path, onerror=_raise, followlinks=True):
            seen.add(os.path.realpath(folder))
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".")
                and os.path.realpath(os.path.join(folder, name)) not in seen
            ]
            inside += [Path(folder, name) for name in names if not name.startswith(".")]
    except OSError as error:
        raise DatasetError(
            f"{error.filename} cannot be listed ({error.strerror}); check its permissions"
        ) from error
    files = sorted(file for file in inside if is_recording(file))
    if packed := sum(map(is_packed, inside)):
        notes["file that is compressed or holds arrays"] = packed
    if not files:
        raise DatasetError(
            f"{path} holds no recording ({len(inside)} other files); "
            "put SigMF, raw IQ (.cf32, .ci16, .cu8, ...) or WAV files into it"
        )
    return files


def _raise(error: OSError) -> None:
    raise error


def _open(
    file: Path,
    root: Path,
    dtype: str | None,
    sample_rate_hz: float | None,
    center_frequency_hz: float | None,
    strict: bool,
    notes: Counter[str],
) -> Recording:
    beside = {} if _is_sigmf(file) else read_sidecar(file, notes)
    label = beside.pop("label", None)
    if file != root and describes_itself(file):
        dtype = None  # it was given for the raw ones
    given = {
        "dtype": dtype,
        "sample_rate_hz": sample_rate_hz,
        "center_frequency_hz": center_frequency_hz,
    }
    said = beside | {name: value for name, value in given.items() if value is not None}
    capture = open_capture(file, **said, strict=strict)
    folders = file.relative_to(root).parts[:-1]
    labelled = [each for each in capture.annotations if each.label.strip()]
    annotations = tuple(each for each in labelled if not is_opinion(each.generator))
    note_opinions(len(labelled) - len(annotations), notes)
    return Recording(capture, label or (folders[0] if folders else None), annotations)


def _is_sigmf(file: Path) -> bool:
    return file.suffix.lower().startswith(".sigmf")


def _is_audio(file: Path) -> bool:
    says = told_by_name(file)
    return says is not None and says.is_audio
