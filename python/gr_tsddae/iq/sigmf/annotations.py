# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions written as SigMF annotations, so that any SigMF viewer shows them over the signal."""

import contextlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.iq.formats.capture_errors import CaptureError, CaptureRangeError
from gr_tsddae.iq.sigmf.describe import captures_of, global_of, link, same_bytes, samples_path
from gr_tsddae.iq.sigmf.model_annotation import DecisionLike, in_order, merged
from gr_tsddae.iq.sigmf.opinion import is_annotated_copy
from gr_tsddae.iq.sigmf.write import annotation_text, meta_path, write_metadata


def write_annotations(
    capture: Capture,
    decisions: Iterable[DecisionLike],
    path: str | os.PathLike[str],
    *,
    model_name: str,
    merge: bool = True,
    band_hz: tuple[float, float] | None = None,
) -> Path:
    """Write a SigMF recording whose annotations are the decisions.

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
        band_hz: Edges of the signal, from the centre; None: the whole band.

    Returns:
        The path of the .sigmf-meta file.

    Raises:
        CaptureRangeError: If a decision reaches beyond the capture.
        CaptureError: If the target is someone else's recording, or cannot be written.
    """
    target = meta_path(Path(path))
    notes = (merged if merge else in_order)(decisions)
    for note in notes:
        if note.first_sample < 0 or note.end_sample > capture.sample_count:
            raise CaptureRangeError(
                f"a decision covers samples {note.first_sample} to {note.end_sample - 1}, but "
                f"{capture.path} holds only {capture.sample_count}; write it for its own capture"
            )
        if not math.isfinite(note.confidence):
            raise CaptureError(
                f"the decision at sample {note.first_sample} has a confidence of "
                f"{note.confidence}; give a number from 0 to 1"
            )
    entries = [
        note.entry(
            sample_rate_hz=capture.sample_rate_hz,
            center_frequency_hz=capture.center_frequency_at(note.first_sample),
            band_hz=band_hz,
        )
        for note in notes
    ]
    return write_annotated_copy(capture, entries, target, model_name=model_name)


def write_annotated_copy(
    capture: Capture,
    entries: Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str],
    *,
    model_name: str,
) -> Path:
    """Write a SigMF recording of a capture's samples with annotations of any kind.

    Args:
        capture: Whose samples are linked.
        entries: SigMF annotations, in order of `core:sample_start`.
        path: Where to write, with or without `.sigmf-meta`; folders are made.
        model_name: What made the annotations, for the metadata.

    Returns:
        The path of the .sigmf-meta file.

    Raises:
        CaptureError: If the target is someone else's recording, or cannot be written.
    """
    target = meta_path(Path(path))
    data_path = samples_path(target, capture)
    texts = [annotation_text(entry) for entry in entries]
    info = global_of(capture, data_path) | {"tsddae:model": model_name}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(target, data_path, capture)
        link(capture.data_path.resolve(), data_path)
        write_metadata(target, info, captures_of(capture), texts)
    except OSError as error:
        raise CaptureError(
            f"the annotations cannot be written to {target} ({error.strerror}); "
            "choose another folder"
        ) from error
    return target


def _check_replaceable(meta_path: Path, data_path: Path, capture: Capture) -> None:
    """Refuse to overwrite metadata or samples that an earlier call did not put there."""
    ours = False
    if meta_path.exists():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            ours = is_annotated_copy(json.loads(meta_path.read_bytes())["global"])
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
