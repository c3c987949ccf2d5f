# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw IQ: a file of samples alone. Extension, name or user say how they are stored."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from gr_tsddae.iq.formats.capture import Capture, Segment, beside, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import CaptureFormatError
from gr_tsddae.iq.formats.names import told_by_name
from gr_tsddae.iq.formats.sample_format import ALIASES, NAMES, SampleFormat

_FORMAT_OF_SUFFIX = {
    **{f".{name}": name for name in NAMES},
    **{f".{alias}": name for alias, name in ALIASES.items()},
    ".cfile": "cf32",
    # inspectrum, and the .C8 and .C16 of PortaPacks
    **{f".c{bits}": f"ci{bits}" for bits in (8, 16, 32)},
    ".uc8": "cu8",
    **{f".s{bits}": f"ri{bits}" for bits in (8, 16)},
    **{".u8": "ru8", ".f32": "rf32", ".f64": "rf64"},
    # Universal Radio Hacker counts the bits of a whole sample: its complex16s is a pair of int8.
    ".complex": "cf32",
    ".complex16s": "ci8",
    ".complex16u": "cu8",
    ".complex32s": "ci16",
    ".complex32u": "cu16",
}

SUFFIXES = tuple(_FORMAT_OF_SUFFIX)

_WRITTEN = re.compile(rf"[._-]({'|'.join((*NAMES, *ALIASES))})$")  # NAME_cf32.iq
_PORTAPACK_KEYS = ("sample_rate", "center_frequency")


def open_raw(path: Path, dtype: str | None) -> Capture:
    """Open a file of samples alone.

    A PortaPack writes sample rate and centre frequency to NAME.TXT beside it, which is read.

    Args:
        path: The file.
        dtype: How samples are stored; None takes it from the extension or the name.

    Raises:
        CaptureFormatError: If nothing says how samples are stored.
        CaptureMissingError: If the file cannot be opened.
        CaptureDamagedError: If it is empty.
    """
    sample_bytes, says = check_file(path), told_by_name(path)
    notes, suffix = (), path.suffix.lower()
    if dtype is None:
        dtype = _FORMAT_OF_SUFFIX.get(suffix)
        if says and says.program == "SatDump":  # its .s8 and .s16 are complex all the same
            dtype = dtype and dtype.replace("r", "c")
    if dtype is None and (written := _WRITTEN.search(path.stem)):
        dtype = written[1]
        notes = (f"{path} is taken for {dtype} by the end of its name",)
    if dtype is None and says and says.dtype:
        dtype = says.dtype
        notes = (f"{path} is taken for {dtype} by its name, as {says.program} makes it",)
    if dtype is None:
        raise CaptureFormatError(
            f"the extension {path.suffix!r} of {path} does not say how its samples are stored; "
            f"give dtype= one of {', '.join(NAMES)}"
        )
    sample_format = SampleFormat.parse(dtype)
    (sample_count,), faults = count_samples(path, sample_format, sample_bytes)
    sidecar, rate_hz, center_hz = _portapack(path)
    if sidecar:
        told = [f"{rate_hz:.12g} samples/s"] if rate_hz else []
        told += [f"{center_hz:.12g} Hz"] if center_hz else []
        notes += (f"{sidecar} says {' at '.join(told) or 'nothing but 0'}",)
    return Capture(
        path=path,
        data_path=path,
        format=sample_format.name,
        sample_format=sample_format,
        sample_count=sample_count,
        sample_rate_hz=rate_hz,
        segments=(Segment(0, center_hz),),
        notes=notes,
        faults=faults,
    )


def _portapack(path: Path) -> tuple[Path | None, float | None, float | None]:
    """Read NAME.TXT of a PortaPack: the file if it is one, sample rate, centre frequency in Hz."""
    sidecar, text = beside(path, ".TXT"), ""
    if sidecar is None:
        return None, None, None
    with contextlib.suppress(OSError), sidecar.open("rb") as file:
        text = file.read(4096).decode("utf-8-sig", errors="replace")
    fields = dict(re.findall(r"^(sample_rate|center_frequency)\s*=\s*(\d{1,12})\s*$", text, re.M))
    rate_hz, center_hz = (float(fields.get(key, 0)) or None for key in _PORTAPACK_KEYS)
    return (sidecar if fields else None), rate_hz, center_hz
