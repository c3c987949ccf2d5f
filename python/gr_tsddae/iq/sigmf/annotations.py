# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions written as SigMF annotations, so that any SigMF viewer shows them over the signal.

Viewers (inspectrum, IQEngine) look for NAME.sigmf-data beside NAME.sigmf-meta, and SigMF calls a
file of nothing but samples under that name a full recording. So the samples of raw and SigMF
captures are *linked* there: no byte is copied, and every viewer opens the result. A WAV file or an
archive holds more than samples, which SigMF calls a non-conforming dataset: it is linked under its
own name, and `core:dataset`, `core:header_bytes` and `core:trailing_bytes` say where the samples
lie in it.
"""

from __future__ import annotations

import contextlib
import filecmp
import functools
import importlib.metadata
import json
import math
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gr_tsddae.files import write_text
from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.iq.formats.capture_errors import CaptureError, CaptureRangeError
from gr_tsddae.iq.formats.file_meta import SegmentedCapture

EXTENSION = {"name": "tsddae", "version": "1.0.0", "optional": True}
SIGMF_VERSION = "1.2.0"

# What the written samples share with the capture: all of `global` but what is said anew below.
_NOT_COPIED = {
    "core:version",
    "core:datatype",
    "core:sample_rate",
    "core:offset",
    "core:dataset",
    "core:trailing_bytes",
    "core:metadata_only",
    "core:collection",
    "core:num_channels",
    "core:extensions",
    "core:sha512",
}


class Decision(Protocol):
    """What a decision must offer to be written."""

    model: str
    label: str
    confidence: float
    first_sample: int
    sample_count: int
    center_frequency_hz: float | None
    sample_rate_hz: float | None


@dataclass
class Run:
    """Consecutive decisions for one label.

    Attributes:
        first_sample: Where the run starts.
        sample_count: Samples from its start to the end of its last decision.
        label: The class.
        model: Name of the model that decided.
        confidence: Mean over the decisions, weighted by their length.
        center_frequency_hz: Tuning during the run, or None.
        sample_rate_hz: Samples per second, or None.
    """

    first_sample: int
    sample_count: int
    label: str
    model: str
    confidence: float
    center_frequency_hz: float | None
    sample_rate_hz: float | None

    def __post_init__(self) -> None:
        self._weight = self.sample_count  # samples of its decisions, overlaps counted twice

    @property
    def end_sample(self) -> int:
        return self.first_sample + self.sample_count

    @classmethod
    def of(cls, decision: Decision) -> Run:
        """A single decision, to be lengthened."""
        return cls(
            first_sample=int(decision.first_sample),
            sample_count=int(decision.sample_count),
            label=decision.label,
            model=decision.model,
            confidence=float(decision.confidence),
            center_frequency_hz=_float(decision.center_frequency_hz),
            sample_rate_hz=_float(decision.sample_rate_hz),
        )

    def take_in(self, later: Run) -> bool:
        """Joins a run that starts no earlier, if it touches and agrees; whether it did."""
        if later.first_sample > self.end_sample or not _alike(self, later):
            return False
        self._weight += later.sample_count
        if self._weight:
            self.confidence += (
                (later.confidence - self.confidence) * later.sample_count / self._weight
            )
        self.sample_count = max(self.end_sample, later.end_sample) - self.first_sample
        return True


def merge_runs(decisions: Iterable[Decision]) -> list[Run]:
    """Joins decisions that touch or overlap and agree in label, model, tuning and rate.

    Args:
        decisions: In any order.

    Returns:
        Runs in order of their start.
    """
    runs: list[Run] = []
    for new in _as_runs(decisions):
        if not (runs and runs[-1].take_in(new)):
            runs.append(new)
    return runs


def write_annotations(
    capture: Capture,
    decisions: Iterable[Decision],
    path: str | os.PathLike[str],
    *,
    model_name: str,
    merge: bool = True,
) -> Path:
    """Writes a SigMF recording whose annotations are the decisions.

    The recording is PATH.sigmf-meta and, beside it, a link to the capture's samples (a copy where
    the file system has no links). Labels that came with the capture are left out: what is written
    is what the model said. A recording that something else wrote is never overwritten.

    Args:
        capture: What was recognised.
        decisions: In any order; all within the capture.
        path: Where to write, with or without `.sigmf-meta`; folders are made.
        model_name: Name of the model, for the metadata.
        merge: Whether consecutive decisions for one label become one annotation with their mean
            confidence.

    Returns:
        The path of the .sigmf-meta file.

    Raises:
        CaptureRangeError: If a decision reaches beyond the capture.
        CaptureError: If the target is someone else's recording, or cannot be written.
    """
    target = meta_path(Path(path))
    data_path = _data_path(target, capture)
    runs = merge_runs(decisions) if merge else _as_runs(decisions)
    _check_contiguous(capture)
    for run in runs:
        if run.first_sample < 0 or run.end_sample > capture.sample_count:
            raise CaptureRangeError(
                f"a decision covers samples {run.first_sample} to {run.end_sample - 1}, but "
                f"{capture.path} holds only {capture.sample_count}; write it for its own capture"
            )
        if not math.isfinite(run.confidence):
            raise CaptureError(
                f"the decision at sample {run.first_sample} has a confidence of {run.confidence}; "
                "give a number from 0 to 1"
            )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(target, data_path, capture)
        link(capture.data_path.resolve(), data_path)
        metadata = {
            "global": _global(capture, data_path) | {"tsddae:model": model_name},
            "captures": _captures(capture),
            "annotations": [
                annotation(
                    run,
                    sample_rate_hz=capture.sample_rate_hz,
                    center_frequency_hz=capture.center_frequency_at(run.first_sample),
                )
                for run in runs
            ],
        }
        text = json.dumps(metadata, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(target, text + "\n")
    except OSError as error:
        raise CaptureError(
            f"the annotations cannot be written to {target} ({error.strerror}); "
            "choose another folder"
        ) from error
    return target


def _as_runs(decisions: Iterable[Decision]) -> list[Run]:
    return sorted(map(Run.of, decisions), key=lambda run: run.first_sample)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)  # JSON knows no numbers of NumPy's


def _alike(left: Run, right: Run) -> bool:
    return (left.label, left.model, left.center_frequency_hz, left.sample_rate_hz) == (
        right.label,
        right.model,
        right.center_frequency_hz,
        right.sample_rate_hz,
    )


def meta_path(path: Path) -> Path:
    if path.suffix in (".sigmf-meta", ".sigmf-data", ".sigmf"):
        return path.with_suffix(".sigmf-meta")
    return path.with_name(path.name + ".sigmf-meta")


def _check_replaceable(meta_path: Path, data_path: Path, capture: Capture) -> None:
    """Refuses to overwrite metadata or samples that an earlier call did not put there."""
    ours = False
    if meta_path.exists():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            ours = "tsddae:model" in json.loads(meta_path.read_bytes())["global"]
        if not ours:
            raise CaptureError(
                f"{meta_path} describes another recording and would be overwritten; "
                "choose another name or folder"
            )
    if not data_path.exists() or same_bytes(data_path, capture.data_path):
        return
    is_a_link = data_path.is_symlink() or data_path.stat().st_nlink > 1
    if not (ours and is_a_link):
        raise CaptureError(
            f"{data_path} holds other samples than {capture.data_path} and would be overwritten; "
            "choose another name or folder"
        )


def same_bytes(left: Path, right: Path) -> bool:
    """Whether two files are one, or hold the same."""
    return left.samefile(right) or filecmp.cmp(left, right, shallow=False)


def link(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source`: hard link, else symbolic link, else copy."""
    if target.exists() and same_bytes(source, target):
        return
    target.unlink(missing_ok=True)
    for make in (os.link, os.symlink):
        try:
            make(source, target)
            return
        except OSError:  # another file system, or one without links
            continue
    shutil.copyfile(source, target)


