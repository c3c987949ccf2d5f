# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers for the layouts of TechRec (.bin) and ICARUS (.npz, or SigMF recordings)."""

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gr_tsddae.files import creating
from gr_tsddae.iq.sigmf.write import annotation_text, new_global, write_metadata

Labelled = tuple[str, int, np.ndarray]  # label, SIR in dB, complex64 (N,)


def write_iq(path: Path, iq: np.ndarray) -> None:
    """Write complex samples as interleaved little-endian float32; see `files.creating`."""
    with creating(path, 8 * len(iq)) as partial:
        partial.write_bytes(np.ascontiguousarray(iq, "<c8"))


def write_npz(
    path: Path, recordings: Iterable[Labelled], *, windows: int, window_samples: int
) -> None:
    """Write recordings, cut into windows: X float32 (N, 2, L), y text, sir and group int64 (N,).

    The group is the recording's number: its windows share a channel, and a split may not tear them
    apart.

    Raises:
        OSError: see `files.creating`.
        ValueError: when the recordings do not hold N windows.
    """
    shape = (windows, 2, window_samples)
    y: list[str] = []
    sir: list[int] = []
    group: list[int] = []
    with (
        creating(path, 4 * windows * 2 * window_samples) as partial,
        zipfile.ZipFile(partial, "w") as archive,
    ):
        with archive.open("X.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for number, (label, sir_db, iq) in enumerate(recordings):
                cut = iq.reshape(-1, window_samples)
                file.write(np.stack((cut.real, cut.imag), axis=1).astype("<f4").tobytes())
                y += [label] * len(cut)
                sir += [sir_db] * len(cut)
                group += [number] * len(cut)
        if len(y) != windows:
            raise ValueError(f"the recordings hold {len(y)} windows; {windows} were announced")
        columns = {
            "y": np.array(y), "sir": np.array(sir, np.int64), "group": np.array(group, np.int64),
        }  # fmt: skip
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, values)


def write_sigmf(folder: Path, recordings: Iterable[Labelled], sample_rate_hz: int) -> None:
    """Write each recording as a SigMF pair whose one annotation names its label and SIR."""
    about = "synthetic LTE, with a DSSS underlay if an anomaly"
    for number, (label, sir_db, iq) in enumerate(recordings):
        meta = folder / f"{label}_sir{sir_db}_{number:04d}.sigmf-meta"
        with creating(meta) as partial:
            write_iq(meta.with_suffix(".sigmf-data"), iq)
            note = {
                "core:sample_start": 0,
                "core:sample_count": len(iq),
                "core:label": label,
                "core:comment": f"SIR {sir_db} dB",
            }
            digest = hashlib.sha512(np.ascontiguousarray(iq, "<c8")).hexdigest()
            info = new_global(sample_rate_hz, sha512=digest, description=about)
            write_metadata(partial, info, [{"core:sample_start": 0}], [annotation_text(note)])
