# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of GNU Radio's File Meta Sink: written by hand here, and by GNU Radio where it is."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_tsddae.data import open_dataset
from gr_tsddae.iq.captures import (
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    CaptureMissingError,
    open_capture,
)
from gr_tsddae.iq.sigmf.annotations import write_annotations

SYSTEM_PYTHON = Path("/usr/bin/python3")


def iq_of(count):
    real, imag = np.random.default_rng(0).normal(size=(2, count))
    return (real + 1j * imag).astype(np.complex64)


def symbol(text):
    return b"\x02" + struct.pack(">H", len(text)) + text.encode()


def dictionary(**items):
    """Keys to serialised values -> a serialised PMT dictionary."""
    return b"".join(b"\t\x07" + symbol(k) + v for k, v in items.items()) + b"\x06"


def header(size, *, rate_hz=1e6, frequency_hz=433e6, seconds=0, kind=5, is_complex=True):
    """A header as GNU Radio 3.10 writes it, tags of three kinds behind it."""

    def whole(start):
        return dictionary(
            strt=b"\x0b" + struct.pack(">Q", start),
            bytes=b"\x0b" + struct.pack(">Q", size),
            cplx=b"\x00" if is_complex else b"\x01",
            type=b"\x03" + struct.pack(">i", kind),
            size=b"\x03" + struct.pack(">i", 8),
            rx_time=b"\x0c" + struct.pack(">I", 2)
            + b"\x0b" + struct.pack(">Q", seconds) + b"\x04" + struct.pack(">d", 0.25),
            rx_rate=b"\x04" + struct.pack(">d", rate_hz),
            version=b"\x03" + struct.pack(">i", 0),
        )  # fmt: skip

    extra = dictionary(
        gains=b"\x0a\x08" + struct.pack(">IB", 2, 1) + b"\0" + struct.pack(">ff", 1, 2),
        note=b"\x07" + symbol("a") + b"\x05" + struct.pack(">dd", 1, 2),
        rx_freq=b"\x04" + struct.pack(">d", frequency_hz),
    )
    return whole(len(whole(0)) + len(extra)) + extra


@pytest.fixture(params=["inline", "detached"])
def recording(request, tmp_path):
    """3000 samples in three segments, tuned to 433, 434 and 435 MHz."""
    iq = iq_of(3000)
    parts = [iq[:1000], iq[1000:1900], iq[1900:]]
    headers = [
        header(part.nbytes, frequency_hz=433e6 + i * 1e6, seconds=1_700_000_000 + i)
        for i, part in enumerate(parts)
    ]
    path = tmp_path / "rec.dat"
    if request.param == "inline":
        joined = (h + part.tobytes() for h, part in zip(headers, parts, strict=True))
        path.write_bytes(b"".join(joined))
    else:
        path.write_bytes(iq.tobytes())
        path.with_name("rec.dat.hdr").write_bytes(b"".join(headers))
    return path, iq


REAL = {
    "double": b"\x04" + struct.pack(">d", 1e6),
    "complex": b"\x05" + struct.pack(">dd", 1e6, 0),
    "uint64": b"\x0b" + struct.pack(">Q", 1_000_000),
    "int32": b"\x03" + struct.pack(">i", 1_000_000),
}
NO_NUMBER = {
    "nan": b"\x04" + struct.pack(">d", float("nan")),
    "imaginary": b"\x05" + struct.pack(">dd", 1e6, 1),
    "true": b"\x00",
    "text": symbol("1e6"),
    "pair": b"\x07" + symbol("a") + symbol("b"),
    "vector": b"\x0a\x00" + struct.pack(">IB", 1, 1) + b"\0\x05",
}


def with_numbers(folder, rate, frequency):
    iq, path = iq_of(100), folder / "rec.dat"
    content = header(iq.nbytes)
    length = len(content)
    for key, value, was in (("rx_rate", rate, 1e6), ("rx_freq", frequency, 433e6)):
        old = symbol(key) + b"\x04" + struct.pack(">d", was)
        assert old in content
        content = content.replace(old, symbol(key) + value)
    begin = symbol("strt") + b"\x0b"
    told = begin + struct.pack(">Q", length)
    path.write_bytes(content.replace(told, begin + struct.pack(">Q", len(content))) + iq.tobytes())
    return path


