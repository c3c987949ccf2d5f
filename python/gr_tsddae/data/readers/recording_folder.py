# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the recordings in a folder, with their sidecars and labels."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gr_tsddae.data.dataset import DatasetError
from gr_tsddae.iq.captures import Annotation, Capture, CaptureError, is_recording, open_capture
from gr_tsddae.iq.sigmf.opinion import PROGRAM, is_annotated_copy, is_opinion

_SIDECARS = (".yaml", ".yml", ".json")
_SIDECAR_TYPES = {
    "dtype": str,
    "sample_rate_hz": float,
    "center_frequency_hz": float,
    "label": str,
}


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
) -> tuple[list[Recording], Counter[str]]:
    """Open a recording, or all recordings of a folder in the order of their names.

    Args:
        path: a file, or a folder; the name of a folder inside it labels what lies in it.
        dtype: how raw samples are stored; wins over extension and sidecar.
        sample_rate_hz: wins over what the files say.
        center_frequency_hz: wins over what the files say.

    Returns:
        The recordings, and reason -> number of files or annotations that were passed over.

    Raises:
        DatasetError: if there is none, or one of them cannot be read.
    """
    notes: Counter[str] = Counter()

    def opened(file: Path) -> Recording:
        try:
            return _open(file, path, dtype, sample_rate_hz, center_frequency_hz, notes)
        except CaptureError as error:
            where = "" if file == path else f"{path} cannot be used: "
            raise DatasetError(f"{where}{error}") from error

    files = _files(path)
    found = [opened(file) for file in files if file.suffix.startswith(".sigmf")]
    described = {
        _identity(each.capture.data_path)
        for each in found
        if not is_annotated_copy(each.capture.metadata)
    }
    for file in files:
        if not file.suffix.startswith(".sigmf") and _identity(file) not in described:
            described.add(_identity(file))
            found.append(opened(file))
    recording_of = {each.capture.path: each for each in found}
    captures = without_copies([each.capture for each in found], notes)
    return [recording_of[capture.path] for capture in captures], notes


def without_copies(captures: Iterable[Capture], notes: Counter[str]) -> list[Capture]:
    """Sort recordings by path, keep one of each that share their samples, and note the others.

    When this program annotates a recording, it links the samples, so both may lie in one folder.
    Samples that count twice would be in training and in test. The source is kept: it has the true
    labels.
    """
    samples_of: dict[tuple[int, int], Capture] = {}
    for capture in sorted(captures, key=lambda each: is_annotated_copy(each.metadata)):
        kept = samples_of.setdefault(_identity(capture.data_path), capture)
        if kept is not capture:
            notes["recording whose samples are another's"] += 1
    return sorted(samples_of.values(), key=lambda each: each.path)


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
    notes: Counter[str],
) -> Recording:
    describes_itself = file.suffix.startswith(".sigmf")
    beside = {} if describes_itself else _sidecar(file)
    if dtype is None or (file != root and (describes_itself or file.suffix.lower() == ".wav")):
        dtype = beside.get("dtype")
    if sample_rate_hz is None:
        sample_rate_hz = beside.get("sample_rate_hz")
    if center_frequency_hz is None:
        center_frequency_hz = beside.get("center_frequency_hz")
    capture = open_capture(
        file, dtype=dtype, sample_rate_hz=sample_rate_hz, center_frequency_hz=center_frequency_hz
    )
    folders = file.relative_to(root).parts[:-1]
    labelled = [each for each in capture.annotations if each.label.strip()]
    annotations = tuple(each for each in labelled if not is_opinion(each.generator))
    note_opinions(len(labelled) - len(annotations), notes)
    return Recording(capture, beside.get("label", folders[0] if folders else None), annotations)


def _sidecar(file: Path) -> dict[str, Any]:
    """Read the sidecar of NAME.iq: NAME.yaml (or .yml, .json), or NAME.iq.yaml."""
    candidates = [file.with_name(file.name + suffix) for suffix in _SIDECARS]
    candidates += [file.with_suffix(suffix) for suffix in _SIDECARS]
    sidecar = next((each for each in candidates if each.is_file()), None)
    if sidecar is None:
        return {}
    try:
        text = sidecar.read_text(encoding="utf-8")
        content = json.loads(text) if sidecar.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DatasetError(f"{sidecar} cannot be read ({reason}); mend or remove it") from error
    known = ", ".join(_SIDECAR_TYPES)
    if not isinstance(content, dict):
        raise DatasetError(f"{sidecar} is no list of keys and values; it may give {known}")
    for key, value in content.items():
        if key not in _SIDECAR_TYPES:
            raise DatasetError(f"{sidecar} has the unknown key {key!r}; it may give {known}")
        if value is None or isinstance(value, (bool, list, dict)):
            raise DatasetError(f"{sidecar}: {key} is {value!r}; give a value, or leave it out")
        try:
            content[key] = _SIDECAR_TYPES[key](value)  # YAML reads 1e6 as text
        except ValueError as error:
            raise DatasetError(f"{sidecar}: {key} is {value!r}; give a number") from error
    return content
