# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of every supported format: SigMF, raw IQ, IQ WAV, GNU Radio file-meta.

>>> with open_capture("pass.sigmf-meta") as capture:
...     for first_sample, iq in capture.blocks(1 << 16):  # iq: (<= 65536,) complex64
...         recognise(first_sample, iq)
"""

import os
from pathlib import Path

from gr_tsddae.iq.formats.capture import Annotation, Capture, Segment
from gr_tsddae.iq.formats.capture_errors import (
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    CaptureMissingError,
    CaptureRangeError,
)
from gr_tsddae.iq.formats.file_meta import SUFFIX as FILE_META_SUFFIX
from gr_tsddae.iq.formats.file_meta import is_file_meta, open_file_meta
from gr_tsddae.iq.formats.raw_file import SUFFIXES as RAW_SUFFIXES
from gr_tsddae.iq.formats.raw_file import open_raw
from gr_tsddae.iq.formats.sample_format import SampleFormat
from gr_tsddae.iq.formats.wav_file import open_wav
from gr_tsddae.iq.sigmf.read import SUFFIXES as SIGMF_SUFFIXES
from gr_tsddae.iq.sigmf.read import open_sigmf

__all__ = [
    "Annotation",
    "Capture",
    "CaptureDamagedError",
    "CaptureError",
    "CaptureFormatError",
    "CaptureMissingError",
    "CaptureRangeError",
    "Segment",
    "is_recording",
    "open_capture",
]

# Extensions of raw IQ that do not say how samples are stored.
_VAGUE_SUFFIXES = (".iq", ".raw", ".bin", ".dat")


def is_recording(path: Path) -> bool:
    """Return whether a file in a folder is a recording, by its name; of a pair, one file is."""
    suffix = path.suffix.lower()
    if suffix == ".sigmf-data":
        return not path.with_suffix(".sigmf-meta").exists()
    if suffix == FILE_META_SUFFIX:  # the file with the samples may have any name
        return not is_recording(path.with_suffix(""))
    return suffix in (*SIGMF_SUFFIXES, ".wav", *RAW_SUFFIXES, *_VAGUE_SUFFIXES)


def open_capture(
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    sample_rate_hz: float | None = None,
    center_frequency_hz: float | None = None,
    verify: bool | None = None,
) -> Capture:
    """Open a recording of the format that its extension names.

    Args:
        path: A .sigmf-meta, .sigmf-data or .sigmf file, a .wav file of two channels, raw IQ, or
            what GNU Radio's File Meta Sink wrote (NAME or NAME.hdr).
        dtype: How the samples of a raw file are stored (cf32, ci16, ci8, cu8, ...). Needed where
            the extension does not say it (.iq, .raw, .bin, .dat); it must agree with what a SigMF
            or WAV file says itself.
        sample_rate_hz: Samples per second; wins over what the file says.
        center_frequency_hz: Centre frequency in Hz; wins over what the file says.
        verify: Whether to compare the checksum of a SigMF recording with its samples; None does so
            up to 64 MiB.

    Returns:
        The capture, to be used as a context manager or closed.

    Raises:
        CaptureError: One sentence that names the fault and the remedy. Its subclasses in
            `capture_errors` tell missing, unknown, damaged and out of range apart.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".sigmf-collection":
        raise CaptureFormatError(f"{path} names several recordings; open one of them")
    if path.name.lower().endswith((".sigmf.gz", ".sigmf.xz", ".sigmf.zip")):
        raise CaptureFormatError(
            f"{path} is compressed and cannot be read slice by slice; unpack it first"
        )
    if suffix in SIGMF_SUFFIXES:
        capture = open_sigmf(path, verify=verify)
    elif suffix == ".wav":
        capture = open_wav(path)
    elif is_file_meta(path):
        capture = open_file_meta(path)
    else:
        capture = open_raw(path, dtype)
    if dtype is not None and SampleFormat.parse(dtype).name != capture.sample_format.name:
        raise CaptureFormatError(
            f"{path} says it holds {capture.sample_format.name} samples, but dtype={dtype!r} was "
            "given; leave dtype out"
        )
    return capture.told(sample_rate_hz=sample_rate_hz, center_frequency_hz=center_frequency_hz)
