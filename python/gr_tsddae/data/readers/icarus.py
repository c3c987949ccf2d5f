# SPDX-License-Identifier: GPL-3.0-or-later
"""ICARUS: LTE with and without a DSSS underlay, at signal-to-interference ratios of 0, 5, 10 dB.

Three layouts are read. Known from the programs that read the published synthetic set:

    IQ/OnlyLTE_frame_1                       two int32 (2, N), then N pairs of float32 I, Q
    IQ/Combined_LTE_DSSS_frame_103           no extension
    Metadata/OnlyLTE_frame_1.csv             one row; Signal_Type (LTE or LTE_DSSS),
    Metadata/Combined_LTE_DSSS_frame_103.csv LTE_SR, LTE_SNR_dB, LTE_DSSS_SIR_dB (empty for LTE)

Its files differ in sample rate (7.68, 15.36 and 30.72 MHz), and longer ones give more windows.
Assumed, since those who convert the set do it in their own ways:

* a folder of SigMF recordings; "LTE" or "normal", or "DSSS" or "anomaly", and "SIR 5 dB" are said
  by an annotation (label, comment, description), else by the path, else by the global object;
* an .npz with X (as of the kind npz), y ("normal", "anomaly", or 0 and 1) and sir (N,);
  and group (N,), if it has one: number or name of the recording each window is from.

The over-the-air sets, which say the same in numbered names and tables, are not read.

A normal window has no SIR. It keeps one that the data give it (the recording it is paired with);
else the normal windows are dealt to the SIRs in turn, so that each SIR has normal windows of its
own to be told from: the paper's AUC per SIR needs both classes at each.
"""

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from gr_tsddae.data.dataset import Dataset, DatasetError, MemoryStore, usable
from gr_tsddae.data.readers.cutting import Stretch
from gr_tsddae.data.readers.icarus_folder import CLASSES, NO_SIR, annotated, label_of, released
from gr_tsddae.data.readers.npz import as_rows, load_npz
from gr_tsddae.data.readers.recording_store import usable_windows
from gr_tsddae.iq.captures import CaptureError

_ARRAYS = ("X", "y", "sir", "group")


def read(
    kind: str,
    path: str,
    *,
    window_samples: int = 1024,
    group_by: str = "block",
    blocks: int = 10,
    max_windows_per_class: int | None = None,
) -> Dataset:
    """Open an ICARUS folder or archive; `level_db` is the SIR.

    Args:
        kind: name of this format.
        path: a folder with IQ and Metadata, a folder of SigMF recordings, or an .npz.
        window_samples: L; an .npz must hold windows of this length.
        group_by: what a split must not tear apart: "block" of time, "recording", or "window".
            The array group of an .npz says it; without it, windows are taken as independent.
        blocks: into how many blocks of time a recording is cut.
        max_windows_per_class: keep at most so many, evenly spread; of an .npz all are kept.

    Raises:
        DatasetError: a recording does not say its class, or nothing can be read.
    """
    if path.lower().endswith(".npz") or zipfile.is_zipfile(path):  # whatever it is called
        return _read_npz(kind, path, window_samples)
    folder = Path(path)
    if not folder.is_dir():
        raise DatasetError(f"{path} is neither a folder nor an .npz; give one of them")
    notes: Counter[str] = Counter()
    try:
        if (folder / "IQ").is_dir() and (folder / "Metadata").is_dir():
            signals = list(released(folder))
        else:
            signals = list(annotated(folder, notes))
    except CaptureError as error:
        raise DatasetError(f"{path} cannot be used: {error}") from error
    if not signals:
        raise DatasetError(
            f"{path} holds no ICARUS recording; it needs IQ/ and Metadata/, or .sigmf-meta files"
        )
    captures = list({signal.capture.path: signal.capture for signal in signals}.values())
    number_of = {capture.path: number for number, capture in enumerate(captures)}
    store, left, skipped = usable_windows(
        captures,
        [
            Stretch(
                number_of[each.capture.path],
                each.first_sample,
                each.sample_count,
                each.label,
                each.level_db,
            )
            for each in signals
        ],
        path=path,
        classes=CLASSES,
        window_samples=window_samples,
        blocks=blocks,
        group_by=group_by,
        max_per_class=max_windows_per_class,
    )
    return Dataset(
        kind=kind,
        path=path,
        store=store,
        index=np.arange(store.shape[0]),
        label=left.label,
        level_db=_deal(left.label, left.level_db),
        classes=CLASSES,
        level_name="SIR",
        group=left.group,
        task="anomaly",
        skipped=dict(notes + Counter(skipped)),
    )


def _deal(label: np.ndarray, level_db: np.ndarray) -> np.ndarray:
    """Give the anomalies' SIRs, in turn, to normal windows without one: int64 (N,)."""
    without = np.flatnonzero(level_db == NO_SIR)
    sirs_db = np.unique(level_db[label == CLASSES.index("anomaly")])
    if not len(sirs_db):  # nothing but normal windows, to learn what is normal
        sirs_db = np.zeros(1, np.int64)
    dealt = level_db.copy()
    dealt[without] = sirs_db[np.arange(len(without)) % len(sirs_db)]
    return dealt


def _read_npz(kind: str, path: str, window_samples: int) -> Dataset:
    arrays = load_npz(path, _ARRAYS)
    if missing := set(_ARRAYS) - {"group"} - set(arrays):
        raise DatasetError(f"{path} lacks {', '.join(sorted(missing))}; it needs X, y and sir")
    rows, names, sir_db = as_rows(path, arrays["X"]), arrays["y"], arrays["sir"]
    if rows.shape[2] != window_samples:
        raise DatasetError(
            f"{path} holds windows of {rows.shape[2]} samples; give window_samples={rows.shape[2]}"
        )
    if names.shape != (len(rows),) or sir_db.shape != (len(rows),):
        raise DatasetError(
            f"{path}: y has the shape {names.shape} and sir {sir_db.shape}; "
            f"{len(rows)} windows need one of each"
        )
    group = arrays.get("group")
    if group is not None and (group.shape != (len(rows),) or group.dtype.kind not in "iuU"):
        raise DatasetError(
            f"{path}: group is {group.dtype} {group.shape}; it must be whole numbers or text "
            f"({len(rows)},), the recording of each window"
        )
    if names.dtype.kind == "U":
        held, which = np.unique(names, return_inverse=True)
        label = np.array([label_of(name, f"{path}: y={name!r}") for name in held.tolist()])[which]
    elif names.dtype.kind in "biu" and np.isin(names, (0, 1)).all():
        label = names.astype(np.int64)
    else:
        raise DatasetError(f"{path}: y is neither text nor 0 and 1; it must say normal or anomaly")
    known = np.isfinite(sir_db.astype(np.float64))
    if (~known & (label == CLASSES.index("anomaly"))).any():
        raise DatasetError(f"{path} has anomalies without an SIR; give sir for each of them")
    level_db = np.where(known, np.rint(np.where(known, sir_db, 0)), 0).astype(np.int64)
    level_db[~known] = NO_SIR
    keep, skipped = usable(rows)
    if not keep.any():
        raise DatasetError(f"{path} holds no usable window ({skipped})")
    return Dataset(
        kind=kind,
        path=path,
        store=MemoryStore(rows),
        index=np.flatnonzero(keep),
        label=label[keep],
        level_db=_deal(label[keep], level_db[keep]),
        classes=CLASSES,
        level_name="SIR",
        group=None if group is None else np.unique(group[keep], return_inverse=True)[1],
        task="anomaly",
        skipped=skipped,
    )
