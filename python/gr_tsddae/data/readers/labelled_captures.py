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
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from gr_tsddae.data.dataset import UNLABELLED, Dataset, DatasetError
from gr_tsddae.data.readers.cutting import Stretch
from gr_tsddae.data.readers.recording_folder import Recording, find_recordings
from gr_tsddae.data.readers.recording_store import usable_windows
from gr_tsddae.iq.captures import Capture

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
        group_by: what a split must not tear apart: "block" of time, whole "recording", or "window".
        blocks: into how many blocks of time a recording's samples of one class are cut.
        scan: whether to go through all samples once and leave out windows that are silent (all 0)
            or hold NaN or infinity; without it, opening a large corpus takes no time.
        min_power_db: least mean power of a window in dB under full scale, or None.
        max_windows_per_class: keep at most so many, evenly spread over time.
        task: what the labels are for, see `Dataset`.

    Raises:
        DatasetError: if there is no recording, one cannot be read, sample rates differ, or a class
            has no window.
    """
    recordings, notes = find_recordings(
        Path(path),
        dtype=dtype,
        sample_rate_hz=sample_rate_hz,
        center_frequency_hz=center_frequency_hz,
    )
    captures = [recording.capture for recording in recordings]
    shared_rate_hz = _shared_rate(captures)
    labelled = [_labelled(recording, label) for recording in recordings]
    classes = tuple(sorted({name for spans in labelled for _, _, name in spans if name}))
    stretches, torn = _stretches(captures, labelled, classes, window_samples)
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
    notes = notes + Counter({"has two labels": torn}) + Counter(skipped)
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
        licence=_licence(captures),
        skipped=dict(notes),
    )


# First sample, end, and label (None where nobody gave one).
_Span = tuple[int, int, str | None]


def _labelled(recording: Recording, label: str | None) -> list[_Span]:
    """List the labelled parts of a recording: the annotated ones, or the whole."""
    whole = (0, recording.capture.sample_count)
    if label is not None:
        return [(*whole, label)]
    if recording.annotations:
        return [
            (each.first_sample, each.first_sample + each.sample_count, each.label)
            for each in recording.annotations
        ]
    return [(*whole, recording.label)]


def _stretches(
    captures: Sequence[Capture],
    labelled: Sequence[list[_Span]],
    classes: Sequence[str],
    window_samples: int,
) -> tuple[list[Stretch], int]:
    """Cut spans at overlaps and retunes, and count the windows lost where two labels overlap."""
    number_of = {name: number for number, name in enumerate(classes)} | {None: UNLABELLED}
    stretches, torn_samples = [], 0
    for file, (capture, spans) in enumerate(zip(captures, labelled, strict=True)):
        clear, torn = _without_conflicts(spans)
        torn_samples += torn
        retunes = sorted({segment.first_sample for segment in capture.segments})
        for first, end, name in clear:
            inside = [sample for sample in retunes if first < sample < end]
            for a, b in zip([first, *inside], [*inside, end], strict=True):
                stretches.append(Stretch(file, a, b - a, number_of[name]))
    return stretches, -(-torn_samples // max(1, window_samples))


def _without_conflicts(spans: Sequence[_Span]) -> tuple[list[_Span], int]:
    """Join overlapping spans of one label; take out, and count, samples that have two labels.

    Spans that only touch stay apart: each is an event of its own.
    """
    joined: list[_Span] = []
    for first, end, name in sorted(spans, key=lambda span: (str(span[2]), span[0], span[1])):
        if joined and joined[-1][2] == name and first < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), name)
        else:
            joined.append((first, end, name))
    changes = Counter({sample: 0 for first, end, _ in joined for sample in (first, end)})
    for first, end, _ in joined:
        changes[first] += 1
        changes[end] -= 1
    contested: list[tuple[int, int]] = []
    depth, previous = 0, 0
    for sample in sorted(changes):
        if depth > 1:
            contested.append((previous, sample))
        depth, previous = depth + changes[sample], sample
    clear: list[_Span] = []
    for first, end, name in sorted(joined, key=lambda span: span[0]):
        for a, b in contested:
            if a >= end or b <= first:
                continue
            if a > first:
                clear.append((first, a, name))
            first = b
        if first < end:
            clear.append((first, end, name))
    return clear, sum(b - a for a, b in contested)


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
    return slow.sample_rate_hz if len(known) == len(captures) else None


def _licence(captures: Sequence[Capture]) -> str:
    """Join the licences that recordings state, by SigMF's key or by that of `to_file`."""
    keys = ("core:license", "tsddae:licence")
    stated = {str(each.metadata[key]) for each in captures for key in keys if key in each.metadata}
    stated -= {"unknown"}
    # A choice between licences is one condition.
    return " AND ".join(f"({s})" if " OR " in s else s for s in sorted(stated)) or "unknown"
