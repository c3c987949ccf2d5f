# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of every format: round trips, slices, tunings, and one clear sentence per mistake."""

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gr_tsddae.iq.captures import (
    Annotation,
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    CaptureMissingError,
    CaptureRangeError,
    Segment,
    open_capture,
)
from gr_tsddae.iq.formats.sample_format import SampleFormat

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


# --- round trips -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_raw_round_trip(tmp_path, name):
    iq, path = tone(), tmp_path / "capture.raw"
    path.write_bytes(stored(iq, name))
    with open_capture(path, dtype=name, sample_rate_hz=1e6, center_frequency_hz=433e6) as capture:
        got = capture.read(0, 100)
    assert got.dtype == np.complex64 and got.shape == (100,)
    error = got - iq
    assert max(np.abs(error.real).max(), np.abs(error.imag).max()) <= FORMATS[name][3] + 1e-6
    assert (capture.format, capture.sample_count) == (name, 100)
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (1e6, 433e6)
    assert capture.duration_s == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".cf32", "cf32"),
        (".fc32", "cf32"),
        (".cfile", "cf32"),
        (".complex", "cf32"),
        (".CF32", "cf32"),
        (".ci16", "ci16"),
        (".cs16", "ci16"),
        (".sc16", "ci16"),
        (".cs8", "ci8"),
        (".ci8", "ci8"),
        (".cu8", "cu8"),
        (".complex16s", "ci8"),  # Universal Radio Hacker counts the bits of the pair
        (".complex16u", "cu8"),
        (".complex32s", "ci16"),
        (".complex32u", "cu16"),
    ],
)
def test_extension_says_the_format(tmp_path, suffix, name):
    path = tmp_path / f"capture{suffix}"
    path.write_bytes(stored(tone(), name))
    capture = open_capture(path)
    assert capture.format == name
    np.testing.assert_allclose(capture.read(0, 100), tone(), atol=1e-2)


def test_cu8_of_an_rtl_sdr_rests_at_zero(tmp_path):
    path = tmp_path / "capture.cu8"
    path.write_bytes(bytes([127, 128, 0, 255]))
    expected = [(-0.4 + 0.6j) / 128, (-127.4 + 127.6j) / 128]
    np.testing.assert_allclose(open_capture(path).read(0, 2), expected, rtol=1e-4)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("ask", [".sigmf-meta", ".sigmf-data"])
def test_sigmf_pair_round_trip(tmp_path, name, ask):
    has_order = name.endswith("_be") or name in ("ci8", "cu8")
    meta = write_sigmf(tmp_path, tone(), name if has_order else name + "_le", sample_rate=2e6)
    capture = open_capture(meta.with_suffix(ask))
    np.testing.assert_allclose(capture.read(0, 100), tone(), atol=FORMATS[name][3] * 1.5 + 1e-6)
    assert capture.format == f"sigmf {name}"
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (2e6, None)
    assert capture.segments == (Segment(0),)


def test_sigmf_archive_is_mapped_in_place(tmp_path):
    meta = write_sigmf(tmp_path, tone(), sample_rate=2e6)
    archive = tmp_path / "rec.sigmf"
    with tarfile.open(archive, "w") as tar:
        for file in (meta, meta.with_suffix(".sigmf-data")):
            tar.add(file, arcname=f"rec/{file.name}")
    capture = open_capture(archive)
    assert capture.data_path == archive
    np.testing.assert_array_equal(capture.read(7, 50), tone()[7:57])


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


def test_the_user_knows_better_than_the_file(tmp_path):
    tuning = [{"core:sample_start": 0, "core:frequency": 1e6}]
    meta = write_sigmf(tmp_path, tone(), sample_rate=2e6, captures=tuning)
    capture = open_capture(meta, sample_rate_hz=1e6, center_frequency_hz=5e6, dtype="cf32")
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (1e6, 5e6)


