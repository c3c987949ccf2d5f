# SPDX-License-Identifier: GPL-3.0-or-later
"""SDRangel's .sdriq: a header of 32 bytes, then interleaved I and Q of 16 bits, or of 24 in 32."""

from __future__ import annotations

import struct
import zlib
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from gr_tsddae.iq.formats.capture import (
    HIGHEST_HZ,
    Capture,
    Segment,
    check_file,
    count_samples,
)
from gr_tsddae.iq.formats.capture_errors import CaptureDamagedError
from gr_tsddae.iq.formats.sample_format import SampleFormat

SUFFIX = ".sdriq"

_HEADER = struct.Struct("<IQqIII")  # rate, centre, time in ms, bits, filler, CRC of what is before
_FORMATS = {16: SampleFormat.parse("ci16"), 24: SampleFormat(np.dtype("<i4"), 0.0, 2.0**23)}
_SECONDS_UNTIL = 1e11  # times of earlier versions are in seconds


def open_sdrangel(path: Path) -> Capture:
    """Open a .sdriq file.

    Raises:
        CaptureMissingError: If the file cannot be opened.
        CaptureDamagedError: If it has no header of SDRangel, or no samples.
    """
    file_bytes = check_file(path)
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        raise CaptureDamagedError(f"{path} ends inside its header; record it again")
    rate_hz, center_hz, time, bits, _, checksum = _HEADER.unpack(head)
    if bits not in _FORMATS:
        raise CaptureDamagedError(
            f"{path} has no header of SDRangel: it names samples of {bits} bits where 16 or 24 are "
            "known; rename it and give dtype= if it is raw IQ"
        )
    counts, faults = count_samples(path, _FORMATS[bits], file_bytes - _HEADER.size)
    if checksum != zlib.crc32(head[:-4]):
        faults += (f"the header of {path} has a wrong checksum, so rate and centre may be wrong",)
    if not 0 <= center_hz <= HIGHEST_HZ:
        faults += (f"{path} names a centre frequency of {center_hz} Hz, which is ignored",)
        center_hz = 0
    if not rate_hz:
        faults += (f"{path} names a sample rate of 0 Hz, which is ignored",)
    return Capture(
        path=path,
        data_path=path,
        format=f"sdriq {bits} bit",
        sample_format=_FORMATS[bits],
        sample_count=counts[0],
        sample_rate_hz=float(rate_hz) or None,
        header_bytes=_HEADER.size,
        segments=(Segment(0, float(center_hz) or None, _utc(time)),),
        faults=faults,
    )


def _utc(time: int) -> str | None:
    """Return the ISO 8601 form of Unix time in milliseconds; None where no calendar has it."""
    try:
        moment = datetime.fromtimestamp(time / (1e3 if time > _SECONDS_UNTIL else 1), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if time > 0 else None
