# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices of a capture, and files that change or cannot be read."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iq_files import edit_meta, expect, tone, write_sigmf, write_wav

from gr_tsddae.iq.captures import (
    CaptureDamagedError,
    CaptureError,
    CaptureMissingError,
    CaptureRangeError,
    open_capture,
)


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
    meta = write_sigmf(tmp_path, tone())
    edit_meta(meta, lambda m: m["global"].pop("core:sha512"))
    with meta.with_suffix(".sigmf-data").open("ab") as file:
        file.write(b"xyz")
    wav = write_wav(tmp_path / "odd.wav", bytes(6))
    for odd, count, words in (
        (path, 125, "1 bytes are left out, where a cf32 sample has 8; is dtype= right?"),
        (meta, 100, "3 bytes"),
        (wav, 1, "2 bytes are left out, where a ci16 sample has 4"),
    ):
        with open_capture(odd) as capture:
            assert len(capture.read(0, capture.sample_count)) == count
            assert words in capture.faults[0] and len(capture.faults) == 1
        expect(CaptureDamagedError, "left out.*; mend it, or read it without", odd, strict=True)


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf"), 1e300])
def test_impossible_sample_rates(tmp_path, rate):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(8))
    expect(CaptureError, "cannot have a sample rate of .* Hz; give one", path, sample_rate_hz=rate)


def test_impossible_centre_frequency(tmp_path):
    path = tmp_path / "capture.cf32"
    path.write_bytes(bytes(8))
    expect(CaptureError, "centre frequency of nan Hz", path, center_frequency_hz=float("nan"))
