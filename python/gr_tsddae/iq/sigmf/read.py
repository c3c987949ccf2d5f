# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF: samples with their metadata, as a .sigmf-meta/.sigmf-data pair or a .sigmf archive.

The `sigmf` library judges the metadata. Samples are read like those of any other file, also inside
an archive, because a whole recording never fits in memory twice.
"""

import contextlib
import hashlib
import json
import logging
import math
import tarfile
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from gr_tsddae.iq.formats.capture import Annotation, Capture, Segment, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import (
    CaptureDamagedError,
    CaptureFormatError,
    CaptureMissingError,
)
from gr_tsddae.iq.formats.sample_format import SampleFormat

log = logging.getLogger(__name__)

SUFFIXES = (".sigmf-meta", ".sigmf-data", ".sigmf")

_CHEAP_TO_VERIFY_BYTES = 64 * 2**20  # a tenth of a second


def open_sigmf(path: Path, *, verify: bool | None = None) -> Capture:
    """Open a SigMF recording by any of its files.

    Args:
        path: The .sigmf-meta or .sigmf-data file of a pair, or an uncompressed .sigmf archive.
        verify: Whether to compare `core:sha512` with the samples; None does so up to 64 MiB.

    Raises:
        CaptureMissingError: If the metadata or the samples are not there, or the library is not.
        CaptureFormatError: If the samples are real, of several channels, or of an unknown type.
        CaptureDamagedError: If metadata, checksum or byte count are wrong.
    """
    if path.suffix == ".sigmf":
        text, data_path, member_start, member_bytes, where = _find_in_archive(path)
        metadata = _parse(text, where)
    else:
        meta_path = path.with_suffix(".sigmf-meta")
        _check_pair_file(meta_path, path)
        metadata = read_metadata(meta_path)
        data_path = _data_path(meta_path, metadata["global"])
        _check_pair_file(data_path, path)
        member_start, member_bytes, where = 0, check_file(data_path), str(meta_path)

    info = metadata["global"]
    sample_format = _sample_format(info, where)
    header_bytes = _header_bytes(metadata["captures"], where)
    trailing_bytes = int(info.get("core:trailing_bytes", 0))
    sample_bytes = member_bytes - header_bytes - trailing_bytes
    if sample_bytes < 0:
        raise CaptureDamagedError(
            f"{data_path} holds {member_bytes} bytes, fewer than the {header_bytes} header and "
            f"{trailing_bytes} trailing bytes that {where} names; copy it again"
        )
    sample_count = count_samples(sample_bytes, sample_format, data_path)
    if verify or (verify is None and member_bytes <= _CHEAP_TO_VERIFY_BYTES):
        _verify(info.get("core:sha512"), data_path, member_start, member_bytes)
    sample_rate_hz = info.get("core:sample_rate")
    return Capture(
        path=path,
        data_path=data_path,
        format=f"sigmf {sample_format.name}",
        sample_format=sample_format,
        sample_count=sample_count,
        sample_rate_hz=None if sample_rate_hz is None else float(sample_rate_hz),
        header_bytes=member_start + header_bytes,
        trailing_bytes=data_path.stat().st_size - member_start - header_bytes - sample_bytes,
        segments=_segments(metadata, sample_count),
        annotations=_annotations(metadata, sample_count),
        metadata=info,
    )


def read_metadata(meta_path: Path) -> dict[str, Any]:
    """Read a .sigmf-meta file.

    Returns:
        Valid metadata with `global`, and `captures` and `annotations` in order of their start.
        Numbers that are not finite are left out, which is logged.

    Raises:
        CaptureMissingError: If it cannot be read, or the library is not there.
        CaptureDamagedError: If it is not valid SigMF.
    """
    try:
        return _parse(meta_path.read_bytes(), str(meta_path))
    except OSError as error:
        raise CaptureMissingError(
            f"{meta_path} cannot be read ({error.strerror}); check its permissions"
        ) from error


def annotated_samples(
    metadata: Mapping[str, Any], sample_count: int
) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Find the samples of each annotation; one without a length goes to the end of its segment.

    Args:
        metadata: With `global`, and perhaps `captures` and `annotations`, in any order.
        sample_count: Samples in the file.

    Yields:
        An annotation that covers samples of the file, its first sample there, and its end.
    """
    offset = int(metadata["global"].get("core:offset", 0))
    starts = sorted(int(each["core:sample_start"]) for each in metadata.get("captures", ()))
    for entry in metadata.get("annotations", ()):
        first = int(entry["core:sample_start"])
        if "core:sample_count" in entry:
            end = first + int(entry["core:sample_count"])
        else:
            following = bisect_right(starts, first)
            end = starts[following] if following < len(starts) else sample_count + offset
        first, end = max(0, first - offset), min(end - offset, sample_count)
        if first < end:
            yield entry, first, end


def _check_pair_file(path: Path, asked: Path) -> None:
    if not path.is_file() and not asked.exists():
        raise CaptureMissingError(f"{asked} does not exist; check the path")
    if not path.is_file():
        raise CaptureMissingError(
            f"{asked} is half of a SigMF recording, and {path.name} is not beside it; "
            "put both files into one folder"
        )


def _data_path(meta_path: Path, info: dict[str, Any]) -> Path:
    """Return the file with the samples: `core:dataset`, else the .sigmf-data of the pair."""
    if "core:dataset" in info:
        return meta_path.parent / Path(info["core:dataset"]).name
    data_path = meta_path.with_suffix(".sigmf-data")
    if info.get("core:metadata_only") and not data_path.exists():
        raise CaptureMissingError(
            f"{meta_path} was published without samples (core:metadata_only); "
            "get the recording itself"
        )
    return data_path


