# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF metadata: parsed, judged by a schema, and mended where samples allow it."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from gr_tsddae.iq.formats.capture_errors import (
    CaptureDamagedError,
    CaptureFormatError,
    CaptureMissingError,
)
from gr_tsddae.iq.formats.sample_format import SampleFormat
from gr_tsddae.iq.sigmf.fields import SCHEMA

log = logging.getLogger(__name__)

# Fields that say which bytes are samples, and of what: a wrong one is not passed over.
_DECISIVE = {
    *("core:datatype", "core:num_channels", "core:dataset", "core:metadata_only"),
    *("core:offset", "core:header_bytes", "core:trailing_bytes"),
    *("core:sample_start", "core:sample_count"),
}

# Fields that some programs write as text. Those of the first row count something.
_COUNTS = {
    *("core:sample_start", "core:sample_count", "core:header_bytes", "core:trailing_bytes"),
    *("core:offset", "core:num_channels"),
}
_NUMBERS = _COUNTS | {
    *("core:sample_rate", "core:frequency", "core:freq_lower_edge", "core:freq_upper_edge"),
}


def read_metadata(meta_path: Path) -> dict[str, Any]:
    """Read a .sigmf-meta file.

    Returns:
        Valid metadata with `global`, and `captures` and `annotations` in order of their start.
        Fields that are not valid, and numbers that are not finite, are left out, which is logged.

    Raises:
        CaptureMissingError: If it cannot be read.
        CaptureDamagedError: If it is not SigMF.
    """
    metadata, faults = parse(read_bytes(meta_path), str(meta_path))
    for fault in faults:
        log.warning("%s", fault)
    return metadata


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


def read_bytes(path: Path) -> bytes:
    """Read a file of metadata whole.

    Raises:
        CaptureMissingError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CaptureMissingError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from error


def parse(text: bytes, where: str) -> tuple[dict[str, Any], list[str]]:
    """Parse JSON to checked metadata with `global`, `captures` and `annotations`, and its faults.

    Some programs leave sections out, or write annotations in the order of clicking. Both are
    mended here. The schema judges everything else; what it finds invalid is left out.

    Raises:
        CaptureDamagedError: If it is not SigMF, or an invalid field says where samples lie.
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
        if metadata.get(section) is None:
            metadata[section] = []
    faults = _numbers_from_text(metadata, where)
    first = metadata["captures"][:1] if isinstance(metadata["captures"], list) else []
    if first and isinstance(first[0], dict) and "core:sample_start" not in first[0]:
        first[0]["core:sample_start"] = 0
        faults.append(f"{where}: the first capture has no core:sample_start, which is taken for 0")
    faults += _validate(metadata, where)
    for section in ("captures", "annotations"):
        metadata[section].sort(key=itemgetter("core:sample_start"))
    return _finite(metadata, where, faults), faults


def _numbers_from_text(metadata: Mapping[str, Any], where: str) -> list[str]:
    """Take text that is a number for that number, and say where."""
    faults = []
    entries = [metadata["global"]]
    for section in ("captures", "annotations"):
        if isinstance(metadata[section], list):
            entries += metadata[section]
    for entry in entries:
        for key in sorted(_NUMBERS & set(entry if isinstance(entry, dict) else ())):
            text = entry[key]
            if not isinstance(text, str):
                continue
            with contextlib.suppress(ValueError):
                entry[key] = int(text) if key in _COUNTS else float(text)
                faults.append(f"{where}: {key} is the text {text!r}; it is read as a number")
    return faults


def _whole(text: str) -> int:
    if len(text) > 300:  # beyond every float
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(value: Any, where: str, faults: list[str]) -> Any:
    """Return metadata without numbers that are not finite. Counts are known to be valid."""
    if isinstance(value, list):
        return [_finite(each, where, faults) for each in value]
    if not isinstance(value, dict):
        return value
    for key in [k for k, v in value.items() if isinstance(v, float) and not math.isfinite(v)]:
        faults.append(f"{where}: ignored {key}, which is {value[key]}")
        del value[key]
    return {key: _finite(each, where, faults) for key, each in value.items()}


def _is_known(datatype: Any) -> bool:
    """Tell whether samples can be read all the same, as with a type in capitals."""
    with contextlib.suppress(CaptureFormatError):
        return isinstance(datatype, str) and bool(SampleFormat.parse(datatype))
    return False


def _schema() -> dict[str, Any]:
    try:
        from sigmf.schema import get_schema
    except ImportError:
        return SCHEMA
    return get_schema()


def _validate(metadata: dict[str, Any], where: str) -> list[str]:
    """Take out the fields that the schema finds invalid, and say which they are."""
    import jsonschema

    schema = _schema()
    validator = jsonschema.validators.validator_for(schema)(schema)
    faults, unfit = [], set()  # of annotations, by number
    for error in list(validator.iter_errors(metadata)):
        section, *inner = list(error.absolute_path) or [""]
        place = ".".join(map(str, error.absolute_path)) or "the file"
        fault = f"{where} is not valid SigMF: {place}: {' '.join(error.message.split())}"
        if section == "annotations" and (len(inner) < 2 or inner[1] in _DECISIVE):
            unfit |= set(inner[:1])
            metadata[section] = metadata[section] if inner else []
        elif inner == ["core:datatype"] and _is_known(metadata[section]["core:datatype"]):
            faults.append(f"{fault}; it is read as {metadata[section]['core:datatype']}")
            continue
        elif len(inner) < (1 if section == "global" else 2) or _DECISIVE & set(inner):
            raise CaptureDamagedError(f"{fault}; mend this field")
        elif section == "global":
            metadata[section].pop(inner[0], None)
        else:
            metadata[section][inner[0]].pop(inner[1], None)
        faults.append(f"{fault}; it is left out")
    metadata["annotations"] = [
        entry for number, entry in enumerate(metadata["annotations"]) if number not in unfit
    ]
    return faults
