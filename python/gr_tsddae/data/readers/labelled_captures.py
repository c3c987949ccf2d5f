# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of one's own as a dataset: labels from annotations, sidecars and folder names.

    my_emitters/                        one recording (SigMF, raw IQ, IQ WAV), or a folder of them
        doorbell/monday.cf32            its label is its folder's name: "doorbell"
        doorbell/tuesday.sigmf-meta
        band.sigmf-meta                 annotated: only the annotated samples, with their labels
        tpms.iq                         raw, described beside it in tpms.yaml (or tpms.iq.yaml):
        tpms.yaml                           {dtype: ci16, sample_rate_hz: 1e6, label: tpms}
        overnight.cf32                  no label anywhere: for pre-training

The most specific label wins: `label=`, then annotations, then the sidecar, then the folder.
Annotations that this program wrote are ignored: a model must not learn from its own answers.
An annotation with frequency edges is cut out there, and all are cut out at one sample rate.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gr_tsddae.data.dataset import UNLABELLED, Dataset, DatasetError
from gr_tsddae.data.readers.cutting import Stretch
from gr_tsddae.data.readers.recording_folder import Recording, find_recordings
from gr_tsddae.data.readers.recording_store import usable_windows
from gr_tsddae.data.readers.spans import Recorded, Span, at_one_rate, tunings_of
from gr_tsddae.iq.captures import Capture, CaptureRangeError
from gr_tsddae.iq.cut_out import band_from_center

log = logging.getLogger(__name__)

_RATE_TOLERANCE = 0.01


