# SPDX-License-Identifier: GPL-3.0-or-later
"""IQ WAV: every sample type, unfinished headers, tuning, and one clear sentence per mistake."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iq_files import expect, stored, tone, write_wav

from gr_tsddae.iq.captures import (
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    open_capture,
)


@pytest.mark.parametrize(
    ("tag", "bits", "name", "label"),
    [
        (1, 16, "ci16", "wav pcm16"),
        (1, 32, "ci32", "wav pcm32"),
        (3, 32, "cf32", "wav float32"),
        (3, 64, "cf64", "wav float64"),
    ],
)
def test_wav_round_trip(tmp_path, tag, bits, name, label):
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # odd chunks are padded
    path = write_wav(
        tmp_path / "iq.wav", stored(tone(), name), tag=tag, bits=bits, before=extra, after=extra
    )
    capture = open_capture(path)
    assert (capture.format, capture.sample_count) == (label, 100)
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (48000.0, None)
    assert (capture.header_bytes, capture.trailing_bytes) == (12 + 24 + 12 + 8, 12)
    np.testing.assert_allclose(capture.read(0, 100), tone(), atol=2e-5)


def test_wav_of_8_bits_is_unsigned_around_128(tmp_path):
    path = write_wav(tmp_path / "iq.wav", bytes([128, 0, 255, 128]), bits=8)
    np.testing.assert_allclose(open_capture(path).read(0, 2), [-1j, 127 / 128])


def test_wav_agrees_with_scipy(tmp_path):
    wavfile = pytest.importorskip("scipy.io.wavfile")
    pcm = np.random.default_rng(0).integers(-(2**15), 2**15, (500, 2), dtype=np.int16)
    wavfile.write(tmp_path / "iq.wav", 12345, pcm)
    capture = open_capture(tmp_path / "iq.wav", dtype="ci16")
    assert capture.sample_rate_hz == 12345
    np.testing.assert_allclose(capture.read(0, 500), (pcm[:, 0] + 1j * pcm[:, 1]) / 2**15)


def test_wav_extensible_and_rf64_and_unfinished_headers(tmp_path):
    payload = stored(tone(), "ci16")
    guid_tail = bytes.fromhex("000000001000800000aa00389b71")
    fmt = struct.pack("<HHIIHH", 0xFFFE, 2, 48000, 192000, 4, 16)
    fmt += struct.pack("<HHIH", 22, 16, 3, 1) + guid_tail
    chunks = b"ds64" + struct.pack("<IQQQI", 28, 0, len(payload), 100, 0)
    chunks += b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", 0xFFFFFFFF) + payload + b"LIST\0\0\0\0"
    (tmp_path / "rf64.wav").write_bytes(b"RF64\xff\xff\xff\xffWAVE" + chunks)
    assert open_capture(tmp_path / "rf64.wav").sample_count == 100
    for size in (0, 0xFFFFFFFF):  # the recorder was killed before it wrote the size
        assert open_capture(write_wav(tmp_path / "cut.wav", payload, size=size)).sample_count == 100


def test_wav_tuning_chunk(tmp_path):
    start = struct.pack("<8H", 2024, 5, 0, 17, 12, 30, 15, 250)
    auxi = start + bytes(16) + struct.pack("<IIIII", 145_800_000, 0, 0, 0, 0)
    auxi = b"auxi" + struct.pack("<I", len(auxi)) + auxi
    capture = open_capture(write_wav(tmp_path / "iq.wav", stored(tone(), "ci16"), before=auxi))
    assert capture.center_frequency_hz == 145.8e6
    assert capture.start_time == "2024-05-17T12:30:15.250Z"
    assert capture.time_at(48000) - capture.time_at(0) == pytest.approx(1)


def test_wav_mistakes(tmp_path):
    def wav(**kwargs):
        return write_wav(tmp_path / "bad.wav", bytes(48), **kwargs)

    expect(CaptureFormatError, "has 4 channels where IQ has 2", wav(channels=4))
    expect(CaptureFormatError, "16-bit samples of WAV format 7, .* 16-bit PCM", wav(tag=7))
    expect(CaptureDamagedError, "sample rate of 0 Hz, which is ignored", wav(rate=0), strict=True)
    path = tmp_path / "bad.wav"
    path.write_bytes(b"hello, this is no WAV file")
    expect(CaptureDamagedError, "is not a WAV file in spite of its name", path)
    path.write_bytes(b"RIFF")
    expect(CaptureDamagedError, "ends inside its WAV header", path)
    path.write_bytes(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0")
    expect(CaptureDamagedError, "ends inside its WAV header", path)
    path.write_bytes(b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd")
    expect(CaptureDamagedError, "has no fmt chunk", path)
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    expect(CaptureDamagedError, "has no fmt chunk", path)


def chunk(name, content, size=None):
    return name + struct.pack("<I", len(content) if size is None else size) + content


ANY_SIZE = st.sampled_from([0, 1, 400, 2**31, 2**32 - 2, 2**32 - 1])
FMT = struct.pack("<HHIIHH", 1, 2, 48000, 192000, 4, 16)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    large=st.sampled_from([0, 400, 2**40, 2**63, 2**64 - 1]),
    sizes=st.tuples(st.none() | ANY_SIZE, st.none() | ANY_SIZE, ANY_SIZE),
    last=st.booleans(),
)
def test_sizes_that_no_file_has(tmp_path, large, sizes, last):
    path = tmp_path / "iq.wav"
    parts = [
        chunk(b"ds64", struct.pack("<QQQI", 0, large, 0, 0)),
        chunk(b"fmt ", FMT, sizes[0]),
        chunk(b"auxi", bytes(36), sizes[1]),
        chunk(b"data", stored(tone(), "ci16"), sizes[2]),
        b"" if last else chunk(b"LIST", b"abcd"),
    ]
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + b"".join(parts))
    try:
        capture = open_capture(path)
        capture.read(0, capture.sample_count)
    except CaptureError as error:
        assert "\n" not in str(error)


def test_a_chunk_that_claims_to_be_huge_is_not_loaded(tmp_path):
    """Of a sparse file of 3 GB, which would not fit in the memory that the process may have."""
    path = tmp_path / "iq.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", FMT, 0xFFFFFFF0))
    os.truncate(path, 3 * 2**30)
    code = """
import resource, sys
from gr_tsddae.iq.captures import CaptureError, open_capture
resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))
try:
    open_capture(sys.argv[1])
except CaptureError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "has no data chunk" in done.stdout