# --- slices ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """A ci16 capture of 1000 samples whose I counts up and whose Q counts down."""
    path = tmp_path_factory.mktemp("counting") / "capture.ci16"
    count = np.arange(1000, dtype="<i2")
    np.stack([count, -count], axis=1).tofile(path)
    return open_capture(path)


@given(first=st.integers(0, 1000), count=st.integers(0, 1000))
def test_any_slice(counting, first, count):
    if first + count > 1000:
        with pytest.raises(CaptureRangeError):
            counting.read(first, count)
        return
    expected = np.arange(first, first + count) * (1 - 1j)
    np.testing.assert_allclose(counting.read(first, count) * 2**15, expected)


@given(block=st.integers(1, 1500))
def test_blocks_cover_the_capture_once(counting, block):
    end = 0
    for first, iq in counting.blocks(block):
        assert first == end and 1 <= len(iq) <= block and iq.dtype == np.complex64
        assert iq[0].real * 2**15 == first
        end += len(iq)
    assert end == 1000


def test_reading_gives_a_copy(counting):
    counting.read(0, 10)[:] = 0
    assert counting.read(9, 1)[0] != 0


def test_nan_and_infinity_come_as_they_are(tmp_path):
    path = tmp_path / "capture.cf32"
    np.array([np.nan, 1, np.inf, -np.inf], "<f4").tofile(path)
    i, q = open_capture(path).read(0, 2)
    assert np.isnan(i.real) and i.imag == 1 and q.real == np.inf and q.imag == -np.inf


def test_float64_beyond_float32_becomes_infinity_without_a_warning(tmp_path, recwarn):
    path = tmp_path / "capture.cf64"
    np.array([1e300, -1e300], "<f8").tofile(path)
    assert np.isinf(open_capture(path).read(0, 1)).all()
    assert not recwarn.list


def test_a_large_file_is_not_loaded(tmp_path):
    path = tmp_path / "capture.cf32"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 8 * 2**33)  # 64 GiB, sparse
    with open_capture(path) as capture:
        assert capture.sample_count == 2**33
        assert not capture.read(2**33 - 4, 4).any()


@pytest.mark.parametrize(("first", "count"), [(-1, 2), (0, 1001), (1001, 0), (5, -1)])
def test_reading_beyond_the_capture(counting, first, count):
    with pytest.raises(CaptureRangeError, match=r"holds samples 0 to 999, so .* ask for fewer"):
        counting.read(first, count)


def test_blocks_of_nothing(counting):
    with pytest.raises(CaptureRangeError, match="at least 1 sample, not 0"):
        counting.blocks(0)


def test_a_closed_capture_says_so(tmp_path):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(80))
    with open_capture(path) as capture:
        capture.read(0, 10)
    capture.close()
    with pytest.raises(CaptureError, match="is closed; open it again"):
        capture.read(0, 1)


def test_a_file_that_shrank(tmp_path):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(80))
    capture = open_capture(path)
    path.write_bytes(bytes(8))
    with pytest.raises(CaptureMissingError, match="cannot be read any more"):
        capture.read(0, 1)


def test_a_file_that_is_cut_while_it_is_read(tmp_path):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(1 << 16))
    with open_capture(path) as capture:
        capture.read(0, 10)
        os.truncate(path, 80)
        with pytest.raises(CaptureMissingError, match="was cut to 80 bytes"):
            capture.read(4000, 1000)
        assert len(capture.read(0, 10)) == 10


# --- SigMF metadata --------------------------------------------------------------------------


def test_segments_behind_the_end_of_a_recording_cut_short(tmp_path):
    meta = write_sigmf(
        tmp_path,
        tone(1000),
        captures=[
            {"core:sample_start": 0, "core:frequency": 434e6},
            {"core:sample_start": 1000, "core:frequency": 435e6},
        ],
    )
    with open_capture(meta) as capture:
        assert [s.frequency_hz for s in capture.segments] == [434e6]


