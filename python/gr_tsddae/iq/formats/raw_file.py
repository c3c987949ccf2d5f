# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw IQ: a file of samples alone. The extension or the user says how they are stored."""

from __future__ import annotations

from pathlib import Path

from gr_tsddae.iq.formats.capture import Capture, check_file, count_samples
from gr_tsddae.iq.formats.capture_errors import CaptureFormatError
from gr_tsddae.iq.formats.sample_format import ALIASES, NAMES, SampleFormat

# Universal Radio Hacker counts the bits of a whole sample: its complex16s is a pair of int8.
_FORMAT_OF_SUFFIX = {
    **{f".{name}": name for name in NAMES},
    **{f".{alias}": name for alias, name in ALIASES.items()},
    ".cfile": "cf32",
    ".complex": "cf32",
    ".complex16s": "ci8",
    ".complex16u": "cu8",
    ".complex32s": "ci16",
    ".complex32u": "cu16",
}

SUFFIXES = tuple(_FORMAT_OF_SUFFIX)


def open_raw(path: Path, dtype: str | None) -> Capture:
    """Open a file of samples alone.

    Args:
        path: The file.
        dtype: How samples are stored; None takes it from the extension.

    Raises:
        CaptureFormatError: If neither the extension nor `dtype` says how samples are stored.
        CaptureMissingError: If the file cannot be opened.
        CaptureDamagedError: If it is empty or does not hold a whole number of samples.
    """
    sample_bytes = check_file(path)
    if dtype is None:
        dtype = _FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if dtype is None:
        raise CaptureFormatError(
            f"the extension {path.suffix!r} of {path} does not say how its samples are stored; "
            f"give dtype= one of {', '.join(NAMES)}"
        )
    sample_format = SampleFormat.parse(dtype)
    return Capture(
        path=path,
        data_path=path,
        format=sample_format.name,
        sample_format=sample_format,
        sample_count=count_samples(sample_bytes, sample_format, path),
    )
