# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the recordings in a folder, with their sidecars and labels."""

import difflib
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gr_tsddae.command import number
from gr_tsddae.data.dataset import DatasetError
from gr_tsddae.iq.captures import (
    Annotation,
    Capture,
    CaptureError,
    CaptureFormatError,
    describes_itself,
    is_recording,
    open_capture,
)
from gr_tsddae.iq.formats.names import told_by_name
from gr_tsddae.iq.sigmf.opinion import PROGRAM, is_annotated_copy, is_opinion

log = logging.getLogger(__name__)

_SIDECARS = (".yaml", ".yml", ".json")
_SIDECAR_TYPES = {
    "dtype": str,
    "sample_rate_hz": number,
    "center_frequency_hz": number,
    "label": str,
}


_BLOCKS, _BLOCK_SAMPLES = 64, 4096  # of a fingerprint


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

    def opened(file: Path) -> list[Recording]:
        try:
            recording = _open(file, path, dtype, sample_rate_hz, center_frequency_hz, strict, notes)
        except CaptureError as error:
            unknown_storage = isinstance(error, CaptureFormatError) and not describes_itself(file)
            if file == path or strict or unknown_storage:
                where = "" if file == path else f"{path} cannot be used: "
                raise DatasetError(f"{where}{error}") from error
            refused.append(error)
            return []
        for fault in recording.capture.faults:
            log.warning("%s", fault)
            notes["recording with a fault"] += 1
        return [recording]

    files = _files(path)
    if audio := [file for file in files if file != path and _is_audio(file)]:
        notes["file of demodulated audio"] = len(audio)
        files = [file for file in files if file not in audio]
    found = [each for file in files if _is_sigmf(file) for each in opened(file)]
    described = {
        _identity(each.capture.data_path)
        for each in found
        if not is_annotated_copy(each.capture.metadata)
    }
    for file in files:
        if not _is_sigmf(file) and _identity(file) not in described:
            described.add(_identity(file))
            found += opened(file)
    for error in refused:
        log.warning("left out: %s", error)
    if refused:
        notes["file that cannot be read"] = len(refused)
    if refused and not found:
        raise DatasetError(f"{path} holds no recording that can be read: {refused[0]}")
    real = [each for each in found if each.capture.sample_format.is_real]
    if len(real) < len(found) and real:
        notes["file of one channel beside IQ"] = len(real)
        found = [each for each in found if each not in real]
    recording_of = {each.capture.path: each for each in found}
    captures = without_copies([each.capture for each in found], notes)
    kept = [recording_of[capture.path] for capture in captures]
    if len(kept) < len(found):
        _check_labels(found, kept)
    return kept, notes


def without_copies(captures: Iterable[Capture], notes: Counter[str]) -> list[Capture]:
    """Sort recordings by path, keep one of each that share their samples, and note the others.

    When this program annotates a recording, it links the samples, so both may lie in one folder.
    People copy recordings, and export them in other formats. Samples that count twice would be in
    training and in test. The source is kept, which has the true labels.
    """

    def rank(capture: Capture) -> tuple[bool, bool]:
        return is_annotated_copy(capture.metadata), not capture.annotations

    samples_of: dict[tuple[int, str], Capture] = {}
    for capture in sorted(captures, key=rank):
        kept = samples_of.setdefault(fingerprint(capture), capture)
        if kept is not capture:
            notes["recording whose samples are another's"] += 1
    return sorted(samples_of.values(), key=lambda each: each.path)


def fingerprint(capture: Capture) -> tuple[int, str]:
    """Return what recordings of the same samples share, in whatever file they lie.

    That is the number of samples, and a hash of those in up to 64 blocks spread over the recording.
    """
    digest, block = hashlib.sha256(), min(_BLOCK_SAMPLES, capture.sample_count)
    with copy(capture) as opened:  # closed again, for there may be very many
        for number in range(_BLOCKS):
            first = (capture.sample_count - block) * number // (_BLOCKS - 1)
            digest.update(opened.read(first, block).tobytes())
    return capture.sample_count, digest.hexdigest()