@pytest.mark.parametrize("number", REAL.values(), ids=REAL)
def test_numbers_of_every_type(tmp_path, number):
    with open_capture(with_numbers(tmp_path, number, number)) as capture:
        assert (capture.sample_rate_hz, capture.center_frequency_hz) == (1e6, 1e6)
        assert (capture.sample_count, capture.faults) == (100, ())


@pytest.mark.parametrize("value", NO_NUMBER.values(), ids=NO_NUMBER)
def test_what_is_no_number_is_ignored_and_told(tmp_path, value):
    path = with_numbers(tmp_path, value, value)
    with open_capture(path, sample_rate_hz=2e6) as capture:
        assert (capture.sample_rate_hz, capture.center_frequency_hz) == (2e6, None)
        assert len(capture.faults) == 2 and "which is ignored" in capture.faults[0]
    negative = b"\x04" + struct.pack(">d", -1e6)
    with open_capture(with_numbers(tmp_path, negative, negative)) as capture:
        assert (capture.sample_rate_hz, capture.center_frequency_hz) == (None, -1e6)
        assert "rx_rate is -1e+06, which is ignored" in capture.faults[0]


def test_samples_and_what_headers_say(recording):
    path, iq = recording
    with open_capture(path) as capture:
        assert capture.format == "file-meta cf32" and capture.sample_count == 3000
        assert capture.sample_rate_hz == 1e6
        assert [segment.first_sample for segment in capture.segments] == [0, 1000, 1900]
        assert [segment.frequency_hz for segment in capture.segments] == [433e6, 434e6, 435e6]
        assert capture.start_time == "2023-11-14T22:13:20.250000Z"
        np.testing.assert_array_equal(capture.read(0, 3000), iq)
        np.testing.assert_array_equal(capture.read(950, 1000), iq[950:1950])
        assert capture.read(7, 0).size == 0
        for first, block in capture.blocks(700):
            np.testing.assert_array_equal(block, iq[first : first + 700])
    with pytest.raises(CaptureError, match="closed"):
        capture.read(0, 1)


def cut_while_open(path, code):
    """Run `code` with `path` open as `capture`; what it printed."""
    start = "import os, sys\nfrom gr_tsddae.iq.captures import CaptureError, open_capture\n"
    start += "path = sys.argv[1]\ncapture = open_capture(path)\n"
    done = subprocess.run([sys.executable, "-c", start + code, path], capture_output=True)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


def test_a_recording_of_many_headers_that_is_cut_while_it_is_read(tmp_path):
    iq = iq_of(2000)
    joined = b"".join(header(8) + sample.tobytes() for sample in iq)
    path = tmp_path / "rec.dat"
    path.write_bytes(joined)
    code = f"""
capture.read(0, 2000)
os.truncate(path, {len(joined) // 2})
print(capture.read(0, 990).size)
try:
    capture.read(0, 2000)
except CaptureError as error:
    print(error)
"""
    size, said = cut_while_open(path, code).splitlines()
    assert size == "990"
    assert said.startswith(f"{path} was cut to {len(joined) // 2} bytes while it was being read")


def test_as_a_dataset(recording):
    path, iq = recording
    dataset = open_dataset("captures", path.parent, window_samples=90)
    starts = [*range(0, 911, 90), *range(1000, 1811, 90), *range(1900, 2911, 90)]
    rows = dataset.rows()
    naive = [iq[start : start + 90] for start in starts]
    np.testing.assert_array_equal(rows[:, 0] + 1j * rows[:, 1], naive)


def test_by_the_header_and_with_what_the_user_knows(tmp_path):
    iq = iq_of(100)
    iq.tofile(tmp_path / "a.dat")
    (tmp_path / "a.dat.hdr").write_bytes(header(iq.nbytes))
    with open_capture(tmp_path / "a.dat.hdr", center_frequency_hz=1e9) as capture:
        np.testing.assert_array_equal(capture.read(0, 100), iq)
        assert capture.center_frequency_hz == 1e9 and capture.start_time is None
    with pytest.raises(CaptureFormatError, match="leave dtype out"):
        open_capture(tmp_path / "a.dat", dtype="ci16")


