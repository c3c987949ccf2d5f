# SPDX-License-Identifier: GPL-3.0-or-later
"""WAV as SDR programs write it: IQ in two channels (I left, Q right), or one real channel.

The chunks are walked here, not by a library, because only the place of the samples is wanted:
`Capture` reads them. RIFF, RF64, BW64 and W64 differ in the size of their size fields. Some
recorders write many `data` chunks (KiwiSDR), a data size of 0 or 0xFFFFFFFF (one that was killed),
or one that overflowed at 4 GiB: all samples that are there are joined.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gr_tsddae.iq.formats.capture import Capture, Piece, Segment, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import CaptureDamagedError, CaptureFormatError
from gr_tsddae.iq.formats.sample_format import SampleFormat

SUFFIXES = (".wav", ".w64", ".rf64", ".bw64")

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SIZE_UNKNOWN = (0, 0xFFFFFFFF)
_MAY_BE_CUT = (b"data", b"LIST")  # as the last chunk of a file
_CHUNK_LIMIT_BYTES = 1 << 16  # more than is read of any chunk but the samples
_W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")

# PCM of 8 bits is unsigned around 128 by the definition of WAV.
_FORMATS = {
    (_PCM, 8): ("pcm8", SampleFormat(np.dtype("u1"), zero=128.0, full_scale=128.0)),
    (_PCM, 16): ("pcm16", SampleFormat.parse("ci16")),
    (_PCM, 24): ("pcm24", SampleFormat(np.dtype("V3"), zero=0.0, full_scale=2.0**31)),
    (_PCM, 32): ("pcm32", SampleFormat.parse("ci32")),
    (_FLOAT, 32): ("float32", SampleFormat.parse("cf32")),
    (_FLOAT, 64): ("float64", SampleFormat.parse("cf64")),
}


@dataclass
class _Chunks:
    """Fields of the header; sizes and places in bytes."""

    format_fields: tuple[int, int, int, int] | None = None  # tag, channels, rate, bits
    segment: Segment = field(default_factory=lambda: Segment(0))
    data: list[tuple[int, int]] = field(default_factory=list)  # start, size
    faults: list[str] = field(default_factory=list)


def open_wav(path: Path) -> Capture:
    """Open a WAV file of one or two channels (RIFF, RF64, BW64 or W64).

    Raises:
        CaptureFormatError: If it has more channels, or a sample type other than PCM of 8, 16, 24
            or 32 bits or float of 32 or 64 bits.
        CaptureMissingError: If the file cannot be opened.
        CaptureDamagedError: If it is no WAV file, or holds no samples.
    """
    file_bytes = check_file(path)
    try:
        with path.open("rb") as file:
            chunks = _walk(file, file_bytes, path)
    except struct.error as error:
        raise CaptureDamagedError(
            f"{path} ends inside its WAV header; record or copy it again"
        ) from error
    if chunks.format_fields is None or not chunks.data:
        raise CaptureDamagedError(
            f"{path} has no {'fmt' if chunks.format_fields is None else 'data'} chunk; "
            "record or copy it again"
        )
    tag, channels, rate_hz, bits = chunks.format_fields
    if channels not in (1, 2):
        raise CaptureFormatError(
            f"{path} has {channels} channels where IQ has 2 (I left, Q right) and a real signal 1; "
            "record IQ, or extract the channels of one receiver"
        )
    if (tag, bits) not in _FORMATS:
        raise CaptureFormatError(
            f"{path} stores {bits}-bit samples of WAV format {tag}, which is not supported; "
            "convert it to 16-bit PCM or 32-bit float"
        )
    name, sample_format = _FORMATS[tag, bits]
    notes = ()
    if channels == 1:
        sample_format = replace(sample_format, is_real=True)
        notes = (f"{path} has one channel: its real samples become their analytic signal",)
    if not rate_hz:
        chunks.faults.append(f"{path} names a sample rate of 0 Hz, which is ignored")
    starts, sizes = zip(*chunks.data, strict=True)
    counts, faults = count_samples(path, sample_format, *sizes)
    pieces = tuple(map(Piece, [0, *accumulate(counts)][:-1], starts))
    return Capture(
        path=path,
        data_path=path,
        format=f"wav {name}",
        sample_format=sample_format,
        sample_count=sum(counts),
        sample_rate_hz=float(rate_hz) or None,
        header_bytes=starts[0],
        trailing_bytes=file_bytes - starts[-1] - sizes[-1],
        segments=(chunks.segment,),
        pieces=pieces if len(pieces) > 1 else (),
        notes=notes,
        faults=(*chunks.faults, *faults),
    )


def _walk(file: BinaryIO, file_bytes: int, path: Path) -> _Chunks:
    """Read the chunks that describe the samples, and find the samples."""
    file.seek(0)
    head = file.read(16)
    if head == _W64_RIFF:
        file.seek(40)
    elif head[:4] in (b"RIFF", b"RF64", b"BW64") and (len(head) < 12 or head[8:12] == b"WAVE"):
        struct.unpack("<12s", head[:12])
        file.seek(12)
    else:
        raise CaptureDamagedError(
            f"{path} is not a WAV file in spite of its name; give dtype= if it is raw IQ"
        )
    chunks, ds64_data_bytes, wide = _Chunks(), None, head == _W64_RIFF
    while (found := _next_chunk(file, file_bytes, wide)) is not None:
        name, start, size = found
        if name == b"ds64":
            ds64_data_bytes = struct.unpack("<QQ", file.read(16))[1]
        elif name == b"fmt ":
            chunks.format_fields = _read_format(file.read(min(size, _CHUNK_LIMIT_BYTES)))
        elif name == b"auxi":
            chunks.segment = _read_tuning(file.read(min(size, _CHUNK_LIMIT_BYTES)))
        elif name == b"data":
            if size == 0xFFFFFFFF and ds64_data_bytes is not None:
                size, ds64_data_bytes = ds64_data_bytes, None
            there = _data_bytes(file, start, size, file_bytes, wide)
            if there != size and size not in _SIZE_UNKNOWN:
                chunks.faults.append(
                    f"{path} names {size} bytes of samples, and {there} are there, which are read"
                )
            chunks.data.append((start, there))
            size = there
        file.seek(min(_end(start, size, wide), file_bytes))  # a size may be beyond every file
    return chunks


def _next_chunk(file: BinaryIO, file_bytes: int, wide: bool) -> tuple[bytes, int, int] | None:
    """Read the header of a chunk: name, place and size of its content; None where there is none."""
    if file.tell() + (24 if wide else 8) > file_bytes:
        return None
    if wide:
        name, size = struct.unpack("<4s12xQ", file.read(24))
        return name, file.tell(), max(0, size - 24)
    name, size = struct.unpack("<4sI", file.read(8))
    return name, file.tell(), size


def _end(start: int, size: int, wide: bool) -> int:
    """Return where the next chunk begins: they are aligned to 8 bytes in W64, and to 2 in WAV."""
    return start + size + -size % (8 if wide else 2)


def _data_bytes(file: BinaryIO, start: int, size: int, file_bytes: int, wide: bool) -> int:
    """Return how many bytes of samples there are: to the end of the file unless a chunk follows."""
    end = _end(start, size, wide)
    room = file_bytes - start
    if start + size == file_bytes or end == file_bytes:
        return min(size, room)
    if end < file_bytes:
        file.seek(end)
        following = _next_chunk(file, file_bytes, wide)
        if following is not None:
            name, at, length = following
            if re.fullmatch(rb"[ -~]{4}", name) and (
                at + length <= file_bytes or name in _MAY_BE_CUT
            ):
                return size
    return room


def _read_format(chunk: bytes) -> tuple[int, int, int, int]:
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE:
        (tag,) = struct.unpack_from("<H", chunk, 24)  # the real format opens the sub-format GUID
    if channels and frame_bytes:  # 24 bits may lie in 32
        bits = 8 * frame_bytes // channels
    return tag, channels, rate_hz, bits


def _read_tuning(chunk: bytes) -> Segment:
    """Read time and frequency of an `auxi` chunk, of SDR Console (XML) or of all others.

    SpectraVue, HDSDR, SDRuno and SDR# write the start as a SYSTEMTIME. A chunk that is neither
    says nothing.
    """
    text = chunk.replace(b"\0", b"").decode("latin-1")  # XML comes as UTF-16 or as UTF-8
    if "<" in text[:4]:
        frequency = re.search(r'RadioCenterFreq="(\d{1,12})"', text)
        seconds = re.search(r'UTCSeconds="(\d{1,10})"', text)
        time = datetime.fromtimestamp(int(seconds[1]), timezone.utc) if seconds else None
        return Segment(0, float(frequency[1]) if frequency else None, _utc(time))
    if len(chunk) < 36:
        return Segment(0)
    year, month, _, day, hour, minute, second, millisecond = struct.unpack_from("<8H", chunk)
    try:
        time = datetime(year, month, day, hour, minute, second, 1000 * millisecond)
    except ValueError:
        if any(chunk[:16]):  # no SYSTEMTIME: somebody else's chunk
            return Segment(0)
        time = None  # left empty by the recorder
    (frequency_hz,) = struct.unpack_from("<I", chunk, 32)
    return Segment(0, float(frequency_hz) or None, _utc(time))


def _utc(time: datetime | None) -> str | None:
    return time and time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
