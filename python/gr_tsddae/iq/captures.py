# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of every supported format: SigMF, raw IQ, WAV, SDRangel, .npy, GNU Radio file-meta.

>>> with open_capture("pass.sigmf-meta") as capture:
...     for first_sample, iq in capture.blocks(1 << 16):  # iq: (<= 65536,) complex64
...         recognise(first_sample, iq)
"""

import os
from dataclasses import replace
from pathlib import Path

from gr_tsddae.iq.formats.capture import Annotation, Capture, Segment, beside
from gr_tsddae.iq.formats.capture_errors import (
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    CaptureMissingError,
    CaptureRangeError,
)
from gr_tsddae.iq.formats.file_meta import SUFFIX as FILE_META_SUFFIX
from gr_tsddae.iq.formats.file_meta import is_file_meta, open_file_meta
from gr_tsddae.iq.formats.names import told_by_name
from gr_tsddae.iq.formats.numpy_file import SUFFIX as NUMPY_SUFFIX
from gr_tsddae.iq.formats.numpy_file import open_numpy
from gr_tsddae.iq.formats.raw_file import SUFFIXES as RAW_SUFFIXES
from gr_tsddae.iq.formats.raw_file import open_raw
from gr_tsddae.iq.formats.sample_format import SampleFormat
from gr_tsddae.iq.formats.sdrangel_file import SUFFIX as SDRANGEL_SUFFIX
from gr_tsddae.iq.formats.sdrangel_file import open_sdrangel
from gr_tsddae.iq.formats.wav_file import SUFFIXES as WAV_SUFFIXES
from gr_tsddae.iq.formats.wav_file import open_wav
from gr_tsddae.iq.sigmf.read import BLUE_SUFFIXES, open_blue, open_sigmf
from gr_tsddae.iq.sigmf.read import SUFFIXES as SIGMF_SUFFIXES

__all__ = [
    "Annotation",
    "Capture",
    "CaptureDamagedError",
    "CaptureError",
    "CaptureFormatError",
    "CaptureMissingError",
    "CaptureRangeError",
    "Segment",
    "describes_itself",
    "is_packed",
    "is_recording",
    "open_capture",
]

_OPENERS = {
    **dict.fromkeys(WAV_SUFFIXES, open_wav),
    **dict.fromkeys(BLUE_SUFFIXES, open_blue),
    SDRANGEL_SUFFIX: open_sdrangel,
    NUMPY_SUFFIX: open_numpy,
}
# Extensions of raw IQ that do not say how samples are stored.
_VAGUE_SUFFIXES = (".iq", ".raw", ".bin", ".dat")
_PACKED = {
    **dict.fromkeys(
        (".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z", ".rar"),
        "is compressed and cannot be read slice by slice; unpack it first",
    ),
    **dict.fromkeys(
        (".npz", ".mat", ".h5", ".hdf5"),
        "may hold several arrays; save the samples of one recording as .npy",
    ),
    ".coco": "is a recording that Universal Radio Hacker compressed; unpack it (tar xjf) and open "
    "the .complex file in it",
}
# What has these extensions is read all the same, where the user says how samples are stored.
_OF_OTHERS = {
    **dict.fromkeys(
        (".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif", ".au", ".caf"),
        "is a file of audio programs that is not read here; save it as WAV if its two channels are "
        "I and Q",
    ),
    **dict.fromkeys(
        (".csv", ".tsv", ".txt"),
        "is text by its name; load it, and save the samples by numpy.save as .npy",
    ),
}


def is_recording(path: Path) -> bool:
    """Return whether a file in a folder is a recording, by its name; of a pair, one file is.

    Hidden files are none, and so are the `._NAME` that a Mac leaves beside NAME.
    """
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return False
    if suffix == ".sigmf-data":
        return beside(path, ".sigmf-meta") is None
    if suffix == FILE_META_SUFFIX:  # the file with the samples may have any name
        return not is_recording(path.with_suffix(""))
    return suffix in (*_OPENERS, *SIGMF_SUFFIXES, *RAW_SUFFIXES, *_VAGUE_SUFFIXES)


def is_packed(path: Path) -> bool:
    """Return whether a file may hold a recording that has to be taken out first, by its name."""
    return path.suffix.lower() in _PACKED


def describes_itself(path: Path) -> bool:
    """Return whether a file says how its samples are stored, by its extension."""
    return path.suffix.lower() in (*_OPENERS, *SIGMF_SUFFIXES)


def open_capture(
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    sample_rate_hz: float | None = None,
    center_frequency_hz: float | None = None,
    verify: bool | None = None,
    strict: bool = False,
) -> Capture:
    """Open a recording of the format that its extension names.

    What neither the user nor the file says is taken from the name, where a known program made it.
    `Capture.notes` and `Capture.faults` tell what was taken for granted and what is wrong.

    Args:
        path: A .sigmf-meta, .sigmf-data or .sigmf file, a .wav or .w64 file, raw IQ, .sdriq,
            .npy, or what GNU Radio's File Meta Sink wrote (NAME or NAME.hdr).
        dtype: How the samples of a raw file are stored (cf32, ci16, ci8, cu8, ...). Needed where
            the extension does not say it (.iq, .raw, .bin, .dat); it must agree with what a SigMF
            or WAV file says itself.
        sample_rate_hz: Samples per second; wins over what the file says.
        center_frequency_hz: Centre frequency in Hz; wins over what the file says.
        verify: Whether to compare the checksum of a SigMF recording with its samples; None does so
            up to 64 MiB.
        strict: Whether a fault that reading could pass over is an error.

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
    refused = _PACKED | (_OF_OTHERS if dtype is None else {})
    if suffix in refused:
        raise CaptureFormatError(f"{path} {refused[suffix]}")
    if suffix in SIGMF_SUFFIXES:
        capture = open_sigmf(path, verify=verify)
    elif suffix in _OPENERS:
        capture = _OPENERS[suffix](path)
    elif is_file_meta(path):
        capture = open_file_meta(path)
    else:
        capture = open_raw(path, dtype)
    if dtype is not None and SampleFormat.parse(dtype).name != capture.sample_format.name:
        raise CaptureFormatError(
            f"{path} says it holds {capture.sample_format.name} samples, but dtype={dtype!r} was "
            "given; leave dtype out"
        )
    if strict and capture.faults:
        raise CaptureDamagedError(f"{capture.faults[0]}; mend it, or read it without strict")
    told = capture.told(sample_rate_hz=sample_rate_hz, center_frequency_hz=center_frequency_hz)
    return _filled_in_by_name(told)


def _filled_in_by_name(capture: Capture) -> Capture:
    """Take what a recording does not say from its name, where a known program made it."""
    says = told_by_name(capture.data_path)
    if says is None:
        return capture
    taken, first = [], capture.segments[0]
    if capture.sample_rate_hz is None and says.sample_rate_hz:
        capture = replace(capture, sample_rate_hz=says.sample_rate_hz)
        taken.append(f"{says.sample_rate_hz:.12g} samples/s")
    if first.frequency_hz is None and says.center_frequency_hz:
        first = replace(first, frequency_hz=says.center_frequency_hz)
        taken.append(f"{says.center_frequency_hz:.12g} Hz")
    if first.datetime is None and says.datetime:
        first = replace(first, datetime=says.datetime)
        taken.append(says.datetime)
    if says.is_audio:
        taken.append("demodulated audio, in which no model finds a modulation")
    if not taken:
        return capture
    note = f"the name of {capture.data_path} says {', '.join(taken)} ({says.program})"
    segments = (first, *capture.segments[1:])
    return replace(capture, segments=segments, notes=(*capture.notes, note))
