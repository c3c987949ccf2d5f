# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of GNU Radio's File Meta Sink: samples with headers among them, or in NAME.hdr.

A header gives the type, rate, time and byte count of the samples that follow it. It is a dictionary
in GNU Radio's serialised form (PMT). A second dictionary holds tags such as rx_freq. The sink
writes a header for every tag and after a million samples. Each header starts a segment.
"""

from __future__ import annotations

import datetime
import math
import os
import struct
from itertools import accumulate
from pathlib import Path
from typing import Any

from gr_tsddae.iq.formats.capture import (
    HIGHEST_HZ,
    Capture,
    Piece,
    Segment,
    check_file,
    count_samples,
)
from gr_tsddae.iq.formats.capture_errors import (
    CaptureDamagedError,
    CaptureFormatError,
    CaptureMissingError,
)
from gr_tsddae.iq.formats.pmt_reader import DICT, PAIR, SYMBOL, parse
from gr_tsddae.iq.formats.sample_format import SampleFormat
from gr_tsddae.iq.receiver_time import receiver_time, unix_time_s

SUFFIX = ".hdr"

_FORMAT_OF_TYPE = {0: "ci8", 1: "ci16", 2: "ci32", 5: "cf32", 6: "cf64"}  # gr_file_types
_KEYS = ("version", "rx_rate", "rx_time", "size", "type", "cplx", "strt", "bytes")
_HEADER_LIMIT_BYTES = 1 << 16


def is_file_meta(path: Path) -> bool:
    """Return whether a file is of GNU Radio's File Meta Sink, by NAME.hdr or by its first bytes."""
    if path.suffix == SUFFIX or os.path.isfile(_detached_header(path)):
        return True
    if not os.path.isfile(path):  # opening a pipe would wait for its other end
        return False
    try:
        with path.open("rb") as file:
            return _begins_like_a_header(file.read(16))
    except OSError:
        return False  # whoever opens it says what is wrong


def open_file_meta(path: Path) -> Capture:
    """Open a recording of GNU Radio's File Meta Sink.

    Args:
        path: The file with the samples, or its NAME.hdr.

    Raises:
        CaptureMissingError: If a file cannot be opened.
        CaptureFormatError: If the samples change type or rate.
        CaptureDamagedError: If a header is no header, or there are no samples.
    """
    data_path = path.with_suffix("") if path.suffix == SUFFIX else path
    file_bytes = check_file(data_path)
    header_path = _detached_header(data_path)
    detached = header_path.is_file()
    if not detached:
        if path.suffix == SUFFIX:
            raise CaptureMissingError(f"{path} does not exist; check the path")
        header_path = data_path
    try:
        with header_path.open("rb") as file:
            if detached:
                pieces = _walk_detached(file.read(), file_bytes, header_path)
            else:
                pieces = _walk_inline(file, file_bytes, header_path)
    except OSError as error:
        raise CaptureMissingError(
            f"{header_path} cannot be read ({error.strerror}); check its permissions"
        ) from error
    return _assemble(path, data_path, file_bytes, header_path, pieces)


# A header's fields, the byte where its samples begin, and how many bytes they are.
_Piece = tuple[dict[str, Any], int, int]


def _detached_header(path: Path) -> Path:
    return Path(f"{path}{SUFFIX}")


def _begins_like_a_header(head: bytes) -> bool:
    if head[:3] != bytes([DICT, PAIR, SYMBOL]) or len(head) < 5:
        return False
    key = head[5 : 5 + int.from_bytes(head[3:5], "big")]
    return key.decode("latin-1") in _KEYS


def _walk_inline(file: Any, file_bytes: int, where: Path) -> list[_Piece]:
    pieces, at = [], 0
    while at < file_bytes:
        file.seek(at)
        try:
            info, length = _header(file.read(_HEADER_LIMIT_BYTES), where)
        except CaptureDamagedError:
            if pieces:  # what came before can be read
                break
            raise
        begin, size = at + length, info["bytes"]
        file.seek(begin)
        if size == 0 and not _begins_like_a_header(file.read(16)):
            size = file_bytes - begin  # the recorder was stopped before it could fill this in
        pieces.append((info, begin, size))
        at = begin + size
    return pieces


def _walk_detached(headers: bytes, file_bytes: int, where: Path) -> list[_Piece]:
    pieces, at, begin = [], 0, 0
    while at < len(headers):
        info, length = _header(headers[at : at + _HEADER_LIMIT_BYTES], where)
        at += length
        last = at >= len(headers)
        size = file_bytes - begin if last and not info["bytes"] else info["bytes"]
        pieces.append((info, begin, size))
        begin += size
    return pieces