def _check_labels(found: Iterable[Recording], kept: Iterable[Recording]) -> None:
    """Refuse the same samples under two labels."""
    label_of = {fingerprint(each.capture): each for each in kept}
    for each in found:
        other = label_of[fingerprint(each.capture)]
        if each.annotations or is_annotated_copy(each.capture.metadata):
            continue
        if each.label and other.label and each.label != other.label:
            raise DatasetError(
                f"{each.capture.path} and {other.capture.path} hold the same samples under two "
                f"labels, {each.label!r} and {other.label!r}; remove one of them"
            )


def note_opinions(count: int, notes: Counter[str]) -> None:
    """Count annotations that are left out because this program wrote them."""
    notes[f"annotation by {PROGRAM}"] += count


def _identity(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:  # opening it says what is wrong
        return (-1, hash(file))
    return (status.st_dev, status.st_ino)


def _files(path: Path) -> list[Path]:
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
    beside = {} if _is_sigmf(file) else _sidecar(file, notes)
    if dtype is None or (file != root and describes_itself(file)):
        dtype = beside.get("dtype")
    if sample_rate_hz is None:
        sample_rate_hz = beside.get("sample_rate_hz")
    if center_frequency_hz is None:
        center_frequency_hz = beside.get("center_frequency_hz")
    capture = open_capture(
        file,
        dtype=dtype,
        sample_rate_hz=sample_rate_hz,
        center_frequency_hz=center_frequency_hz,
        strict=strict,
    )
    folders = file.relative_to(root).parts[:-1]
    labelled = [each for each in capture.annotations if each.label.strip()]
    annotations = tuple(each for each in labelled if not is_opinion(each.generator))
    note_opinions(len(labelled) - len(annotations), notes)
    return Recording(capture, beside.get("label", folders[0] if folders else None), annotations)


def _is_sigmf(file: Path) -> bool:
    return file.suffix.lower().startswith(".sigmf")


def _is_audio(file: Path) -> bool:
    says = told_by_name(file)
    return says is not None and says.is_audio


def _is_of_others(content: Any) -> bool:
    """Tell whether another program, such as a decoder, wrote some JSON.

    What has only keys of ours, or nearly, is a person's: a slip of the pen is then named.
    """
    if not isinstance(content, dict):
        return True
    return not all(difflib.get_close_matches(key, _SIDECAR_TYPES, cutoff=0.75) for key in content)


def _sidecar(file: Path, notes: Counter[str]) -> dict[str, Any]:
    """Read the sidecar of NAME.iq: NAME.yaml (or .yml, .json), or NAME.iq.yaml.

    JSON with keys of another program, as a decoder's, is passed over and counted.
    """
    candidates = [file.with_name(file.name + suffix) for suffix in _SIDECARS]
    candidates += [file.with_suffix(suffix) for suffix in _SIDECARS]
    sidecar = next((each for each in candidates if each.is_file()), None)
    if sidecar is None:
        return {}
    try:
        text = sidecar.read_text(encoding="utf-8")
        content = json.loads(text) if sidecar.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        if sidecar.suffix == ".json":  # decoders write one object per line
            notes["sidecar of another program"] += 1
            return {}
        reason = " ".join(str(error).split())
        raise DatasetError(f"{sidecar} cannot be read ({reason}); mend or remove it") from error
    known = ", ".join(_SIDECAR_TYPES)
    if sidecar.suffix == ".json" and _is_of_others(content):
        notes["sidecar of another program"] += 1
        return {}
    if not isinstance(content, dict):
        raise DatasetError(f"{sidecar} is no list of keys and values; it may give {known}")
    for key, value in content.items():
        if key not in _SIDECAR_TYPES:
            raise DatasetError(f"{sidecar} has the unknown key {key!r}; it may give {known}")
        if value is None or isinstance(value, (bool, list, dict)):
            raise DatasetError(f"{sidecar}: {key} is {value!r}; give a value, or leave it out")
        try:
            content[key] = _SIDECAR_TYPES[key](value)  # YAML reads 1e6 and 2.4M as text
        except ValueError as error:
            raise DatasetError(f"{sidecar}: {key} is {value!r}; give a number") from error
    return content
