# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of WAV as programs write them against the book: order, padding, sizes, other chunks."""

import struct

import numpy as np
import pytest
from iq_files import expect, stored, tone

from gr_tsddae.iq.captures import CaptureDamagedError, open_capture

IQ = tone(1000)
PCM = stored(IQ, "ci16")
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name, content, size=None, *, pad=True, order="<"):
    head = name + struct.pack(order + "I", len(content) if size is None else size)
    return head + content + (b"\0" * (len(content) % 2) if pad else b"")


def fmt(tag=1, bits=16, channels=2, *, frame=None, second=None, order="<", more=b""):
    frame = channels * bits // 8 if frame is None else frame
    fields = (tag, channels, 250_000, 250_000 * frame if second is None else second, frame, bits)
    return chunk(b"fmt ", struct.pack(order + "HHIIHH", *fields) + more, order=order)


def riff(*chunks, magic=b"RIFF", order="<"):
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack(order + "I", len(body)) + body


def big_endian(numbers, bits, tag=1):
    data = chunk(b"data", numbers, order=">")
    return riff(fmt(tag, bits, order=">"), data, magic=b"RIFX", order=">")


def three_bytes(byte_order):
    wide = np.frombuffer(stored(IQ, "ci32"), "<i4") // 256
    four = wide.astype(byte_order + "i4").view("u1").reshape(-1, 4)
    return (four[:, 1:] if byte_order == ">" else four[:, :3]).tobytes()


def in_pieces(before, piece_bytes=308):
    """A `data` chunk per piece of the samples, and another chunk before each."""
    firsts = range(0, len(PCM), piece_bytes)
    return riff(fmt(), *(before + chunk(b"data", PCM[at : at + piece_bytes]) for at in firsts))


def open_bytes(folder, content):
    (folder / "a.wav").write_bytes(content)
    return open_capture(folder / "a.wav")