def test_segments_annotations_and_offset(tmp_path):
    meta = write_sigmf(
        tmp_path,
        tone(1000),
        sample_rate=1000.0,
        offset=5000,
        captures=[
            {"core:sample_start": 5400, "core:frequency": 434e6},
            {
                "core:sample_start": 5000,
                "core:frequency": 433e6,
                "core:datetime": "2024-05-17T12:30:15.123456789Z",
            },
        ],
        annotations=[
            {"core:sample_start": 5900, "core:sample_count": 500, "core:label": "late"},
            {"core:sample_start": 5100, "core:label": "open", "core:generator": "gr-tsddae 1"},
            {"core:sample_start": 5200, "core:sample_count": 10, "core:comment": "no label"},
            {"core:sample_start": 6000, "core:sample_count": 10, "core:label": "outside"},
        ],
    )
    capture = open_capture(meta)
    assert [segment.first_sample for segment in capture.segments] == [0, 400]
    assert capture.center_frequency_hz == 433e6
    assert [capture.center_frequency_at(n) for n in (0, 399, 400, 999)] == [433e6] * 2 + [434e6] * 2
    assert capture.annotations == (
        Annotation(100, 300, "open", "gr-tsddae 1"),  # to the end of its segment
        Annotation(900, 100, "late"),  # cut at the end of the file
    )
    assert capture.start_time == "2024-05-17T12:30:15.123456789Z"
    assert capture.time_at(250) == pytest.approx(1715949015.123456 + 0.25, abs=1e-6)
    assert capture.time_at(400) is None  # the second segment has no time


def test_a_tuning_that_starts_late(tmp_path):
    late = [{"core:sample_start": 50, "core:frequency": 1e6}]
    capture = open_capture(write_sigmf(tmp_path, tone(), captures=late))
    assert capture.center_frequency_at(49) is None
    assert capture.center_frequency_at(50) == 1e6


def test_missing_sections_are_forgiven(tmp_path):
    meta = write_sigmf(tmp_path, tone())

    def bare(metadata):
        del metadata["captures"], metadata["annotations"], metadata["global"]["core:version"]

    edit_meta(meta, bare)
    assert open_capture(meta).segments == (Segment(0),)


def test_non_conforming_dataset(tmp_path):
    meta = write_sigmf(tmp_path, tone(), trailing_bytes=3)
    data = meta.with_suffix(".sigmf-data")
    (tmp_path / "rec.bin").write_bytes(b"head" + data.read_bytes() + b"end")
    data.unlink()

    def refer(metadata):
        metadata["global"]["core:dataset"] = "rec.bin"
        metadata["captures"][0]["core:header_bytes"] = 4
        del metadata["global"]["core:sha512"]

    edit_meta(meta, refer)
    capture = open_capture(meta)
    assert (capture.header_bytes, capture.trailing_bytes) == (4, 3)
    np.testing.assert_array_equal(capture.read(0, 100), tone())


