# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF: samples with their metadata, as a .sigmf-meta/.sigmf-data pair or a .sigmf archive.

The schema of SigMF judges the metadata. Samples are read like those of any other file, also inside
an archive, because a whole recording never fits in memory twice.
"""

import hashlib
import re
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from gr_tsddae.iq.formats.capture import (
    HIGHEST_HZ,
    Annotation,
    Capture,
    Piece,
    Segment,
    beside,
    check_file,
    count_samples,
)
from gr_tsddae.iq.formats.capture_errors import (
    CaptureDamagedError,
    CaptureFormatError,
    CaptureMissingError,
)
from gr_tsddae.iq.formats.sample_format import SampleFormat
from gr_tsddae.iq.sigmf.metadata import annotated_samples, parse, read_bytes
from gr_tsddae.missing import pip_line

SUFFIXES = (".sigmf-meta", ".sigmf-data", ".sigmf")
BLUE_SUFFIXES = (".blue", ".cdif", ".prm", ".tmp")

_CHEAP_TO_VERIFY_BYTES = 64 * 2**20  # a tenth of a second


def open_sigmf(path: Path, *, verify: bool | None = None) -> Capture:
    """Open a SigMF recording by any of its files.

    Args:
        path: The .sigmf-meta or .sigmf-data file of a pair, or an uncompressed .sigmf archive.
        verify: Whether to compare `core:sha512` with the samples, and to refuse others; None
            compares up to 64 MiB, and a difference is a fault.

    Raises:
        CaptureMissingError: If the metadata or the samples are not there, or the library is not.
        CaptureFormatError: If the samples are of several channels, or of an unknown type.
        CaptureDamagedError: If metadata or byte count are wrong.
    """
    suffix = path.suffix.lower()
    if suffix == ".sigmf":
        metadata, faults, data_path, member_start, member_bytes, where = _find_in_archive(path)
    else:
        meta_path = _pair_file(path, ".sigmf-meta")
        metadata, faults = parse(read_bytes(meta_path), str(meta_path))
        data_path, wrong = _data_path(meta_path, metadata["global"])
        faults += [wrong] if wrong else []
        member_start, member_bytes, where = 0, check_file(data_path), str(meta_path)
    if verify is not False and (verify or member_bytes <= _CHEAP_TO_VERIFY_BYTES):
        wrong = _wrong_checksum(metadata["global"], data_path, member_start, member_bytes)
        if wrong and verify:
            raise CaptureDamagedError(f"{wrong}; copy it again")
        faults += [wrong] if wrong else []
    return _assemble(path, metadata, where, data_path, member_start, member_bytes, faults)


def open_blue(path: Path) -> Capture:
    """Open a MIDAS BLUE file, whose header the `sigmf` library reads.

    Raises:
        CaptureMissingError: If the file cannot be opened, or the library is not there.
        CaptureFormatError: If the samples are of several channels, or of an unknown type.
        CaptureDamagedError: If it is no BLUE file.
    """
    member_bytes = check_file(path)
    try:
        from sigmf.convert.blue import blue_to_sigmf
    except ImportError as error:
        raise CaptureMissingError(
            f"reading {path} needs the sigmf package ({error}); run: {pip_line('sigmf>=1.3')}"
        ) from error
    try:
        described = blue_to_sigmf(path, create_ncd=True)
        text = described.dumps().encode()
    except Exception as error:  # its parser raises whatever Python raises
        raise CaptureDamagedError(
            f"{path} is no BLUE file that sigmf reads ({error}); export it again"
        ) from error
    metadata, faults = parse(text, str(path))
    return _assemble(path, metadata, str(path), path, 0, member_bytes, faults)


def _assemble(
    path: Path,
    metadata: dict[str, Any],
    where: str,
    data_path: Path,
    member_start: int,
    member_bytes: int,
    faults: list[str],
) -> Capture:
    """Make the capture of samples that lie in a part of a file."""
    info = metadata["global"]
    sample_format, notes = _sample_format(info, where)
    end_byte = member_start + member_bytes - int(info.get("core:trailing_bytes", 0))
    pieces = _pieces(metadata, sample_format, member_start, end_byte)
    if pieces[0].byte > end_byte:
        raise CaptureDamagedError(
            f"{data_path} holds {member_bytes} bytes, fewer than the header and trailing bytes "
            f"that {where} names; copy it again"
        )
    ends = [
        piece.byte + (after.first_sample - piece.first_sample) * sample_format.bytes_per_sample
        for piece, after in pairwise(pieces)
    ]
    sizes = [end - piece.byte for piece, end in zip(pieces, [*ends, end_byte], strict=True)]
    counts, left_over = count_samples(data_path, sample_format, *sizes)
    sample_count = sum(counts)
    sample_rate_hz, other_rates = _sample_rate(metadata, where)
    segments, lost = _segments(metadata, sample_count)
    annotations, wrong_annotations = _annotations(metadata, sample_count)
    unsaid = [other_rates] if other_rates else []
    if lost:
        unsaid.append(
            f"{where}: {lost} of {lost + len(segments)} captures begin behind the {sample_count} "
            "samples and are left out"
        )
    unsaid += [f"{where}: {each}" for each in wrong_annotations]
    return Capture(
        path=path,
        data_path=data_path,
        format=f"sigmf {sample_format.name}",
        sample_format=sample_format,
        sample_count=sample_count,
        sample_rate_hz=sample_rate_hz,
        header_bytes=pieces[0].byte,
        trailing_bytes=data_path.stat().st_size - end_byte,
        segments=segments or (Segment(0),),
        annotations=annotations,
        metadata=info,
        pieces=tuple(pieces) if len(pieces) > 1 else (),
        notes=notes,
        faults=(*faults, *left_over, *unsaid),
    )


def _pieces(
    metadata: dict[str, Any], sample_format: SampleFormat, start_byte: int, end_byte: int
) -> list[Piece]:
    """Find where samples lie when header bytes lie before those of some captures."""
    offset = int(metadata["global"].get("core:offset", 0))
    pieces = [Piece(0, start_byte)]
    for number, capture in enumerate(metadata["captures"]):
        header_bytes = int(capture.get("core:header_bytes", 0))
        first = max(0, int(capture["core:sample_start"]) - offset) if number else 0
        if not header_bytes:
            continue
        before = pieces[-1]
        byte = before.byte + (first - before.first_sample) * sample_format.bytes_per_sample
        if first == before.first_sample:
            pieces.pop()
        elif byte + header_bytes >= end_byte:  # a recording that was cut short
            break
        pieces.append(Piece(first, byte + header_bytes))
    return pieces


def _pair_file(path: Path, suffix: str) -> Path:
    """Return the file of this suffix that belongs to the recording that `path` was asked for."""
    found = path if path.suffix.lower() == suffix else beside(path, suffix)
    if found is None or not found.is_file():
        if not path.exists():
            raise CaptureMissingError(f"{path} does not exist; check the path")
        raise CaptureMissingError(
            f"{path} is half of a SigMF recording, and {path.with_suffix(suffix).name} is not "
            "beside it; put both files into one folder"
        )
    return found


def _data_path(meta_path: Path, info: dict[str, Any]) -> tuple[Path, str]:
    """Return the file with the samples, and what is wrong with its name.

    That is `core:dataset`, else the .sigmf-data of the pair.
    """
    pair = beside(meta_path, ".sigmf-data")
    if "core:dataset" in info:
        name = re.split(r"[/\\]", info["core:dataset"])[-1]
        named = meta_path.parent / name
        for file in (named, named.suffix and beside(named, named.suffix)):
            if file and file.is_file():
                return file, ""
        if pair is None:
            raise CaptureMissingError(
                f"{meta_path} is half of a SigMF recording, and {name} is not beside it; "
                "put both files into one folder"
            )
        return pair, f"{meta_path}: core:dataset {name!r} is not there; {pair.name} is read"
    if info.get("core:metadata_only") and pair is None:
        raise CaptureMissingError(
            f"{meta_path} was published without samples (core:metadata_only); "
            "get the recording itself"
        )
    return _pair_file(meta_path, ".sigmf-data"), ""


def _find_in_archive(path: Path) -> tuple[dict[str, Any], list[str], Path, int, int, str]:
    """Return metadata, faults, file, first byte and byte count of the samples, name for errors."""
    check_file(path)
    try:
        with tarfile.open(path, "r:") as archive:
            members = [
                member
                for member in archive.getmembers()
                if member.isfile() and not _is_of_a_mac(Path(member.name))
            ]
            metas = [each for each in members if each.name.lower().endswith(".sigmf-meta")]
            if not metas:
                raise CaptureMissingError(
                    f"{path} has no .sigmf-meta in it; get the complete archive"
                )
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
    where = f"{metas[0].name} in {path}"
    metadata, faults = parse(text, where)
    meta_name = Path(metas[0].name)
    data_name = meta_name.with_suffix(".sigmf-data")
    if "core:dataset" in metadata["global"]:
        data_name = meta_name.with_name(Path(metadata["global"]["core:dataset"]).name)
    wanted = str(data_name).lower()
    member = next((each for each in members if str(Path(each.name)).lower() == wanted), None)
    if member is None:
        raise CaptureMissingError(f"{path} has no {data_name} in it; get the complete archive")
    if member.offset_data + member.size > path.stat().st_size:
        raise CaptureDamagedError(f"{path} ends inside {data_name}; copy it again")
    return metadata, faults, path, member.offset_data, member.size, where


def _is_of_a_mac(path: Path) -> bool:
    """Tell whether an archive made on a Mac has this member beside a recording."""
    return path.name.startswith(".") or "__MACOSX" in path.parts


def _sample_format(info: dict[str, Any], where: str) -> tuple[SampleFormat, tuple[str, ...]]:
    """Return how samples are stored, and what is to be said of that."""
    datatype, channels = info["core:datatype"], info.get("core:num_channels", 1)
    if datatype.startswith("r") and channels == 2:
        note = f"{where} holds two real channels ({datatype}), which are taken for I and Q"
        return SampleFormat.parse("c" + datatype[1:]), (note,)
    if channels != 1:
        raise CaptureFormatError(
            f"{where} interleaves {channels} channels where 1 is expected; "
            "split it into one recording per channel"
        )
    sample_format = SampleFormat.parse(datatype)
    if sample_format.is_real:
        return sample_format, (f"{where}: real samples become their analytic signal",)
    return sample_format, ()


def _sample_rate(metadata: dict[str, Any], where: str) -> tuple[float | None, str]:
    """Return the sample rate, and what is wrong with those of the captures.

    Some programs write the rate into the captures, where SigMF has no such field.
    """
    told_hz = metadata["global"].get("core:sample_rate")
    others = {
        float(rate_hz)
        for capture in metadata["captures"]
        if isinstance(rate_hz := capture.get("core:sample_rate"), (int, float))
        and 0 < rate_hz <= HIGHEST_HZ
    }
    if told_hz is None and len(others) == 1:
        return others.pop(), ""
    others.discard(told_hz)
    if not others:
        return None if told_hz is None else float(told_hz), ""
    rates = " and ".join(f"{rate_hz:.12g}" for rate_hz in sorted(others))
    if told_hz is None:
        raise CaptureFormatError(
            f"{where} changes its sample rate on the way ({rates}); split it where that happens"
        )
    return float(told_hz), (
        f"{where}: captures name sample rates of {rates}, and the whole recording is read at the "
        f"{told_hz:.12g} that 'global' names"
    )


def _segments(metadata: dict[str, Any], sample_count: int) -> tuple[tuple[Segment, ...], int]:
    """Return the segments, and how many lie behind the end of a recording that was cut short.

    Of several that begin at one sample, the last one holds.
    """
    offset = int(metadata["global"].get("core:offset", 0))
    segments = {}
    for capture in metadata["captures"]:
        first = max(0, int(capture["core:sample_start"]) - offset)
        segments[first] = Segment(
            first, capture.get("core:frequency"), capture.get("core:datetime")
        )
    there = [segment for first, segment in segments.items() if first < sample_count]
    return tuple(there), len(segments) - len(there)


def _annotations(
    metadata: dict[str, Any], sample_count: int
) -> tuple[tuple[Annotation, ...], list[str]]:
    """Return the annotations with a label, and what is wrong with them."""
    faults: list[str] = []
    labelled = [entry for entry in metadata["annotations"] if "core:label" in entry]
    annotations = []
    there = annotated_samples(metadata | {"annotations": labelled}, sample_count)
    for entry, first, end in there:
        band_hz, wrong = _band_hz(entry)
        if wrong:
            faults.append(f"the label {entry['core:label']!r} at sample {first} {wrong}")
        label, generator = entry["core:label"], entry.get("core:generator")
        annotations.append(Annotation(first, end - first, label, generator, band_hz))
    if lost := len(labelled) - len(annotations):
        faults.append(
            f"{lost} of {len(labelled)} labels cover none of the {sample_count} samples and are "
            "left out"
        )
    return tuple(annotations), faults


def _band_hz(entry: dict[str, Any]) -> tuple[tuple[float, float] | None, str]:
    """Return lower and upper edge of an annotation, None for the whole band, and what is wrong."""
    edges = [entry.get(f"core:freq_{side}_edge") for side in ("lower", "upper")]
    if None in edges:
        alone = edges != [None, None]
        return None, "has one frequency edge, and is taken for the whole band" if alone else ""
    low_hz, high_hz = map(float, edges)
    if low_hz == high_hz:
        return None, f"has both edges at {low_hz:.12g} Hz, and is taken for the whole band"
    if low_hz > high_hz:
        return (high_hz, low_hz), (
            f"has its lower edge, {low_hz:.12g} Hz, above its upper one, {high_hz:.12g} Hz; they "
            "are exchanged"
        )
    return (low_hz, high_hz), ""


def _wrong_checksum(
    info: dict[str, Any], data_path: Path, first_byte: int, byte_count: int
) -> str | None:
    """Compare `core:sha512` with the samples; return what is wrong, or None."""
    sha512 = info.get("core:sha512")
    if sha512 is None:
        return None
    digest = hashlib.sha512()
    with data_path.open("rb") as file:
        file.seek(first_byte)
        while byte_count > 0 and (block := file.read(min(byte_count, 2**20))):
            digest.update(block)
            byte_count -= len(block)
    if digest.hexdigest() == sha512.lower():
        return None
    return (
        f"the samples in {data_path} have not the checksum that their metadata names "
        f"(core:sha512 {sha512[:8]}..., found {digest.hexdigest()[:8]}...)"
    )