@pytest.mark.parametrize(
    "content",
    [
        big_endian(np.frombuffer(PCM, "<i2").astype(">i2").tobytes(), 16),
        big_endian(three_bytes(">"), 24),
        big_endian(IQ.view("<f4").astype(">f4").tobytes(), 32, 3),
        in_pieces(chunk(b"kiwi", b"x" * 11, pad=False)),
        in_pieces(chunk(b"kiwi", b"x" * 10)) + b"kiwi\x0a\0",
        riff(chunk(b"LIST", b"abcde", pad=False), fmt(), chunk(b"data", PCM)),
        riff(fmt(), chunk(b"junk", b"abc", pad=False), chunk(b"data", PCM)),
        riff(fmt(), chunk(b"LIST", b"abcde", pad=False) + b"\xff", chunk(b"data", PCM)),
        riff(
            chunk(b"ds64", struct.pack("<QQQI4sQ", 0, len(PCM), 1000, 1, b"JUNK", 8)),
            fmt(),
            chunk(b"JUNK", bytes(8), 0xFFFFFFFF),
            chunk(b"data", PCM, 0xFFFFFFFF),
            chunk(b"LIST", b"INFO"),
            magic=b"RF64",
        ),
        riff(fmt(bits=24, frame=8), chunk(b"data", stored(IQ, "ci32"))),
        riff(
            fmt(0xFFFE, 24, more=struct.pack("<HHIH", 22, 24, 3, 1) + GUID_TAIL),
            chunk(b"data", three_bytes("<")),
        ),
    ],
)  # fmt: skip
def test_every_sample_is_found(tmp_path, content):
    with open_bytes(tmp_path, content) as capture:
        assert (capture.sample_count, capture.sample_rate_hz, capture.faults) == (1000, 250e3, ())
        np.testing.assert_allclose(capture.read(0, 1000), IQ, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "numbers"),
    [
        ({"frame": 2}, PCM),
        ({"frame": 0}, PCM),
        ({"frame": 8, "second": 1_000_000}, PCM),
        ({"frame": 4, "bits": 32, "tag": 3}, IQ.tobytes()),
    ],
)
def test_a_size_of_samples_that_contradicts_their_bits_is_told(tmp_path, wrong, numbers):
    with open_bytes(tmp_path, riff(fmt(**wrong), chunk(b"data", numbers))) as capture:
        assert capture.sample_count == 1000 and "it is read as" in capture.faults[0]
        np.testing.assert_allclose(capture.read(0, 1000), IQ, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (riff(fmt(), chunk(b"data", PCM)) + b"\0" * 512, "has 512 bytes behind its chunk 'data'"),
        (riff(fmt(), chunk(b"data", PCM), b"\0" * 96), "has 96 bytes behind its chunk 'data'"),
        (riff(fmt(), chunk(b"data", PCM)) + b"\1\2\3" * 9, "has 27 bytes behind its chunk 'data'"),
        (riff(fmt(), chunk(b"data", PCM)) + b"TAG" + b"\xff" * 125, "has 128 bytes behind"),
        (riff(fmt(), chunk(b"data", PCM), chunk(b"LIST", b"INFO")) + b"\1\2\3",
         "has 3 bytes behind its chunk 'LIST'"),
        (riff(fmt(), chunk(b"data", PCM), b"\xff" * 7, chunk(b"LIST", b"INFO")),
         "has 7 bytes behind its chunk 'data'"),
        (riff(fmt(), b"\xff" * 30, chunk(b"data", PCM)), "has 30 bytes behind its chunk 'fmt'"),
        (riff(fmt(), b"it is data: " * 4, chunk(b"data", PCM)), "48 bytes behind its chunk 'fmt'"),
        (riff(fmt(), b"\xff" * 30, chunk(b"data", PCM, 0xFFFFFFFF)), "has 30 bytes behind its"),
        (riff(fmt(), chunk(b"LIST", b"x" * 20, 10), chunk(b"data", PCM)), "has 10 bytes behind"),
        (riff(fmt(), chunk(b"LIST", b"x" * 20, 10**6), chunk(b"data", PCM)),
         "names 1000000 bytes in its chunk 'LIST', in which another begins"),
        (riff(fmt(), chunk(b"data", PCM[:2000]), b"\xff" * 9, chunk(b"data", PCM[2000:])),
         "has 9 bytes behind its chunk 'data'"),
        (riff(fmt(), chunk(b"data", PCM[:2000]), fmt(bits=8), chunk(b"data", PCM[2000:])),
         "says twice how it stores samples, and the first is taken"),
        (2 * riff(fmt(), chunk(b"data", PCM)), "is followed by another WAV file of 4044 bytes"),
    ],
)  # fmt: skip
def test_what_belongs_to_no_chunk_is_told_and_is_no_sample(tmp_path, content, told):
    with open_bytes(tmp_path, content) as capture:
        assert capture.sample_count == 1000
        assert len(capture.faults) == 1 and told in capture.faults[0]
        np.testing.assert_allclose(capture.read(0, 1000), IQ, atol=1e-4)


@pytest.mark.parametrize("size", [400, 3600])
def test_samples_behind_a_size_that_is_too_small_are_read(tmp_path, size):
    """Of a recorder that was killed after it had written a size once."""
    with open_bytes(tmp_path, riff(fmt(), chunk(b"data", PCM, size))) as capture:
        assert capture.sample_count == 1000
        assert f"names {size} bytes of samples, and 4000 are there" in capture.faults[0]


def test_a_chunk_with_a_name_of_no_letters_is_passed_over(tmp_path):
    foreign = chunk(b"\1\0\xff\0", b"data" + bytes(16))
    for content in (riff(fmt(), foreign, chunk(b"data", PCM)),
                    riff(fmt(), chunk(b"data", PCM), foreign)):  # fmt: skip
        with open_bytes(tmp_path, content) as capture:
            assert (capture.sample_count, capture.faults) == (1000, ())


@pytest.mark.parametrize("more", [b"", b"\0\0", struct.pack("<HHIH", 22, 0, 3, 0) + bytes(14)])
@pytest.mark.parametrize(
    ("name", "bits", "kind"),
    [("ci16", 16, "PCM"), ("ci32", 32, "PCM"), ("cf32", 32, "float"), ("cf64", 64, "float")],
)
def test_an_extensible_header_without_its_second_part(tmp_path, more, name, bits, kind):
    content = riff(fmt(0xFFFE, bits, more=more), chunk(b"data", stored(IQ, name)))
    with open_bytes(tmp_path, content) as capture:
        assert capture.faults == () and f"it is taken for {kind}" in capture.notes[0]
        np.testing.assert_allclose(capture.read(0, 1000), IQ, atol=1e-4)