def metadata_beside(capture: Capture, target: Path) -> tuple[dict[str, Any], Path]:
    """Metadata without annotations for a capture that has none, to be written to `target`.

    Returns:
        The metadata, and where they expect the samples: a link to the capture's, or its own file.

    Raises:
        CaptureError: If SigMF cannot describe the file.
    """
    _check_contiguous(capture)
    data_path = _data_path(target, capture)
    if data_path.exists() and not same_bytes(data_path, capture.data_path):
        raise CaptureError(
            f"{data_path} holds other samples than {capture.data_path}; move one of them away"
        )
    metadata = {
        "global": _global(capture, data_path),
        "captures": _captures(capture),
        "annotations": [],
    }
    return metadata, data_path


def _data_path(target: Path, capture: Capture) -> Path:
    """Where metadata at `target` expect the samples of a capture."""
    conforming = not (capture.header_bytes or capture.trailing_bytes)
    return (
        target.with_suffix(".sigmf-data")
        if conforming
        else target.with_name(capture.data_path.name)
    )


def _check_contiguous(capture: Capture) -> None:
    if isinstance(capture, SegmentedCapture) and len(capture.segment_bytes) > 1:
        raise CaptureError(
            f"{capture.path} has headers among its samples, which SigMF viewers would take for "
            "signal; record it with a detached header, or without one"
        )


