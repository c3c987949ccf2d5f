# SPDX-License-Identifier: GPL-3.0-or-later
"""WAV as SDR programs write it: IQ in two channels (I left, Q right), or one real channel.

The chunks are walked here, not by a library, because only the place of the samples is wanted:
`Capture` reads them. RIFF, RF64, BW64 and W64 differ in the size of their size fields, and RIFX has
big-endian numbers. Some recorders write many `data` chunks (KiwiSDR), a data size of 0 or
0xFFFFFFFF (one that was killed), one that overflowed at 4 GiB, or no padding behind chunks of odd
size: all samples that are there are joined. Bytes that belong to no chunk are told and left out.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from gr_tsddae.iq.formats.capture import Capture, Piece, Segment, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import CaptureDamagedError, CaptureFormatError
from gr_tsddae.iq.formats.sample_format import SampleFormat

SUFFIXES = (".wav", ".w64", ".rf64", ".bw64")

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SIZE_UNKNOWN = (0, 0xFFFFFFFF)
_MAY_BE_CUT = (b"data", b"LIST")  # as the last chunk of a file
_KINDS = (b"RIFF", b"RF64", b"BW64", b"RIFX")
_USUAL = {b"fmt ", b"data", b"LIST", b"auxi"}  # in files of most programs
_CHUNK_LIMIT_BYTES = 1 << 16  # more than is read of any chunk but the samples
_JUNK_LIMIT_BYTES = 1 << 16  # most that lies between two chunks, or behind the last
_YEARS = range(1970, 2200)  # of a recording; a number outside shows that a chunk holds no time
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

    big_endian: bool = False
    format_fields: tuple[int, int, int, int] | None = None  # tag, channels, rate, bits
    segment: Segment = field(default_factory=lambda: Segment(0))
    data: list[tuple[int, int]] = field(default_factory=list)  # start, size
    faults: list[str] = field(default_factory=list)


class _Layout(NamedTuple):
    """How a file writes its chunks.

    Attributes:
        order: Of the bytes in a number, for `struct`: "<" or ">".
        wide: Whether names have 16 bytes and sizes 8, as in W64.
        large: Sizes that `ds64` gives for chunks whose own size field is 0xFFFFFFFF, by name; that
            of the whole file is under RIFF, whatever says it.
        seen: Names of chunks that came.
    """

    order: str
    wide: bool
    large: dict[bytes, int]
    seen: set[bytes]


def open_wav(path: Path) -> Capture:
    """Open a WAV file of one or two channels (RIFF, RIFX, RF64, BW64 or W64).

    Raises:
        CaptureFormatError: If it has more channels, or a sample type other than PCM of 8, 16, 24
            or 32 bits or float of 32 or 64 bits.
        CaptureMissingError: If the file cannot be opened.
        CaptureDamagedError: If it is no WAV file, or holds no samples.
    """
    file_bytes = check_file(path)
    if not file_bytes:
        raise CaptureDamagedError(f"{path} is empty; record it again")
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
    notes = ()
    if tag == _EXTENSIBLE:
        tag = _guess_tag(path, bits, *chunks.data[0], "<>"[chunks.big_endian])
        kind = "float" if tag == _FLOAT else "PCM"
        notes = (f"{path} does not say whether it is PCM or float: it is taken for {kind}",)
    if (tag, bits) not in _FORMATS:
        raise CaptureFormatError(
            f"{path} stores {bits}-bit samples of WAV format {tag}, which is not supported; "
            "convert it to 16-bit PCM or 32-bit float"
        )
    name, sample_format = _FORMATS[tag, bits]
    if chunks.big_endian:
        sample_format = sample_format.big_endian()
    if channels == 1:
        sample_format = replace(sample_format, is_real=True)
        notes += (f"{path} has one channel: its real samples become their analytic signal",)
    if not rate_hz:
        chunks.faults.append(f"{path} names a sample rate of 0 Hz, which is ignored")
    starts, sizes = zip(*chunks.data, strict=True)
    counts, faults = count_samples(path, sample_format, *sizes)
    sample_bytes = sample_format.bytes_per_sample
    if torn := sum(size % sample_bytes > 0 for size in sizes[:-1]):
        faults = (
            f"{path} has {torn} data chunks that end inside a sample of {sample_bytes} bytes; what "
            "is left over of each is left out",
        )
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
    layout = _layout(file, path)
    chunks = _Chunks(big_endian=layout.order == ">")
    while (found := _next_chunk(file, file_bytes, layout)) is not None:
        name, start, size = found
        if size == 0xFFFFFFFF:
            size = layout.large.pop(name, size)
        content = b""
        if name in (b"ds64", b"fmt ", b"auxi"):
            content = file.read(min(size, _CHUNK_LIMIT_BYTES))
        if name == b"ds64":
            layout.large.update(_large_sizes(content))
        elif name == b"fmt ":
            told, wrong = _read_format(content, layout.order)
            if chunks.format_fields not in (None, told):
                told, wrong = (
                    chunks.format_fields,
                    "says twice how it stores samples, and the first",
                )
                wrong += " is taken"
            chunks.format_fields = told
            chunks.faults += [f"{path} {wrong}"] if wrong else []
        elif name == b"auxi":
            chunks.segment = _read_tuning(content)
        elif name == b"data":
            there = _data_bytes(file, start, size, file_bytes, layout)
            if there != size and size not in _SIZE_UNKNOWN:
                chunks.faults.append(
                    f"{path} names {size} bytes of samples, and {there} are there, which are read"
                )
            chunks.data.append((start, there))
            size = there
        elif name in _KINDS:
            chunks.faults.append(
                f"{path} is followed by another WAV file of {size + 8} bytes, which is left out"
            )
        layout.seen.add(name)
        what = name.decode("latin-1").strip()
        end = min(_end(file, start, size, file_bytes, layout), file_bytes)
        is_cut = start + size > file_bytes
        if is_cut and not chunks.data:  # perhaps its size is wrong
            end = start
        at = _next_at(file, end, file_bytes, layout)
        if is_cut:
            told = f"ends inside its chunk {what!r} of {size} bytes"
            if at not in (None, file_bytes):
                told = f"names {size} bytes in its chunk {what!r}, in which another begins"
            chunks.faults.append(f"{path} {told}")
        elif at != end:
            junk_bytes = (at or file_bytes) - end
            chunks.faults.append(
                f"{path} has {junk_bytes} bytes behind its chunk {what!r} that belong to no chunk, "
                "which are left out"
            )
        file.seek(at or file_bytes)
    return chunks


def _layout(file: BinaryIO, path: Path) -> _Layout:
    """Tell by the first bytes how a file writes its chunks, and go to the first chunk."""
    file.seek(0)
    head = file.read(16)
    if head == _W64_RIFF:
        (size,) = struct.unpack("<Q", file.read(8))
        file.seek(40)
        return _Layout("<", True, {b"RIFF": size - 8}, set())
    if head[:4] not in _KINDS or (len(head) >= 12 and head[8:12] != b"WAVE"):
        raise CaptureDamagedError(
            f"{path} is not a WAV file in spite of its name; rename it and give dtype= if it is "
            "raw IQ"
        )
    order = ">" if head[:4] == b"RIFX" else "<"
    size, _ = struct.unpack(order + "4xI4s", head[:12])
    file.seek(12)
    return _Layout(order, False, {b"RIFF": size}, set())


def _next_chunk(file: BinaryIO, file_bytes: int, layout: _Layout) -> tuple[bytes, int, int] | None:
    """Read the header of a chunk: name, place and size of its content; None where there is none."""
    if file.tell() + (24 if layout.wide else 8) > file_bytes:
        return None
    if layout.wide:
        name, size = struct.unpack("<4s12xQ", file.read(24))
        return name, file.tell(), max(0, size - 24)
    name, size = struct.unpack(layout.order + "4sI", file.read(8))
    return name, file.tell(), size


def _large_sizes(ds64: bytes) -> dict[bytes, int]:
    """Return the sizes that a `ds64` chunk gives: of all, of `data`, and those in its table."""
    file_bytes, data_bytes = struct.unpack_from("<QQ", ds64)
    table = ds64[28 : len(ds64) - (len(ds64) - 28) % 12]
    return {b"RIFF": file_bytes, b"data": data_bytes, **dict(struct.iter_unpack("<4sQ", table))}


def _end(file: BinaryIO, start: int, size: int, file_bytes: int, layout: _Layout) -> int:
    """Return where the next chunk begins: they are aligned to 8 bytes in W64, and to 2 in WAV.

    Some programs write no byte of padding in WAV. Then a chunk begins where it would be.
    """
    end = start + size + -size % (8 if layout.wide else 2)
    if layout.wide or not size % 2 or end > file_bytes:
        return end
    file.seek(end - 1)
    names = file.read(5)
    known = layout.seen | _USUAL
    if (names[:4] in known) != (names[1:] in known):
        return end - 1 if names[:4] in known else end
    padded = _is_chunk(file, end, file_bytes, layout)
    return end - 1 if not padded and _is_chunk(file, end - 1, file_bytes, layout) else end


def _is_chunk(file: BinaryIO, at: int, file_bytes: int, layout: _Layout) -> bool:
    """Tell by name and size whether a chunk begins at a byte; the file may end inside it."""
    file.seek(at)
    found = _next_chunk(file, file_bytes, layout)
    if found is None:
        return re.fullmatch(rb"[ -~]{1,4}", file.read(4)) is not None
    name, start, size = found
    if re.fullmatch(rb"[ -~]{4}", name) is None:  # then it must end where a chunk may
        file.seek(min(start + size + size % 2, file_bytes))
        return start + size == file_bytes or file.read(4) in _USUAL
    return start + size <= file_bytes or name in {*_MAY_BE_CUT, *layout.seen, *layout.large}


def _next_at(file: BinaryIO, end: int, file_bytes: int, layout: _Layout) -> int | None:
    """Return where a chunk begins at or behind the end of another; None where there is none."""
    if end == file_bytes or _is_chunk(file, end, file_bytes, layout):
        return end
    file.seek(end)
    near = file.read(_JUNK_LIMIT_BYTES)
    names = b"|".join(map(re.escape, sorted(layout.seen | _USUAL)))
    for found in re.finditer(names, near):
        file.seek(end + found.start())
        chunk = _next_chunk(file, file_bytes, layout)
        if chunk and (chunk[1] + chunk[2] <= file_bytes or chunk[2] == 0xFFFFFFFF):
            return end + found.start()
    return None


def _data_bytes(file: BinaryIO, start: int, size: int, file_bytes: int, layout: _Layout) -> int:
    """Return how many bytes of samples there are.

    That is what the chunk says where another one follows it, and else all to the end of the file,
    but for a little behind the end that the file names, or a little of nothing but zeros.
    """
    end = _end(file, start, size, file_bytes, layout)
    room = file_bytes - start
    if start + size == file_bytes or end >= file_bytes:
        return min(size, room)
    if size in _SIZE_UNKNOWN:
        return size if _is_chunk(file, end, file_bytes, layout) else room
    if _next_at(file, end, file_bytes, layout) is not None:
        return size
    rest_bytes = file_bytes - end
    if rest_bytes <= min(size, _JUNK_LIMIT_BYTES):
        named_end = 8 + layout.large.get(b"RIFF", 0)
        file.seek(end)
        if abs(named_end - end) <= 8 or not any(file.read(rest_bytes)):
            return size
    return room


def _read_format(chunk: bytes, order: str) -> tuple[tuple[int, int, int, int], str]:
    """Return tag, channels, rate and bits of a number in the file, and what is wrong with them."""
    fields = struct.unpack_from(order + "HHIIHH", chunk.ljust(16, b"\0") if chunk[13:] else chunk)
    tag, channels, rate_hz, second_bytes, frame_bytes, bits = fields
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        # It opens the sub-format GUID.
        tag = struct.unpack_from(order + "H", chunk, 24)[0] or _EXTENSIBLE
    told = (tag, channels, rate_hz, bits)
    plain_bytes = channels * bits // 8
    if not channels or frame_bytes == plain_bytes:
        return told, ""
    if frame_bytes > plain_bytes and second_bytes != rate_hz * plain_bytes:
        return (tag, channels, rate_hz, 8 * frame_bytes // channels), ""  # 24 bits may lie in 32
    return told, (
        f"names {bits} bits for each of {channels} channels, but {frame_bytes} bytes for all; it "
        f"is read as {bits} bits"
    )


def _guess_tag(path: Path, bits: int, start: int, size: int, order: str) -> int:
    """Tell PCM and float apart where an extensible header lacks its second part."""
    if bits != 32:
        return _FLOAT if bits == 64 else _PCM
    with path.open("rb") as file:
        file.seek(start)
        numbers = np.frombuffer(file.read(min(size, _CHUNK_LIMIT_BYTES) // 4 * 4), order + "f4")
    # Integers read as float are tiny (small ones), NaN (small negative ones) or huge.
    used = np.abs(numbers[numbers != 0])
    return _FLOAT if len(used) and used.max() < 1e6 and np.median(used) > 1e-12 else _PCM


def _read_tuning(chunk: bytes) -> Segment:
    """Read time and frequency of an `auxi` chunk, of SDR Console (XML) or of all others.

    SpectraVue, HDSDR, SDRuno and SDR# write the start as a SYSTEMTIME. A chunk that is neither
    says nothing.
    """
    text = chunk.replace(b"\0", b"").decode("latin-1")  # XML comes as UTF-16 or as UTF-8
    if text.lstrip("\xef\xbb\xbf\xfe\xff \t\r\n").startswith("<"):
        frequency_hz = float(_attribute(text, "RadioCenterFreq", r"\d{1,12}(?:\.\d*)?") or 0)
        return Segment(0, frequency_hz or None, _utc(_time_of_xml(text)))
    if len(chunk) < 36:
        return Segment(0)
    year, month, _, day, hour, minute, second, millisecond = struct.unpack_from("<8H", chunk)
    time = None  # left empty by the recorder
    if any(chunk[:16]):
        try:
            time = datetime(year, month, day, hour, minute, second, 1000 * millisecond)
        except ValueError:
            year = 0
        if year not in _YEARS:  # no SYSTEMTIME: somebody else's chunk
            return Segment(0)
    (frequency_hz,) = struct.unpack_from("<I", chunk, 32)
    return Segment(0, float(frequency_hz) or None, _utc(time))


def _attribute(text: str, name: str, pattern: str) -> str | None:
    """Return the value of an attribute in XML, where it has a form."""
    found = re.search(rf"""\b{name}\s*=\s*["']({pattern})["']""", text)
    return found and found[1]


def _time_of_xml(text: str) -> datetime | None:
    """Return the start that SDR Console writes, as Unix time or as a date, day first."""
    if seconds := _attribute(text, "UTCSeconds", r"\d{1,10}"):
        return datetime.fromtimestamp(int(seconds), timezone.utc)
    try:
        return datetime.strptime(_attribute(text, "UTC", r"[-: \d]+") or "", "%d-%m-%Y %H:%M:%S")
    except ValueError:
        return None


def _utc(time: datetime | None) -> str | None:
    return time and time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
