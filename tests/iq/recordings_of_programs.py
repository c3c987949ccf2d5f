# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as other programs write them, byte by byte: a function per format."""

import io
import struct
import tarfile
import zlib

import numpy as np
from iq_files import stored, tone

RATE = 200_000
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def fmt(rate=RATE, bits=16, channels=2, tag=1):
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))


def riff(*chunks, magic=b"RIFF"):
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body)) + body


def kiwi(iq, rate=12_001, piece=64):
    """KiwiSDR: a `data` chunk per piece, and a `kiwi` chunk with the time before each."""
    body = [fmt(rate)]
    for first in range(0, len(iq), piece):
        body.append(chunk(b"kiwi", struct.pack("<BBII", 0, 0, 1000, first)))
        body.append(chunk(b"data", stored(iq[first : first + piece], "ci16")))
    return riff(*body)


def sdr_console(iq, center_hz=145_800_000):
    """SDR Console: XML in UTF-16 in the `auxi` chunk."""
    xml = (
        '<?xml version="1.0"?><SDR-XML-Root><Definition UTCSeconds="1577880000" '
        f'RadioCenterFreq="{center_hz}" SampleRate="{RATE}"/></SDR-XML-Root>'
    )
    auxi = chunk(b"auxi", xml.encode("utf-16-le") + b"\0\0")
    return riff(fmt(), auxi, chunk(b"data", stored(iq, "ci16")))


def wav_24_bit(iq):
    numbers = np.rint(np.stack([iq.real, iq.imag], 1).astype(float) * 2**23).astype("<i4")
    three = numbers.view("u1").reshape(-1, 4)[:, :3].tobytes()
    return riff(fmt(bits=24), chunk(b"data", three))


def rf64(iq, magic=b"BW64"):
    """The sizes are in a `ds64` chunk, and all others are 0xFFFFFFFF."""
    data = stored(iq, "ci16")
    ds64 = chunk(b"ds64", struct.pack("<QQQI", len(data) + 72, len(data), len(iq), 0))
    return magic + b"\xff\xff\xff\xffWAVE" + ds64 + fmt() + b"data\xff\xff\xff\xff" + data


def w64(iq):
    """Sony Wave64: names are GUIDs, sizes have 8 bytes and count the header of the chunk."""
    data, body = stored(iq, "ci16"), fmt()[8:]
    chunks = (b"fmt " + W64_TAIL + struct.pack("<Q", 24 + len(body)) + body).ljust(40, b"\0")
    chunks += b"data" + W64_TAIL + struct.pack("<Q", 24 + len(data)) + data
    head = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
    return head + struct.pack("<Q", 40 + len(chunks)) + b"wave" + W64_TAIL + chunks


def sdriq(iq, bits=16, center_hz=145_800_000):
    """SDRangel: a header of 32 bytes that ends with its checksum."""
    numbers = np.stack([iq.real, iq.imag], 1).astype(float) * 2.0 ** (bits - 1)
    data = np.rint(numbers).astype("<i2" if bits == 16 else "<i4").tobytes()
    head = struct.pack("<IQqII", RATE, center_hz, 1_577_880_000_000, bits, 0)
    return head + struct.pack("<I", zlib.crc32(head)) + data


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def tar(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def every_format(count=300):
    """File name -> bytes of the same tone, for whoever damages them."""
    iq = tone(count)
    return {
        "a.cf32": iq.tobytes(),
        "a.cu8": stored(iq, "cu8"),
        "kiwi.wav": kiwi(iq),
        "console.wav": sdr_console(iq),
        "deep.wav": wav_24_bit(iq),
        "long.wav": rf64(iq),
        "a.w64": w64(iq),
        "a.sdriq": sdriq(iq),
        "deep.sdriq": sdriq(iq, 24),
        "a.npy": npy(iq),
    }