def test_shorts(tmp_path):
    stored = np.arange(-100, 100, dtype="<i2")
    (tmp_path / "a.dat").write_bytes(header(stored.nbytes, kind=1) + stored.tobytes())
    with open_capture(tmp_path / "a.dat") as capture:
        expected = (stored[::2] + 1j * stored[1::2]) / 2**15
        np.testing.assert_allclose(capture.read(0, 100), expected)


def test_a_recorder_that_was_killed_leaves_its_last_header_unfilled(tmp_path):
    iq = iq_of(500)
    first, rest = iq[:200].tobytes(), iq[200:].tobytes()
    (tmp_path / "a.dat").write_bytes(header(len(first)) + first + header(0) + rest)
    with open_capture(tmp_path / "a.dat") as capture:
        np.testing.assert_array_equal(capture.read(0, 500), iq)
    (tmp_path / "b.dat").write_bytes(first + rest)
    (tmp_path / "b.dat.hdr").write_bytes(header(len(first)) + header(0))
    with open_capture(tmp_path / "b.dat") as capture:
        np.testing.assert_array_equal(capture.read(0, 500), iq)


def test_an_annotated_copy_tells_where_the_headers_are(recording, tmp_path):
    path, _ = recording
    with open_capture(path) as capture:
        written = write_annotations(capture, [], tmp_path / "out", model_name="amc-nano")
        with open_capture(written) as copy:
            every = capture.read(0, capture.sample_count)
            np.testing.assert_array_equal(copy.read(0, copy.sample_count), every)
            assert [each.first_sample for each in copy.segments] == [
                each.first_sample for each in capture.segments
            ]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (header(800, kind=4) + bytes(800), CaptureFormatError, "type 4"),
        (header(800)[:60], CaptureDamagedError, "no valid header where one"),
        (header(0), CaptureDamagedError, "holds no samples"),
        (
            header(800).replace(struct.pack(">BQ", 11, 800), struct.pack(">Bq", 13, -800)),
            CaptureDamagedError,
            "its length is wrong",
        ),
        (
            header(8) + bytes(8) + header(8, rate_hz=2e6) + bytes(8),
            CaptureFormatError,
            "changes its rx_rate",
        ),
    ],
)
def test_damage_is_one_clear_sentence(tmp_path, content, error, words):
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(error, match=words) as caught:
        open_capture(tmp_path / "a.dat")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "count", "words"),
    [
        (header(800) + bytes(400), 50, "bytes where its headers name"),
        (header(800) + bytes(800) + b"rest", 100, "bytes where its headers name"),
        (header(800) + bytes(800) + header(800)[:50], 100, "that are there and have a header"),
        (header(804) + bytes(804), 100, "4 bytes are left out, where a cf32 sample has 8"),
    ],
)
def test_a_recorder_that_was_killed_leaves_a_usable_file(tmp_path, content, count, words):
    (tmp_path / "a.dat").write_bytes(content)
    with open_capture(tmp_path / "a.dat") as capture:
        assert len(capture.read(0, capture.sample_count)) == count
        assert len(capture.faults) == 1 and words in capture.faults[0]
    with pytest.raises(CaptureDamagedError, match="read it without strict"):
        open_capture(tmp_path / "a.dat", strict=True)