def test_checksum(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    data = meta.with_suffix(".sigmf-data")
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    expect(CaptureDamagedError, r"core:sha512 \w{8}\.\.\., found \w{8}.*copy it again", meta)
    assert open_capture(meta, verify=False).sample_count == 100


def test_metadata_cannot_point_out_of_its_folder(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    edit_meta(meta, lambda m: m["global"].update({"core:dataset": "../../secret.bin"}))
    with pytest.raises(CaptureError):
        open_capture(meta)


# --- mistakes --------------------------------------------------------------------------------


def test_missing_file_and_directory(tmp_path):
    for name in ("no.cf32", "no.wav", "no.sigmf-meta", "no.sigmf-data", "no.sigmf"):
        expect(CaptureMissingError, rf"{name} does not exist; check the path", tmp_path / name)
    expect(CaptureMissingError, "is a directory; name one recording", tmp_path)


def test_not_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.cf32")
    expect(CaptureMissingError, "is not a regular file", tmp_path / "pipe.cf32")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(8))
    path.chmod(0)
    expect(CaptureMissingError, "check its permissions", path)


def test_empty_captures(tmp_path):
    (tmp_path / "empty.cf32").touch()
    expect(CaptureDamagedError, "empty.cf32 holds no samples", tmp_path / "empty.cf32")
    expect(CaptureDamagedError, "holds no samples", write_wav(tmp_path / "empty.wav", b""))
    meta = write_sigmf(tmp_path, tone(0))
    expect(CaptureDamagedError, "holds no samples", meta)


def test_odd_byte_counts(tmp_path):
    path = tmp_path / "odd.cf32"
    path.write_bytes(bytes(1001))
    message = (
        r"holds 1001 bytes of samples, which is not a whole number of 8-byte cf32 samples "
        r"\(1 left over\); give the right dtype=, or cut the file"
    )
    expect(CaptureDamagedError, message, path)
    meta = write_sigmf(tmp_path, tone())
    with meta.with_suffix(".sigmf-data").open("ab") as file:
        file.write(b"xyz")
    expect(CaptureDamagedError, r"803 bytes .* \(3 left over\)", meta)
    expect(CaptureDamagedError, r"4-byte ci16", write_wav(tmp_path / "odd.wav", bytes(6)))


@pytest.mark.parametrize("name", ["capture.iq", "capture.raw", "capture.dat", "capture"])
def test_unknown_extensions_list_what_is_possible(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(16))
    suffix = re.escape(repr(Path(name).suffix))
    message = (
        rf"the extension {suffix} .* give dtype= one of cf32, cf64, ci8, ci16, ci32, cu8, cu16"
    )
    expect(CaptureFormatError, message, tmp_path / name)


@pytest.mark.parametrize("dtype", ["float", "ri16_le", "cf16", "cu64", "ci16_xe", "c", "", "cf8"])
def test_unknown_dtypes_list_what_is_possible(tmp_path, dtype):
    (tmp_path / "capture.iq").write_bytes(bytes(16))
    message = f"{dtype!r} is not a known format of complex samples; use one of cf32, "
    expect(CaptureFormatError, message, tmp_path / "capture.iq", dtype=dtype)


def test_a_dtype_that_contradicts(tmp_path):
    message = "says it holds ci16 samples, but dtype='cf32' was given; leave dtype out"
    wav = write_wav(tmp_path / "iq.wav", stored(tone(), "ci16"))
    expect(CaptureFormatError, message, wav, dtype="cf32")
    meta = write_sigmf(tmp_path, tone(), "ci16_le")
    expect(CaptureFormatError, message, meta, dtype="cf32")


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf")])
def test_impossible_sample_rates(tmp_path, rate):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(8))
    expect(
        CaptureError, "cannot have a sample rate of .* Hz; give a pos", path, sample_rate_hz=rate
    )


def test_impossible_centre_frequency(tmp_path):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(8))
    expect(CaptureError, "centre frequency of nan Hz", path, center_frequency_hz=float("nan"))


def test_wav_mistakes(tmp_path):
    def wav(**kwargs):
        return write_wav(tmp_path / "bad.wav", bytes(48), **kwargs)

    expect(CaptureFormatError, "has 1 channel where IQ needs 2", wav(channels=1))
    expect(CaptureFormatError, "has 4 channels where IQ needs 2", wav(channels=4))
    expect(CaptureFormatError, "24-bit samples of WAV format 1, .* 16-bit PCM", wav(bits=24))
    expect(CaptureError, "sample rate of 0.0 Hz", wav(rate=0))
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