def _find_in_archive(path: Path) -> tuple[bytes, Path, int, int, str]:
    """Return metadata text, file, first byte and byte count of the samples, name for errors."""
    check_file(path)
    try:
        with tarfile.open(path, "r:") as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            metas = [member for member in members if member.name.endswith(".sigmf-meta")]
            if len(metas) != 1:
                raise CaptureFormatError(
                    f"{path} holds {len(metas)} recordings where 1 is expected; "
                    "unpack it with tar and open one of them"
                )
            text = archive.extractfile(metas[0]).read()
    except tarfile.TarError as error:
        raise CaptureDamagedError(
            f"{path} is not an uncompressed SigMF archive ({error}); unpack or copy it again"
        ) from error
    data_name = metas[0].name.removesuffix(".sigmf-meta") + ".sigmf-data"
    member = next((member for member in members if member.name == data_name), None)
    if member is None:
        raise CaptureMissingError(f"{path} has no {data_name} in it; get the complete archive")
    if member.offset_data + member.size > path.stat().st_size:
        raise CaptureDamagedError(f"{path} ends inside {data_name}; copy it again")
    return text, path, member.offset_data, member.size, f"{metas[0].name} in {path}"


def _parse(text: bytes, where: str) -> dict[str, Any]:
    """Parse JSON to checked metadata with `global`, `captures` and `annotations`.

    Some programs leave sections out, or write annotations in the order of clicking. Both are
    mended here. The library judges everything else.
    """
    try:
        metadata = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError) as error:  # also bytes that are not UTF-8
        raise CaptureDamagedError(
            f"{where} is not JSON ({error}); mend it or export the recording again"
        ) from error
    if not isinstance(metadata, dict) or not isinstance(metadata.get("global"), dict):
        raise CaptureDamagedError(
            f"{where} has no 'global' object, so it is not SigMF metadata; "
            "export the recording again"
        )
    metadata["global"].setdefault("core:version", "1.0.0")
    for section in ("captures", "annotations"):
        metadata.setdefault(section, [])
        with contextlib.suppress(KeyError, TypeError):  # the library says what is wrong
            metadata[section] = sorted(metadata[section], key=itemgetter("core:sample_start"))
    _validate(metadata, where)
    return _finite(metadata, where)


def _whole(text: str) -> int:
    if len(text) > 300:  # beyond every float
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(value: Any, where: str) -> Any:
    """Return metadata without numbers that are not finite. Counts are known to be valid."""
    if isinstance(value, list):
        return [_finite(each, where) for each in value]
    if not isinstance(value, dict):
        return value
    for key in [k for k, v in value.items() if isinstance(v, float) and not math.isfinite(v)]:
        log.warning("%s: ignored %s, which is %s", where, key, value[key])
        del value[key]
    return {key: _finite(each, where) for key, each in value.items()}


def _validate(metadata: dict[str, Any], where: str) -> None:
    try:
        import jsonschema
        from sigmf.validate import validate
    except ImportError as error:
        raise CaptureMissingError(
            f"reading {where} needs the sigmf package ({error}); run: pip install sigmf"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undeclared extensions are none of a reader's business
        try:
            validate(metadata)
        except jsonschema.exceptions.ValidationError as error:
            place = ".".join(str(part) for part in error.absolute_path) or "the file"
            raise CaptureDamagedError(
                f"{where} is not valid SigMF: {place}: {error.message}; mend this field"
            ) from error


def _sample_format(info: dict[str, Any], where: str) -> SampleFormat:
    datatype, channels = info["core:datatype"], info.get("core:num_channels", 1)
    if datatype.startswith("r"):
        raise CaptureFormatError(
            f"{where} holds real samples ({datatype}) where complex IQ is needed; "
            "convert it to a complex recording first"
        )
    if channels != 1:
        raise CaptureFormatError(
            f"{where} interleaves {channels} channels where 1 is expected; "
            "split it into one recording per channel"
        )
    return SampleFormat.parse(datatype)


def _header_bytes(captures: list[dict[str, Any]], where: str) -> int:
    header_bytes = [int(capture.get("core:header_bytes", 0)) for capture in captures]
    if any(header_bytes[1:]):
        raise CaptureFormatError(
            f"{where} has header bytes between its segments; remove them from the samples first"
        )
    return header_bytes[0] if header_bytes else 0


def _segments(metadata: dict[str, Any], sample_count: int) -> tuple[Segment, ...]:
    """Return the segments, without those behind the end of a recording that was cut short."""
    offset = int(metadata["global"].get("core:offset", 0))
    segments = [
        Segment(
            first_sample=max(0, int(capture["core:sample_start"]) - offset),
            frequency_hz=capture.get("core:frequency"),
            datetime=capture.get("core:datetime"),
        )
        for capture in metadata["captures"]
    ]
    there = [segment for segment in segments if segment.first_sample < sample_count]
    return tuple(there) or (Segment(0),)


def _annotations(metadata: dict[str, Any], sample_count: int) -> tuple[Annotation, ...]:
    return tuple(
        Annotation(first, end - first, entry["core:label"], entry.get("core:generator"))
        for entry, first, end in annotated_samples(metadata, sample_count)
        if "core:label" in entry
    )


def _verify(sha512: str | None, data_path: Path, first_byte: int, byte_count: int) -> None:
    if sha512 is None:
        return
    digest = hashlib.sha512()
    with data_path.open("rb") as file:
        file.seek(first_byte)
        while byte_count > 0 and (block := file.read(min(byte_count, 2**20))):
            digest.update(block)
            byte_count -= len(block)
    if digest.hexdigest() != sha512.lower():
        raise CaptureDamagedError(
            f"the samples in {data_path} have not the checksum that their metadata names "
            f"(core:sha512 {sha512[:8]}..., found {digest.hexdigest()[:8]}...); copy it again"
        )