def _within(
    pieces: list[_Piece], file_bytes: int, data_path: Path
) -> tuple[list[_Piece], tuple[str, ...]]:
    """Cut pieces at the end of the file, which a recorder that was killed leaves; say so."""
    named_bytes = pieces[-1][1] + pieces[-1][2] if pieces else 0
    pieces = [(info, at, min(size, max(0, file_bytes - at))) for info, at, size in pieces]
    if named_bytes == file_bytes:
        return pieces, ()
    return pieces, (
        f"{data_path} has {file_bytes} bytes where its headers name {named_bytes}; the samples "
        "that are there and have a header are read",
    )


def _header(data: bytes, where: Path) -> tuple[dict[str, Any], int]:
    """Parse the header at the start of `data`; return it with its tags, and its length in bytes."""
    try:
        info, end = parse(data, 0)
        if info["strt"] > end:
            extra, end = parse(data, end)
            info = extra | info
        if end != info["strt"] or not isinstance(info["bytes"], int) or info["bytes"] < 0:
            raise ValueError("its length is wrong")
    except (ValueError, TypeError, KeyError, IndexError, struct.error, RecursionError) as error:
        raise CaptureDamagedError(
            f"{where} has no valid header where one is due ({error}); record or copy it again"
        ) from error
    return info, end


def _assemble(
    path: Path, data_path: Path, file_bytes: int, where: Path, pieces: list[_Piece]
) -> Capture:
    if not pieces:
        raise CaptureDamagedError(f"{where} is empty; record it again")
    pieces, cut = _within(pieces, file_bytes, data_path)
    sample_format = _sample_format(pieces[0][0], where)
    for key in ("rx_rate", "type", "cplx", "size"):
        if len({str(info.get(key)) for info, _, _ in pieces}) > 1:
            raise CaptureFormatError(
                f"{where} changes its {key} on the way; split it where that happens"
            )
    held = [piece for piece in pieces if piece[2] >= sample_format.bytes_per_sample]
    if not held:
        raise CaptureDamagedError(f"{where} holds no samples; record it again")
    counts, faults = count_samples(data_path, sample_format, *(size for _, _, size in held))
    firsts = [0, *accumulate(counts)][:-1]
    rate_hz = _number(pieces[0][0].get("rx_rate"))
    wrong = {
        f"{where} says {key} is {info[key]!r}, which is ignored"
        for info, _, _ in pieces
        for key in ("rx_rate", "rx_freq")
        if key in info and _number(info[key]) is None
    }
    if rate_hz is not None and not 0 < rate_hz <= HIGHEST_HZ:
        wrong.add(f"{where} says rx_rate is {rate_hz:g}, which is ignored")
        rate_hz = None
    return Capture(
        path=path,
        data_path=data_path,
        format=f"file-meta {sample_format.name}",
        sample_format=sample_format,
        sample_count=sum(counts),
        sample_rate_hz=rate_hz,
        header_bytes=held[0][1],
        trailing_bytes=file_bytes - held[-1][1] - held[-1][2],
        segments=tuple(
            Segment(first, _number(info.get("rx_freq")), _datetime(info))
            for first, (info, _, _) in zip(firsts, held, strict=True)
        ),
        pieces=tuple(
            Piece(first, begin) for first, (_, begin, _) in zip(firsts, held, strict=True)
        ),
        faults=(*cut, *faults, *sorted(wrong)),
    )


def _sample_format(info: dict[str, Any], where: Path) -> SampleFormat:
    kind = info.get("type")
    name = _FORMAT_OF_TYPE.get(kind) if type(kind) is int else None
    if name is None:
        raise CaptureFormatError(
            f"{where} stores samples of type {kind!r}, which is not known; "
            "record float or short samples"
        )
    return SampleFormat.parse(name if info.get("cplx") else "r" + name[1:])


def _number(value: Any) -> float | None:
    """Return a finite number of any numeric type, also a complex one without an imaginary part."""
    if isinstance(value, complex) and value.imag == 0:
        value = value.real
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _datetime(info: dict[str, Any]) -> str | None:
    rx_time = info.get("rx_time")
    if not (isinstance(rx_time, tuple) and len(rx_time) == 2):
        return None
    time = receiver_time(*rx_time)
    if time is None or unix_time_s(*time) is None:  # a sink without a clock counts from 0
        return None
    moment = datetime.datetime.fromtimestamp(time[0], datetime.timezone.utc)
    moment += datetime.timedelta(seconds=time[1])
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
