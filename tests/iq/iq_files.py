# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings to be read: made by hand, byte by byte."""

import hashlib
import json
import struct

import numpy as np
import pytest

from gr_tsddae.iq.captures import (
    CaptureError,
    open_capture,
)

# Format name -> numpy type, stored zero, stored full scale, widest rounding error at full scale 1.
FORMATS = {
    "cf32": ("<f4", 0, 1, 0),
    "cf32_be": (">f4", 0, 1, 0),
    "cf64": ("<f8", 0, 1, 1e-7),
    "ci8": ("i1", 0, 128, 0.5 / 128),
    "ci16": ("<i2", 0, 2**15, 0.5 / 2**15),
    "ci16_be": (">i2", 0, 2**15, 0.5 / 2**15),
    "ci32": ("<i4", 0, 2**31, 1e-7),
    "cu8": ("u1", 127.4, 128, 0.5 / 128),
    "cu16": ("<u2", 2**15, 2**15, 0.5 / 2**15),
}


def tone(count=100, amplitude=0.9):
    """(count,) complex64 on a circle, so that I and Q differ in every sample."""
    return (amplitude * np.exp(2j * np.pi * (0.03 * np.arange(count) + 0.1))).astype(np.complex64)


def stored(iq, name):
    """Bytes of complex samples in one of FORMATS."""
    numpy_type, zero, full_scale, _ = FORMATS[name]
    components = np.stack([iq.real, iq.imag], axis=1).astype(np.float64) * full_scale + zero
    if np.dtype(numpy_type).kind != "f":
        components = np.rint(components)
    return components.astype(numpy_type).tobytes()


def write_sigmf(folder, iq, datatype="cf32_le", *, captures=None, annotations=None, **info):
    """Writes a .sigmf-meta/.sigmf-data pair and returns the path of the metadata."""
    name = datatype.removesuffix("_le")
    data = stored(iq, name)
    (folder / "rec.sigmf-data").write_bytes(data)
    metadata = {
        "global": {
            "core:datatype": datatype,
            "core:version": "1.2.0",
            "core:sha512": hashlib.sha512(data).hexdigest(),
            **{f"core:{key}": value for key, value in info.items()},
        },
        "captures": [{"core:sample_start": 0}] if captures is None else captures,
        "annotations": annotations or [],
    }
    (folder / "rec.sigmf-meta").write_text(json.dumps(metadata))
    return folder / "rec.sigmf-meta"


def edit_meta(meta_path, edit):
    metadata = json.loads(meta_path.read_text())
    edit(metadata)
    meta_path.write_text(json.dumps(metadata))


def write_wav(
    path, payload, *, tag=1, channels=2, rate=48000, bits=16, before=b"", after=b"", size=None
):
    """A WAV file chunk by chunk; `size` overrides the data size in the header."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + before
    chunks += b"data" + struct.pack("<I", len(payload) if size is None else size) + payload + after
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def expect(error, message, path, **kwargs):
    """Opening must raise exactly this class with one line that matches the message."""
    with pytest.raises(CaptureError, match=message) as info:
        open_capture(path, **kwargs)
    assert type(info.value) is error
    assert "\n" not in str(info.value)