def test_half_of_a_pair(tmp_path):
    (tmp_path / "a.dat.hdr").write_bytes(header(80))
    with pytest.raises(CaptureMissingError):
        open_capture(tmp_path / "a.dat.hdr")
    (tmp_path / "a.dat").write_bytes(bytes(72))
    with open_capture(tmp_path / "a.dat") as capture:
        assert capture.sample_count == 9
        assert "has 72 bytes where its headers name 80" in capture.faults[0]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_is_a_crash(tmp_path_factory, data):
    content = bytearray(header(80) + bytes(80))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(5, len(header(80)) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "a.dat"
    path.write_bytes(bytes(content[: data.draw(st.integers(6, len(content)))]))
    try:
        open_capture(path).close()
    except CaptureError as error:
        assert "\n" not in str(error)


def real(value):
    return b"\x04" + struct.pack(">d", value)


VALUES = st.sampled_from(
    [
        b"\x00", b"\x01", b"\x06", symbol("x"), dictionary(a=b"\x06"),
        *(b"\x03" + struct.pack(">i", n) for n in (-1, 0, 5, 7)),
        *(b"\x0b" + struct.pack(">Q", n) for n in (0, 80, 2**63, 2**64 - 1)),
        *map(real, (float("nan"), float("inf"), -1.0, 0.0, 1e6, 1e308)),
        b"\x05" + struct.pack(">dd", 1, 2), b"\x07" + real(1.0) + real(float("nan")),
        b"\x0c" + struct.pack(">I", 2) + b"\x0b" + struct.pack(">Q", 2**64 - 1) + real(0.5),
    ]
)  # fmt: skip
KEYS = ("bytes", "cplx", "type", "size", "rx_time", "rx_rate", "rx_freq")


@settings(max_examples=300, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3))
def test_values_of_the_wrong_kind_are_no_crash(tmp_path_factory, changes):
    fields = {
        "bytes": b"\x0b" + struct.pack(">Q", 80), "cplx": b"\x00",
        "type": b"\x03" + struct.pack(">i", 5), "size": b"\x03" + struct.pack(">i", 8),
        "rx_rate": real(1e6),
    } | changes  # fmt: skip
    strt = len(dictionary(strt=b"\x0b" + bytes(8), **fields))
    content = dictionary(strt=b"\x0b" + struct.pack(">Q", strt), **fields) + bytes(80)
    path = tmp_path_factory.mktemp("values") / "a.dat"
    path.write_bytes(content)
    try:
        with open_capture(path) as capture:
            capture.read(0, capture.sample_count)
            frequency_hz = capture.center_frequency_hz
            assert frequency_hz is None or np.isfinite(frequency_hz)
            capture.time_at(9)
    except CaptureError as error:
        assert "\n" not in str(error)


WRITE = """
import sys
import numpy as np
import pmt
from gnuradio import blocks, gr

iq = np.load(sys.argv[1])
retune = (1500, pmt.intern("rx_freq"), pmt.from_double(434e6), pmt.PMT_F)
tags = [gr.tag_utils.python_to_tag(retune)]
extra = pmt.dict_add(pmt.make_dict(), pmt.intern("rx_freq"), pmt.from_double(433e6))
for name, detached in (("inline.dat", False), ("detached.dat", True)):
    top = gr.top_block()
    source = blocks.vector_source_c(iq.tolist(), False, 1, tags)
    sink = blocks.file_meta_sink(
        gr.sizeof_gr_complex, sys.argv[2] + "/" + name, 250e3, 1, blocks.GR_FILE_FLOAT, True, 1000,
        extra, detached,
    )
    top.connect(source, sink)
    top.run()
    sink.close()
"""


def has_gnuradio():
    command = [SYSTEM_PYTHON, "-c", "import gnuradio.blocks"]
    return SYSTEM_PYTHON.exists() and not subprocess.run(command, capture_output=True).returncode


@pytest.mark.parametrize("name", ["inline.dat", "detached.dat"])
def test_what_gnuradio_writes(tmp_path, name):
    if not has_gnuradio():
        pytest.skip("no GNU Radio")
    iq = iq_of(3300)
    np.save(tmp_path / "iq.npy", iq)
    command = [SYSTEM_PYTHON, "-c", WRITE, tmp_path / "iq.npy", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    with open_capture(tmp_path / name) as capture:
        np.testing.assert_array_equal(capture.read(0, 3300), iq)
        assert capture.sample_rate_hz == 250e3
        assert capture.center_frequency_at(0) == 433e6
        assert capture.center_frequency_at(1500) == 434e6
        assert capture.center_frequency_at(1499) == 433e6


@pytest.mark.parametrize(("seconds", "known"), [(86400 * 400, False), (1_700_000_000, True)])
def test_the_time_of_a_clock_that_nobody_set_is_no_time(tmp_path, seconds, known):
    path = tmp_path / "a.dat"
    path.write_bytes(header(80, seconds=seconds) + bytes(80))
    assert (open_capture(path).start_time is not None) == known
