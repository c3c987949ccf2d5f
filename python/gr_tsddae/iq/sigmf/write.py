# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer of all SigMF metadata: an atomic write, with one line for each annotation.

Annotations are written as they come. The `sigmf` library holds all of them in memory, and makes
text of all of them for each write.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gr_tsddae.files import json_text, replacing
from gr_tsddae.iq.sigmf.opinion import generator

VERSION = "1.2.0"
EXTENSION = {"name": "tsddae", "version": "1.0.0", "optional": True}


def new_global(sample_rate_hz: float | None, **about: Any) -> dict[str, Any]:
    """Return the `global` object of a recording of cf32_le samples that this program makes.

    Args:
        sample_rate_hz: Samples per second, or None.
        about: Fields of SigMF's core, without prefix; empty ones are left out.
    """
    info = {"datatype": "cf32_le", "version": VERSION, "sample_rate": sample_rate_hz, **about}
    info |= {"recorder": generator(), "extensions": [EXTENSION]}
    return {f"core:{key}": value for key, value in info.items() if value not in (None, "")}


def meta_path(path: Path) -> Path:
    """Return the .sigmf-meta file of a recording, named with or without a SigMF suffix."""
    if path.suffix in (".sigmf-meta", ".sigmf-data", ".sigmf"):
        return path.with_suffix(".sigmf-meta")
    return path.with_name(path.name + ".sigmf-meta")


def annotation_text(entry: Mapping[str, Any]) -> str:
    """Return an annotation as one line of JSON.

    Raises:
        ValueError, TypeError: If JSON or UTF-8 cannot hold it.
    """
    text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
    text.encode()  # half a surrogate pair is a string, and no UTF-8
    return text


def write_metadata(
    path: Path,
    info: Mapping[str, Any],
    captures: Iterable[Mapping[str, Any]],
    annotations: Iterable[str],
) -> int:
    """Write a .sigmf-meta file; see `files.replacing`.

    Args:
        path: The file.
        info: The `global` object.
        captures: In order of `core:sample_start`.
        annotations: JSON of each on one line, in order of `core:sample_start`.

    Returns:
        How many bytes it has.

    Raises:
        OSError: If it cannot be written.
        ValueError: If JSON cannot say it.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        head = {"global": info, "captures": list(captures)}
        text = json_text(head, indent=2, allow_nan=False)
        file.write(text[: text.rindex("}")].rstrip() + ',\n  "annotations": [')
        separator = "\n    "
        for annotation in annotations:
            file.write(separator + annotation)
            separator = ",\n    "
        file.write("\n  ]\n}\n")
        return file.tell()