def read(
    kind: str,
    path: str,
    *,
    window_samples: int = 128,
    hop_samples: int | None = None,
    label: str | None = None,
    dtype: str | None = None,
    sample_rate_hz: float | None = None,
    center_frequency_hz: float | None = None,
    cut_rate_hz: float | None = None,
    strict: bool = False,
    group_by: str = "block",
    blocks: int = 10,
    scan: bool = True,
    min_power_db: float | None = None,
    max_windows_per_class: int | None = None,
    task: Literal["amc", "wtc", "anomaly"] = "amc",
) -> Dataset:
    """Open recordings. Windows stay in the files, which are mapped when windows are read.

    A window never reaches over the end of an annotation, of a tuning or of a file, and samples that
    two labels claim are left out.

    Args:
        kind: name of this format.
        path: a recording, or a folder of recordings (see above; deeper folders belong to the
            first one under `path`). Files of other types are ignored.
        window_samples: L.
        hop_samples: distance between windows; None is L.
        label: the class of everything, whatever the files say.
        dtype: how raw samples are stored; wins over extension and sidecar, and is needed where
            neither says it (.iq, .raw, .bin, .dat).
        sample_rate_hz: wins over what the files say.
        center_frequency_hz: wins over what the files say.
        cut_rate_hz: sample rate at which annotations with frequency edges are cut out, and all else
            with them; None is 4 times the widest of them.
        strict: whether a file that cannot be read, or has a fault, is an error; else such files are
            left out or read as far as possible, and counted.
        group_by: what a split must not tear apart: "block" of time, whole "recording", or "window".
        blocks: into how many blocks of time a recording's samples of one class are cut.
        scan: whether to go through all samples once and leave out windows that are silent (all 0)
            or hold NaN or infinity; without it, opening a large corpus takes no time.
        min_power_db: least mean power of a window in dB under full scale, or None.
        max_windows_per_class: keep at most so many, evenly spread over time.
        task: what the labels are for, see `Dataset`.

    Raises:
        DatasetError: if there is no recording, sample rates differ, or a class has no window.
    """
    recorded, notes = labelled_recordings(
        Path(path),
        label=label,
        dtype=dtype,
        sample_rate_hz=sample_rate_hz,
        center_frequency_hz=center_frequency_hz,
        strict=strict,
    )
    if cut_rate_hz is not None and not 0 < cut_rate_hz < math.inf:
        raise DatasetError(f"cut_rate_hz is {cut_rate_hz}: it must be above 0, or null")
    captures, spans, torn_samples = at_one_rate(recorded, cut_rate_hz)
    shared_rate_hz = _shared_rate(captures)
    # A class of which nothing is left is an error, not forgotten.
    classes = tuple(sorted({span.label for _, inside in recorded for span in inside if span.label}))
    stretches = _stretches(captures, spans, classes)
    for number in sorted(set(range(len(classes))) - {stretch.label for stretch in stretches}):
        why = "all its samples have two labels; annotate it with frequency edges, or mend the"
        if not torn_samples:
            why = "its annotations are shorter than a sample of the cut-out; mend the"
        raise DatasetError(
            f"{path}: class {classes[number]!r} has no usable window: {why} annotations"
        )
    torn = -(-torn_samples // max(1, window_samples))
    store, left, skipped = usable_windows(
        captures,
        stretches,
        path=path,
        classes=classes,
        window_samples=window_samples,
        hop_samples=hop_samples,
        blocks=blocks,
        group_by=group_by,
        scan=scan,
        min_power_db=min_power_db,
        max_per_class=max_windows_per_class,
    )
    longest = Counter()
    for stretch in stretches:
        longest[stretch.file] = max(longest[stretch.file], stretch.sample_count)
    short = sum(count < window_samples for count in longest.values())
    notes = notes + Counter({"has two labels": torn}) + Counter(skipped)
    notes += Counter({"recording or cut-out shorter than a window": short})
    return Dataset(
        kind=kind,
        path=path,
        store=store,
        index=np.arange(store.shape[0]),
        label=left.label,
        level_db=left.level_db,
        classes=classes,
        level_name=None,
        group=left.group,
        task=task,
        sample_rate_hz=shared_rate_hz,
        licence=licence_of(captures),
        skipped=dict(notes),
    )


def labelled_recordings(
    path: Path, *, label: str | None = None, **options: Any
) -> tuple[list[Recorded], Counter[str]]:
    """Open recordings and list their labelled parts; see `read` and `find_recordings`."""
    recordings, notes = find_recordings(path, **options)
    strict = bool(options.get("strict"))
    found = []
    for each in recordings:
        if spans := _labelled(each, label, notes, strict=strict):
            found.append((each.capture, spans))
    if recordings and not found:
        raise DatasetError(
            f"{path}: all labels lie outside the recorded bands; mend their edges, or give "
            "center_frequency_hz= or sample_rate_hz= if those of the recordings are wrong"
        )
    return found, notes


def _labelled(
    recording: Recording, label: str | None, notes: Counter[str], *, strict: bool
) -> list[Span]:
    """List the labelled parts of a recording: the annotated ones, or the whole.

    A label outside the recorded band is left out and counted in `notes`; with `strict` it is an
    error.
    """
    capture = recording.capture
    if label is not None:
        return [Span(0, capture.sample_count, label)]
    if not recording.annotations:
        return [Span(0, capture.sample_count, recording.label)]
    spans = []
    for note in recording.annotations:
        band_hz, end = None, note.first_sample + note.sample_count
        try:
            if note.band_hz is not None:
                band_hz = band_from_center(capture, note.first_sample, note.band_hz)
        except CaptureRangeError as error:
            if strict:
                raise DatasetError(str(error)) from error
            log.warning("left out: %s", error)
            notes["label outside the recorded band"] += 1
            continue
        spans.append(Span(note.first_sample, end, note.label, band_hz))
    return spans


def _stretches(
    captures: Sequence[Capture], spans: Sequence[list[Span]], classes: Sequence[str]
) -> list[Stretch]:
    """Cut spans at retunes."""
    number_of = {name: number for number, name in enumerate(classes)} | {None: UNLABELLED}
    stretches = []
    for file, (capture, inside) in enumerate(zip(captures, spans, strict=True)):
        for begin, until in tunings_of(capture):
            for span in inside:
                first, end = max(span.first, begin), min(span.end, until)
                if first < end:
                    stretches.append(Stretch(file, first, end - first, number_of[span.label]))
    return stretches


def _shared_rate(captures: Sequence[Capture]) -> float | None:
    """Return the sample rate of all recordings, None when a recording does not say its own."""
    known = [capture for capture in captures if capture.sample_rate_hz is not None]
    if not known:
        return None
    slow = min(known, key=lambda capture: capture.sample_rate_hz)
    fast = max(known, key=lambda capture: capture.sample_rate_hz)
    if fast.sample_rate_hz > slow.sample_rate_hz * (1 + _RATE_TOLERANCE):
        raise DatasetError(
            f"{slow.path} was recorded at {slow.sample_rate_hz:g} samples/s and {fast.path} at "
            f"{fast.sample_rate_hz:g}: a model cannot tell a signal from its speed; resample them "
            "to one rate, or give sample_rate_hz= if a file is wrong"
        )
    silent = next((each for each in captures if each.sample_rate_hz is None), None)
    if silent is not None:
        log.warning(
            "%s does not say its sample rate, and others do: a signal looks different at another "
            "rate; say the rate in a sidecar, or give sample_rate_hz=", silent.path,
        )  # fmt: skip
        return None
    return slow.sample_rate_hz


def licence_of(captures: Sequence[Capture]) -> str:
    """Join the licences that recordings state, by SigMF's key or by that of `to_file`."""
    keys = ("core:license", "tsddae:licence")
    stated = {str(each.metadata[key]) for each in captures for key in keys if key in each.metadata}
    stated -= {"unknown"}
    # A choice between licences is one condition.
    return " AND ".join(f"({s})" if " OR " in s else s for s in sorted(stated)) or "unknown"
