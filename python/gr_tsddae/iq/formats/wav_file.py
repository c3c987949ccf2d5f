# SPDX-License-Identifier: GPL-3.0-or-later
"""IQ WAV: two channels, I left and Q right, as SDR programs write them.

The RIFF chunks are walked here, not by a library, because only the place of the samples is wanted:
`Capture` reads them. A recorder that was killed leaves a data size of 0 or 0xFFFFFFFF; the samples
then reach to the end of the file.
"""

from __future__ import annotations

import datetime
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gr_tsddae.iq.formats.capture import Capture, Segment, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import CaptureDamagedError, CaptureFormatError
from gr_tsddae.iq.formats.sample_format import SampleFormat

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SIZE_UNKNOWN = (0, 0xFFFFFFFF)
_CHUNK_LIMIT_BYTES = 256  # more than is read of any chunk but the samples

# PCM of 8 bits is unsigned around 128 by the definition of WAV.
_FORMATS = {
    (_PCM, 8): ("pcm8", SampleFormat(np.dtype("u1"), zero=128.0, full_scale=128.0)),
    (_PCM, 16): ("pcm16", SampleFormat.parse("ci16")),
    (_PCM, 32): ("pcm32", SampleFormat.parse("ci32")),
    (_FLOAT, 32): ("float32", SampleFormat.parse("cf32")),
    (_FLOAT, 64): ("float64", SampleFormat.parse("cf64")),
}


@dataclass
class _Chunks:
    """Fields of the header; sizes and places in bytes."""

    format_fields: tuple[int, int, int, int] | None = None  # tag, channels, rate, bits
    segment: Segment = field(default_factory=lambda: Segment(0))
    data_start: int | None = None
    data_bytes: int = 0


def open_wav(path: Path) -> Capture:
    """Open an IQ WAV file (RIFF or RF64).

    Raises:
        CaptureFormatError: If it has not two channels, or a sample type other than PCM of 8, 16 or
            32 bits or float of 32 or 64 bits.
        CaptureMissingError: If the file cannot be opened.
        CaptureDamagedError: If it is no WAV file, or holds no whole number of samples.
    """
    file_bytes = check_file(path)
    try:
        with path.open("rb") as file:
            chunks = _walk(file, file_bytes, path)
    except struct.error as error:
        raise CaptureDamagedError(
            f"{path} ends inside its WAV header; record or copy it again"
        ) from error
    if chunks.format_fields is None or chunks.data_start is None:
        raise CaptureDamagedError(
            f"{path} has no {'fmt' if chunks.format_fields is None else 'data'} chunk; "
            "record or copy it again"
        )
    tag, channels, sample_rate_hz, bits = chunks.format_fields
    if channels != 2:
        raise CaptureFormatError(
            f"{path} has {channels} channel{'s' if channels != 1 else ''} where IQ needs 2 "
            "(I left, Q right); record IQ instead of demodulated audio"
        )
    if (tag, bits) not in _FORMATS:
        raise CaptureFormatError(
            f"{path} stores {bits}-bit samples of WAV format {tag}, which is not supported; "
            "convert it to 16-bit PCM or 32-bit float"
        )
    name, sample_format = _FORMATS[tag, bits]
    return Capture(
        path=path,
        data_path=path,
        format=f"wav {name}",
        sample_format=sample_format,
        sample_count=count_samples(chunks.data_bytes, sample_format, path),
        sample_rate_hz=float(sample_rate_hz),
        header_bytes=chunks.data_start,
        trailing_bytes=file_bytes - chunks.data_start - chunks.data_bytes,
        segments=(chunks.segment,),
    )


def _walk(file: BinaryIO, file_bytes: int, path: Path) -> _Chunks:
    """Read the chunks before the samples, and find the samples."""
    riff, _, wave = struct.unpack("<4sI4s", file.read(12))
    if riff not in (b"RIFF", b"RF64") or wave != b"WAVE":
        raise CaptureDamagedError(
            f"{path} is not a WAV file in spite of its name; give dtype= if it is raw IQ"
        )
    chunks, rf64_data_bytes = _Chunks(), None
    while file.tell() + 8 <= file_bytes:
        name, size = struct.unpack("<4sI", file.read(8))
        start = file.tell()
        if name == b"ds64":
            rf64_data_bytes = struct.unpack("<QQ", file.read(16))[1]
        elif name == b"fmt ":
            chunks.format_fields = _read_format(file.read(min(size, _CHUNK_LIMIT_BYTES)))
        elif name == b"auxi":
            chunks.segment = _read_tuning(file.read(min(size, _CHUNK_LIMIT_BYTES)))
        elif name == b"data":
            room = file_bytes - start
            if size == 0xFFFFFFFF and rf64_data_bytes is not None:
                size = rf64_data_bytes
            chunks.data_start = start
            chunks.data_bytes = room if size in _SIZE_UNKNOWN or size > room else size
            return chunks
        file.seek(start + size + size % 2)
    return chunks


def _read_format(chunk: bytes) -> tuple[int, int, int, int]:
    tag, channels, sample_rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE:
        (tag,) = struct.unpack_from("<H", chunk, 24)  # the real format opens the sub-format GUID
    return tag, channels, sample_rate_hz, bits


def _read_tuning(chunk: bytes) -> Segment:
    """Parse the `auxi` chunk of SpectraVue, HDSDR, SDRuno and SDR#: time and frequency."""
    if len(chunk) < 36:
        return Segment(0)
    year, month, _, day, hour, minute, second, millisecond = struct.unpack_from("<8H", chunk)
    (frequency_hz,) = struct.unpack_from("<I", chunk, 32)
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second, 1000 * millisecond)
        time = moment.isoformat(timespec="milliseconds") + "Z"
    except ValueError:  # left empty by the recorder
        time = None
    return Segment(0, frequency_hz=float(frequency_hz) if frequency_hz else None, datetime=time)
