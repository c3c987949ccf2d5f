# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF's description of a capture of any format, and its samples under the name SigMF expects.

Viewers (inspectrum, IQEngine) look for NAME.sigmf-data beside NAME.sigmf-meta, and SigMF calls a
file of nothing but samples under that name a full recording. So the samples of raw and SigMF
captures are *linked* there: no byte is copied, and every viewer opens the result. A WAV file or an
archive holds more than samples, which SigMF calls a non-conforming dataset: it is linked under its
own name, and `core:dataset`, `core:header_bytes` and `core:trailing_bytes` say where the samples
lie in it.
"""

import filecmp
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

from gr_tsddae.files import replacing
from gr_tsddae.iq.formats.capture import Capture
from gr_tsddae.iq.formats.capture_errors import CaptureError
from gr_tsddae.iq.formats.sample_format import NAMES
from gr_tsddae.iq.sigmf.write import EXTENSION, VERSION

# Formats that SigMF has a name for: all but 24-bit integers.
DATATYPES = {f"{of}{name[1:]}{order}" for name in NAMES for of in "cr" for order in ("", "_be")}

# Fields of `global` that are not copied from the capture: `global_of` sets them.
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


def samples_path(meta_path: Path, capture: Capture) -> Path:
    """Return where metadata at `meta_path` expect the samples of a capture.

    Raises:
        CaptureError: If SigMF cannot describe the file.
    """
    if capture.sample_format.name not in DATATYPES:
        raise CaptureError(
            f"{capture.path} stores samples as {capture.sample_format.name}, for which SigMF has "
            "no name; convert it to 16-bit or 32-bit samples"
        )
    if capture.q_offset_bytes:
        raise CaptureError(
            f"{capture.path} stores all I before all Q, for which SigMF has no name; "
            "save i + 1j * q"
        )
    if capture.header_bytes or capture.trailing_bytes:
        return meta_path.with_name(capture.data_path.name)
    return meta_path.with_suffix(".sigmf-data")


def global_of(capture: Capture, data_path: Path) -> dict[str, Any]:
    """Return the `global` object for a capture whose samples lie at `data_path`."""
    info = {key: value for key, value in capture.metadata.items() if key not in _NOT_COPIED}
    info["core:version"] = VERSION
    info["core:datatype"] = capture.sample_format.sigmf_datatype
    info["core:extensions"] = with_ours(capture.metadata.get("core:extensions", []))
    if capture.sample_rate_hz is not None:
        info["core:sample_rate"] = capture.sample_rate_hz
    if data_path.suffix != ".sigmf-data":
        info["core:dataset"] = data_path.name
        info["core:trailing_bytes"] = capture.trailing_bytes
    elif "core:sha512" in capture.metadata and "core:dataset" not in capture.metadata:
        info["core:sha512"] = capture.metadata["core:sha512"]
    return info


def with_ours(extensions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the extensions that a recording names, and this program's, once."""
    return [*(each for each in extensions if each["name"] != EXTENSION["name"]), EXTENSION]


def captures_of(capture: Capture) -> list[dict[str, Any]]:
    """Return the `captures` section: the segments of a capture."""
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
    starting = {entry["core:sample_start"]: entry for entry in captures}
    for before, piece in pairwise(capture.pieces):
        held = piece.first_sample - before.first_sample
        between = piece.byte - before.byte - held * capture.sample_format.bytes_per_sample
        tuning = {"core:frequency": capture.center_frequency_at(piece.first_sample)}
        entry = starting.setdefault(
            piece.first_sample,
            {"core:sample_start": piece.first_sample}
            | {key: value for key, value in tuning.items() if value is not None},
        )
        entry["core:header_bytes"] = between
    return [starting[first] for first in sorted(starting)]


def same_bytes(left: Path, right: Path) -> bool:
    """Return whether two files are one, or hold the same bytes."""
    return left.samefile(right) or filecmp.cmp(left, right, shallow=False)


def link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: hard link, else symbolic link, else copy."""
    if target.exists() and same_bytes(source, target):
        return
    target.unlink(missing_ok=True)
    for make in (os.link, os.symlink):
        try:
            make(source, target)
            return
        except OSError:  # another file system, or one without links
            continue
    with replacing(target) as partial:
        shutil.copyfile(source, partial)