def _global(capture: Capture, data_path: Path) -> dict[str, Any]:
    info = {key: value for key, value in capture.metadata.items() if key not in _NOT_COPIED}
    info["core:version"] = SIGMF_VERSION
    info["core:datatype"] = capture.sample_format.sigmf_datatype
    info["core:extensions"] = [
        *(e for e in capture.metadata.get("core:extensions", []) if e["name"] != "tsddae"),
        EXTENSION,
    ]
    if capture.sample_rate_hz is not None:
        info["core:sample_rate"] = capture.sample_rate_hz
    if data_path.suffix != ".sigmf-data":
        info["core:dataset"] = data_path.name
        info["core:trailing_bytes"] = capture.trailing_bytes
    elif "core:sha512" in capture.metadata and "core:dataset" not in capture.metadata:
        info["core:sha512"] = capture.metadata["core:sha512"]
    return info


def _captures(capture: Capture) -> list[dict[str, Any]]:
    captures: list[dict[str, Any]] = []
    for segment in capture.segments:
        entry: dict[str, Any] = {"core:sample_start": segment.first_sample}
        if segment.frequency_hz is not None:
            entry["core:frequency"] = segment.frequency_hz
        if segment.datetime is not None:
            entry["core:datetime"] = segment.datetime
        captures.append(entry)
    if capture.header_bytes:
        captures[0]["core:header_bytes"] = capture.header_bytes
    return captures


def annotation(
    run: Run, *, sample_rate_hz: float | None, center_frequency_hz: float | None
) -> dict[str, Any]:
    """A run as SigMF has it; rate and centre are the recording's, where the run knows none."""
    return {
        "core:sample_start": run.first_sample,
        "core:sample_count": run.sample_count,
        "core:label": run.label,
        "core:comment": f"{run.confidence:.2f} by {run.model}",
        "core:generator": generator(),
        "tsddae:confidence": round(run.confidence, 4),
        "tsddae:model": run.model,
        **_frequency_edges(
            run.sample_rate_hz or sample_rate_hz,
            center_frequency_hz if run.center_frequency_hz is None else run.center_frequency_hz,
        ),
    }


def _frequency_edges(rate_hz: float | None, centre_hz: float | None) -> dict[str, float]:
    """The whole band that was listened to; around 0 Hz where its centre is unknown."""
    if rate_hz is None:
        return {}
    centre_hz = centre_hz or 0.0
    return {
        "core:freq_lower_edge": centre_hz - rate_hz / 2,
        "core:freq_upper_edge": centre_hz + rate_hz / 2,
    }


@functools.cache  # a look through the installed packages, for every annotation
def generator() -> str:
    """Name and version of this program, as annotations carry it."""
    try:
        return f"gr-tsddae {importlib.metadata.version('gr-tsddae')}"
    except importlib.metadata.PackageNotFoundError:  # run from the source tree
        return "gr-tsddae"