def test_sigmf_halves(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    data = meta.with_suffix(".sigmf-data")
    kept = meta.read_bytes()
    meta.unlink()
    expect(CaptureMissingError, "rec.sigmf-meta is not beside it; put both", data)
    meta.write_bytes(kept)
    data.unlink()
    expect(CaptureMissingError, "rec.sigmf-data is not beside it; put both", meta)
    edit_meta(meta, lambda m: m["global"].update({"core:metadata_only": True}))
    expect(CaptureMissingError, "published without samples", meta)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "no 'global' object"),
        (b'{"global": 3}', "no 'global' object"),
        (b'{"global": {}}', "not valid SigMF: global: 'core:datatype' is a required property"),
        (b'{"global": {"core:datatype": "cf99"}}', "not valid SigMF: global.core:datatype"),
    ],
)
def test_broken_metadata(tmp_path, text, message):
    meta = write_sigmf(tmp_path, tone())
    meta.write_bytes(text)
    expect(CaptureDamagedError, message, meta)


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("global", {"core:datatype": "cf32_le", "core:sample_rate": "fast"}, "core:sample_rate"),
        ("global", {"core:datatype": "cf32_le", "core:sample_rate": 0}, "core:sample_rate"),
        ("captures", 7, "captures"),
        ("captures", [{"core:frequency": 1}], "core:sample_start"),
        ("captures", ["x"], "captures.0"),
        ("annotations", [{"core:sample_start": -1}], "annotations.0.core:sample_start"),
    ],
)
def test_invalid_fields_are_named(tmp_path, section, value, message):
    meta = write_sigmf(tmp_path, tone())
    edit_meta(meta, lambda m: m.update({section: value}))
    expect(CaptureDamagedError, rf"not valid SigMF: .*{message}.*; mend this field", meta)