@pytest.mark.parametrize("level", [1.0, 1e-3, 1e-6])
def test_weak_samples_of_32_bits_are_told_apart(tmp_path, level):
    for name in ("ci32", "cf32"):
        content = riff(fmt(0xFFFE, 32), chunk(b"data", stored(level * IQ, name)))
        with open_bytes(tmp_path, content) as capture:
            np.testing.assert_allclose(capture.read(0, 1000) / level, IQ, atol=1e-3)


def test_a_header_without_bits(tmp_path):
    """Of 14 bytes, from before WAV had a field for them."""
    short = chunk(b"fmt ", struct.pack("<HHIIH", 1, 2, 250_000, 1_000_000, 4))
    with open_bytes(tmp_path, riff(short, chunk(b"data", PCM))) as capture:
        assert (capture.sample_count, capture.faults) == (1000, ())
        np.testing.assert_allclose(capture.read(0, 1000), IQ, atol=1e-4)


def test_a_chunk_that_the_file_ends_in_is_told(tmp_path):
    capture = open_bytes(tmp_path, riff(fmt(), chunk(b"data", PCM), chunk(b"LIST", b"abc", 4000)))
    assert capture.sample_count == 1000
    assert "ends inside its chunk 'LIST' of 4000 bytes" in capture.faults[0]


def test_a_data_chunk_that_ends_inside_a_sample_is_told(tmp_path):
    with open_bytes(tmp_path, in_pieces(b"", 402)) as capture:
        assert capture.sample_count == 995
        assert "9 data chunks that end inside a sample of 4 bytes" in capture.faults[0]
        np.testing.assert_allclose(capture.read(0, 100), IQ[:100], atol=1e-4)


def test_what_is_no_wav_says_how_to_open_it(tmp_path):
    (tmp_path / "a.wav").write_bytes(PCM)
    expect(CaptureDamagedError, "rename it and give dtype=", tmp_path / "a.wav", dtype="ci16")
    (tmp_path / "a.wav").write_bytes(b"")
    expect(CaptureDamagedError, "is empty; record it again", tmp_path / "a.wav")


XML = '<?xml version="1.0"?><SDR-XML-Root><Definition {}/></SDR-XML-Root>'
TIME = 'UTC="14-03-2021 01:02:03" CurrentTimeUTC="15-03-2021 01:02:03" '


@pytest.mark.parametrize(
    ("attributes", "center_hz", "time"),
    [
        (TIME + 'RadioCenterFreq="101700000"', 101.7e6, "2021-03-14T01:02:03.000Z"),
        ('UTCSeconds="1615683723" RadioCenterFreq="101700000.5"', 101700000.5,
         "2021-03-14T01:02:03.000Z"),
        ("RadioCenterFreq='101700000'", 101.7e6, None),
        ('RadioCenterFreq = "101700000"', 101.7e6, None),
        ('RadioCenterFreq="0"', None, None),
        ('RadioCenterFreq="-5"', None, None),
        ('RadioCenterFreq=""', None, None),
        ('UTC="2021-03-14 01:02"', None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_tuning_in_xml(tmp_path, attributes, center_hz, time, encoding):
    auxi = chunk(b"auxi", ("\r\n" + XML.format(attributes)).encode(encoding))
    capture = open_bytes(tmp_path, riff(fmt(), auxi, chunk(b"data", PCM)))
    assert (capture.center_frequency_hz, capture.start_time) == (center_hz, time)


@pytest.mark.parametrize("content", [b"\1\0" * 80, b"\1" * 160, b"\xff" * 160, b"no tuning " * 9])
def test_bytes_that_are_no_tuning(tmp_path, content):
    auxi = chunk(b"auxi", content)
    capture = open_bytes(tmp_path, riff(fmt(), auxi, chunk(b"data", PCM)))
    assert (capture.center_frequency_hz, capture.start_time) == (None, None)
