# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a dataset as a SigMF recording, which any File Source or SigMF Source replays.

Both files are written slice by slice under temporary names, and renamed when complete.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gr_tsddae.data.dataset import Dataset, DatasetError
from gr_tsddae.data.selection import as_complex, truth_of
from gr_tsddae.files import json_text, replacing
from gr_tsddae.iq.sigmf.write import meta_path, new_global, write_metadata

_SLICE_SAMPLES = 1 << 20  # 8 MiB at a time


def write_recording(
    dataset: Dataset,
    out: Path,
    *,
    sample_rate_hz: float | None = None,
    gain: float = 1.0,
    merge: bool = False,
    progress: Callable[[int], None] = lambda windows: None,
) -> Path:
    """Write OUT.sigmf-data (cf32_le) and OUT.sigmf-meta, windows back to back in their order.

    Each window has an annotation: `core:label`, the level as `tsddae:snr_db` and in
    `core:comment`, its number in the dataset's file as `tsddae:window`. A field that is
    not known is left out, and so is the annotation of a window without a label.

    Args:
        dataset: at least one window.
        out: with or without a SigMF suffix; its folder is made.
        sample_rate_hz: for `core:sample_rate`, which is left out when None.
        gain: that samples are multiplied with.
        merge: one annotation for neighbours of the same label and level; without numbers.
        progress: called with the number of windows of each slice that is written.

    Returns:
        The path of OUT.sigmf-meta.

    Raises:
        DatasetError: one of the files exists, cannot be written, or an argument makes no sense.
    """
    if sample_rate_hz is not None and not 0 < sample_rate_hz < float("inf"):
        raise DatasetError(f"the rate is {sample_rate_hz} Hz: it must be above 0")
    if not 0 < abs(gain) < float("inf"):
        raise DatasetError(f"the gain is {gain}: it must be finite and not 0")
    meta = meta_path(out)
    data = meta.with_suffix(".sigmf-data")
    for path in (data, meta):
        if path.exists():
            raise DatasetError(f"{path} exists and is not overwritten: choose another name")
    try:
        meta.parent.mkdir(parents=True, exist_ok=True)
        # The samples come last and are there first: metadata alone would be no recording.
        with replacing(meta) as new_meta, replacing(data) as new_data:
            checksum = _write_samples(dataset, new_data, gain, progress)
            about = f"{dataset.kind} windows of {dataset.window_samples} samples, "
            about += f"{len(dataset)} of {Path(dataset.path).name}"
            info = new_global(sample_rate_hz, sha512=checksum, description=about)
            info["tsddae:window_samples"] = dataset.window_samples
            info["tsddae:licence"] = dataset.licence
            annotations = map(json_text, _annotations(dataset, merge))
            write_metadata(new_meta, info, [{"core:sample_start": 0}], annotations)
    except OSError as error:
        raise DatasetError(f"{meta} cannot be written: {error.strerror or error}") from error
    return meta


def _write_samples(
    dataset: Dataset, path: Path, gain: float, progress: Callable[[int], None]
) -> str:
    """Write the samples; return their SHA-512."""
    step = max(1, _SLICE_SAMPLES // dataset.window_samples)
    digest = hashlib.sha512()
    with path.open("wb") as file:
        for start in range(0, len(dataset), step):
            rows = dataset.rows(slice(start, start + step))
            samples = as_complex(rows, gain).astype("<c8", copy=False)
            file.write(samples)
            digest.update(samples)
            progress(len(rows))
    return digest.hexdigest()


def _annotations(dataset: Dataset, merge: bool) -> Iterator[dict[str, Any]]:
    # No core:generator: that is how a model's own opinion is told from the truth.
    samples = dataset.window_samples
    start = 0
    while start < len(dataset):
        label, level_db = truth_of(dataset, start)
        end = start + 1
        while merge and end < len(dataset) and truth_of(dataset, end) == (label, level_db):
            end += 1
        if label is not None:
            annotation = {
                "core:sample_start": start * samples,
                "core:sample_count": (end - start) * samples,
                "core:label": label,
            }
            if level_db is not None:
                annotation["core:comment"] = f"{dataset.level_name} {level_db} dB"
                annotation["tsddae:snr_db"] = level_db
            if not merge:
                annotation["tsddae:window"] = int(dataset.index[start])
            yield annotation
        start = end