def test_sigmf_that_is_not_one_complex_channel(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    edit_meta(meta, lambda m: m["global"].update({"core:datatype": "rf32_le"}))
    expect(CaptureFormatError, r"holds real samples \(rf32_le\) where complex", meta)
    edit_meta(meta, lambda m: m["global"].update({"core:datatype": "cf32_le"}))
    edit_meta(meta, lambda m: m["global"].update({"core:num_channels": 2}))
    expect(CaptureFormatError, "interleaves 2 channels where 1 is expected", meta)


def test_header_bytes(tmp_path):
    captures = [{"core:sample_start": 0}, {"core:sample_start": 9, "core:header_bytes": 4}]
    expect(
        CaptureFormatError,
        "header bytes between its segments",
        write_sigmf(tmp_path, tone(), captures=captures),
    )
    captures = [{"core:sample_start": 0, "core:header_bytes": 801}]
    expect(
        CaptureDamagedError,
        "holds 800 bytes, fewer than the 801 header and 0 trailing",
        write_sigmf(tmp_path, tone(), captures=captures),
    )


def test_archive_mistakes(tmp_path):
    path = tmp_path / "rec.sigmf"
    path.write_bytes(b"not a tar archive at all" * 100)
    expect(CaptureDamagedError, "is not an uncompressed SigMF archive", path)
    path.write_bytes(b"")
    expect(CaptureDamagedError, "is not an uncompressed SigMF archive", path)
    meta = write_sigmf(tmp_path, tone(5000))
    with tarfile.open(path, "w") as tar:
        tar.add(meta, arcname="rec.sigmf-meta")
    expect(CaptureMissingError, "has no rec.sigmf-data in it", path)
    with tarfile.open(path, "w") as tar:
        tar.add(meta, arcname="a.sigmf-meta")
        tar.add(meta, arcname="b.sigmf-meta")
    expect(CaptureFormatError, "holds 2 recordings where 1 is expected", path)
    with tarfile.open(path, "w") as tar:
        tar.add(meta, arcname="rec.sigmf-meta")
        tar.add(meta.with_suffix(".sigmf-data"), arcname="rec.sigmf-data")
    os.truncate(path, path.stat().st_size // 2)
    expect(CaptureDamagedError, "copy it again", path)


def test_compressed_archives_and_collections(tmp_path):
    for name in ("rec.sigmf.gz", "rec.sigmf.xz", "rec.sigmf.zip"):
        expect(CaptureFormatError, "is compressed .* unpack it first", tmp_path / name)
    expect(CaptureFormatError, "names several recordings", tmp_path / "all.sigmf-collection")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.binary(max_size=200), suffix=st.sampled_from([".wav", ".sigmf", ".sigmf-meta"]))
def test_garbage_is_never_a_traceback(tmp_path, data, suffix):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(data if suffix != ".wav" else b"RIFF\0\0\0\0WAVE" + data)
    try:
        open_capture(path)
    except CaptureError as error:
        assert "\n" not in str(error)


# --- names and lightness -----------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_format_names(name):
    sample_format = SampleFormat.parse(name)
    assert sample_format.name == name
    assert SampleFormat.parse(sample_format.sigmf_datatype) == sample_format
    assert sample_format.bytes_per_sample == len(stored(tone(1), name))


def test_importing_iq_stays_light():
    code = (
        "import sys, gr_tsddae.iq; "
        "heavy = {'torch', 'scipy', 'matplotlib', 'sigmf', 'gnuradio'} & set(sys.modules); "
        "assert not heavy, heavy; import gr_tsddae.iq.captures; "
        "heavy = {'torch', 'scipy', 'matplotlib', 'sigmf', 'gnuradio'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=with_this_path())


def with_this_path():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


# --- the recordings that come with the project -------------------------------------------------

RECORDINGS = Path(__file__).parents[2] / "examples" / "data"
METAS = sorted(RECORDINGS.glob("*.sigmf-meta"))


def test_there_are_recordings_and_they_are_small():
    assert len(METAS) >= 8
    files = list(RECORDINGS.rglob("*"))
    assert sum(file.stat().st_size for file in files) <= 6 * 2**20
    assert {meta.stem for meta in METAS} == {f.stem for f in files if f.suffix == ".sigmf-data"}


@pytest.mark.parametrize("meta", METAS, ids=lambda meta: meta.stem)
def test_recording(meta):
    sigmf = pytest.importorskip("sigmf")
    sigmf.fromfile(meta).validate()  # the library also compares core:sha512
    info = json.loads(meta.read_text())["global"]
    assert info["core:license"].startswith("https://spdx.org/licenses/")
    assert info["core:author"] and info["core:description"] and info["core:sha512"]
    assert "/work" not in meta.read_text() and "/home" not in meta.read_text()
    assert f"| {meta.stem} |" in (RECORDINGS / "README.md").read_text()
    with open_capture(meta, verify=True) as capture:
        assert capture.annotations
        previous_end = 0
        for annotation in capture.annotations:  # truth without overlaps or gaps
            assert annotation.first_sample == previous_end
            previous_end = annotation.first_sample + annotation.sample_count
        assert previous_end == capture.sample_count
        assert np.isfinite(capture.read(0, capture.sample_count)).all()


@pytest.mark.parametrize("meta", METAS, ids=lambda meta: meta.stem)
def test_recorded_signals_are_louder_than_the_noise_beside_them(meta):
    with open_capture(meta) as capture:
        power = [
            np.mean(np.abs(capture.read(a.first_sample, a.sample_count)) ** 2)
            for a in capture.annotations
        ]
    labels = [annotation.label for annotation in capture.annotations]
    noise = [p for p, label in zip(power, labels, strict=True) if label == "noise"]
    signal = [p for p, label in zip(power, labels, strict=True) if label != "noise"]
    assert signal
    assert not noise or min(signal) > 4 * max(noise)


@pytest.mark.parametrize(
    ("name", "offset"), [("bpsk-kr01", -0.00064), ("bpsk-pwsat2", -0.0053), ("bpsk-picsat", 0.004)]
)
def test_bpsk_recordings_have_the_line_that_bpsk_has(name, offset):
    with open_capture(RECORDINGS / f"{name}.sigmf-meta") as capture:
        burst = [a for a in capture.annotations if a.label == "BPSK"][-1]
        squared = capture.read(burst.first_sample, burst.sample_count) ** 2
    spectrum = np.abs(np.fft.fft(squared * np.hanning(len(squared))))
    line = np.fft.fftfreq(len(squared))[spectrum.argmax()] / 2
    assert line == pytest.approx(offset, abs=3e-4)
    assert spectrum.max() > 20 * np.median(spectrum)
