# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF metadata of every kind: which samples are meant, and numbers that are none."""

import json
import math
import os
import re
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iq_files import FORMATS, edit_meta, expect, tone, write_sigmf

from gr_tsddae.data import open_dataset
from gr_tsddae.iq.captures import (
    Annotation,
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    CaptureMissingError,
    Segment,
    open_capture,
)
from gr_tsddae.iq.sigmf.annotations import write_annotations
from gr_tsddae.iq.sigmf.metadata import annotated_samples
from gr_tsddae.iq.sigmf.model_annotation import ModelAnnotation

sigmf = pytest.importorskip("sigmf")


def write(folder, info=(), captures=({"core:sample_start": 0},), annotations=(), count=1000):
    """A SigMF pair of `count` samples; returns the path of the metadata."""
    iq = np.random.default_rng(0).normal(size=(count, 2)).astype("<f4")
    iq.tofile(folder / "rec.sigmf-data")
    metadata = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0", **dict(info)},
        "captures": captures,
        "annotations": annotations,
    }
    (folder / "rec.sigmf-meta").write_text(json.dumps(metadata))
    return folder / "rec.sigmf-meta"


def test_an_annotation_that_begins_before_the_file_loses_what_lies_before(tmp_path):
    notes = [
        {"core:sample_start": 4900, "core:sample_count": 50, "core:label": "before"},
        {"core:sample_start": 4900, "core:sample_count": 300, "core:label": "normal"},
        {
            "core:sample_start": 5900,
            "core:sample_count": 300,
            "core:label": "anomaly",
            "core:comment": "SIR 3 dB",
        },
    ]
    start = [{"core:sample_start": 5000}]
    meta = write(tmp_path, {"core:offset": 5000}, start, notes)
    assert open_capture(meta).annotations == (
        Annotation(0, 200, "normal"), Annotation(900, 100, "anomaly")
    )  # fmt: skip
    dataset = open_dataset("icarus", tmp_path, window_samples=100)
    assert dataset.label.tolist() == [0, 0, 1]


@given(
    offset=st.integers(0, 50),
    starts=st.lists(st.integers(0, 120), max_size=4),
    drawn=st.lists(st.tuples(st.integers(0, 150), st.none() | st.integers(0, 100)), max_size=5),
)
def test_annotated_samples_against_a_walk_over_all_samples(offset, starts, drawn):
    count = 60
    metadata = {
        "global": {"core:offset": offset},
        "captures": [{"core:sample_start": start} for start in starts],
        "annotations": [
            {"core:sample_start": first} | ({} if length is None else {"core:sample_count": length})
            for first, length in drawn
        ],
    }
    found = {
        id(entry): set(range(first, end))
        for entry, first, end in annotated_samples(metadata, count)
    }
    for entry, (first, length) in zip(metadata["annotations"], drawn, strict=True):
        meant = set()
        for sample in range(first, first + length if length is not None else count + offset):
            if length is None and sample > first and sample in starts:
                break
            meant.add(sample - offset)
        assert found.get(id(entry), set()) == meant & set(range(count))


NUMBERS = [
    float("nan"), float("inf"), -float("inf"), -1, -0.5, 0, 1, 10**30, 10**400, 1e308, 1e30,
    True, None, "7", [], {},
]  # fmt: skip
FIELDS = {
    "global": ["sample_rate", "offset", "trailing_bytes", "num_channels"],
    "captures": ["sample_start", "frequency", "header_bytes", "datetime"],
    "annotations": ["sample_start", "sample_count", "freq_lower_edge", "freq_upper_edge"],
}


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_number_that_is_none_is_refused_in_one_sentence_or_ignored(tmp_path, data):
    sections = {
        "global": {}, "captures": {"core:sample_start": 0},
        "annotations": {"core:sample_start": 0, "core:label": "x"},
    }  # fmt: skip
    for _ in range(data.draw(st.integers(1, 3))):
        section = data.draw(st.sampled_from(sorted(FIELDS)))
        field = data.draw(st.sampled_from(FIELDS[section]))
        sections[section][f"core:{field}"] = data.draw(st.sampled_from(NUMBERS))
    meta = write(tmp_path, sections["global"], [sections["captures"]], [sections["annotations"]])
    try:
        capture = open_capture(meta)
        frequency_hz = capture.center_frequency_at(capture.sample_count - 1)
        assert frequency_hz is None or math.isfinite(frequency_hz)
        assert capture.sample_rate_hz is None or 0 < capture.sample_rate_hz < math.inf
        capture.read(0, capture.sample_count)
        capture.time_at(capture.sample_count - 1)
        for note in capture.annotations:
            capture.read(note.first_sample, note.sample_count)
        said = [ModelAnnotation(0, capture.sample_count, "x", "m", 0.5, None, None)]
        write_annotations(capture, said, tmp_path / "out", model_name="m")
    except CaptureError as error:
        assert "\n" not in str(error)


def test_what_is_ignored_is_told(tmp_path):
    segment = {"core:sample_start": 0, "core:frequency": float("nan")}
    meta = write(tmp_path, {"lab:gain": float("inf")}, [segment])
    capture = open_capture(meta)
    assert capture.center_frequency_hz is None and "lab:gain" not in capture.metadata
    assert list(capture.faults) == [
        f"{meta}: ignored lab:gain, which is inf",
        f"{meta}: ignored core:frequency, which is nan",
    ]


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
        assert "1 of 2 captures begin behind the 1000 samples and are left out" in capture.faults[0]


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
    wrong = r"core:sha512 \w{8}\.\.\., found \w{8}"
    expect(CaptureDamagedError, f"{wrong}.*copy it again", meta, verify=True)
    expect(CaptureDamagedError, wrong, meta, strict=True)
    (fault,) = open_capture(meta).faults
    assert re.search(wrong, fault)
    assert not open_capture(meta, verify=False).faults


def test_metadata_cannot_point_out_of_its_folder(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    edit_meta(meta, lambda m: m["global"].update({"core:dataset": "../../secret.bin"}))
    meta.with_suffix(".sigmf-data").unlink()
    (tmp_path.parent / "secret.bin").write_bytes(bytes(800))
    with pytest.raises(CaptureError):
        open_capture(meta)


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
        ("global", {"core:datatype": "cf32_le", "core:offset": -1}, "core:offset"),
        ("captures", 7, "captures"),
        ("captures", [{"core:sample_start": 0}, {"core:frequency": 1}], "core:sample_start"),
        ("captures", ["x"], "captures.0"),
        ("captures", [{"core:sample_start": 0, "core:header_bytes": "x"}], "core:header_bytes"),
    ],
)
def test_invalid_fields_are_named(tmp_path, section, value, message):
    meta = write_sigmf(tmp_path, tone())
    edit_meta(meta, lambda m: m.update({section: value}))
    expect(CaptureDamagedError, rf"not valid SigMF: .*{message}.*; mend this field", meta)


@pytest.mark.parametrize(
    ("section", "value", "place"),
    [
        ("global", {"core:author": None}, "core:author"),
        ("global", {"core:extensions": {"antenna": "v0.9.0"}}, "core:extensions"),
        ("global", {"core:sample_rate": 0}, "core:sample_rate"),
        ("global", {"core:sample_rate": "fast"}, "core:sample_rate"),
        ("captures", [{"core:sample_start": 0, "core:frequency": "x"}], "captures.0.core:freq"),
        ("captures", [{"core:sample_start": 0, "core:datetime": "noon"}], "captures.0.core:date"),
        ("annotations", [{"core:sample_start": -1}, {}, 7], "annotations.0.core:sample_start"),
        ("annotations", {}, "annotations"),
    ],
)
def test_a_wrong_field_that_samples_do_not_depend_on_is_left_out(tmp_path, section, value, place):
    meta = write_sigmf(tmp_path, tone())

    def spoil(metadata):
        metadata[section] = metadata["global"] | value if section == "global" else value

    edit_meta(meta, spoil)
    with open_capture(meta) as capture:
        np.testing.assert_array_equal(capture.read(0, 100), tone())
        assert capture.faults and all("is not valid SigMF" in fault for fault in capture.faults)
        assert f"{place}" in " ".join(capture.faults)
        assert capture.sample_rate_hz is None and capture.annotations == ()
    expect(CaptureDamagedError, "is not valid SigMF", meta, strict=True)


def test_a_type_that_can_be_read_all_the_same(tmp_path):
    meta = write_sigmf(tmp_path, tone(), "ci16")  # early writers left the byte order out
    with open_capture(meta) as capture:
        assert (capture.sample_format.name, capture.faults) == ("ci16", ())
    edit_meta(meta, lambda m: m["global"].update({"core:datatype": "CI16_BE"}))
    with open_capture(meta) as capture:
        assert capture.sample_format.name == "ci16_be"
        assert "it is read as CI16_BE" in capture.faults[0]


def test_a_wrong_annotation_leaves_the_others(tmp_path):
    notes = [{"core:sample_start": n, "core:sample_count": 5, "core:label": str(n)} for n in (0, 9)]
    meta = write_sigmf(tmp_path, tone(), annotations=[notes[0], {"core:label": "x"}, notes[1]])
    with open_capture(meta) as capture:
        assert [note.label for note in capture.annotations] == ["0", "9"]


def test_channels(tmp_path):
    meta, iq = write_sigmf(tmp_path, tone()), tone()
    edit_meta(meta, lambda m: m["global"].update({"core:datatype": "rf32_le"}))
    with open_capture(meta) as capture:
        np.testing.assert_array_equal(capture.read(0, 200).real, iq.view(np.float32))
    edit_meta(meta, lambda m: m["global"].update({"core:num_channels": 2}))
    with open_capture(meta) as capture:
        np.testing.assert_array_equal(capture.read(0, 100), iq)
        assert "two real channels (rf32_le), which are taken for I and Q" in capture.notes[0]
    edit_meta(meta, lambda m: m["global"].update({"core:datatype": "cf32_le"}))
    edit_meta(meta, lambda m: m["global"].update({"core:num_channels": 2}))
    expect(CaptureFormatError, "interleaves 2 channels where 1 is expected", meta)


@pytest.mark.parametrize("first_header", [0, 64])
def test_header_bytes_before_every_capture(tmp_path, first_header):
    captures = [
        {"core:sample_start": 0, "core:frequency": 1e8, "core:header_bytes": first_header},
        {"core:sample_start": 9, "core:frequency": 2e8, "core:header_bytes": 4},
        {"core:sample_start": 50, "core:frequency": 3e8},
        {"core:sample_start": 60, "core:frequency": 4e8, "core:header_bytes": 5},
    ]
    meta, iq = write_sigmf(tmp_path, tone(), captures=captures), tone()
    parts = [bytes(first_header), iq[:9].tobytes(), b"head", iq[9:60].tobytes(), b"heads"]
    meta.with_suffix(".sigmf-data").write_bytes(b"".join([*parts, iq[60:].tobytes()]))
    with open_capture(meta, verify=False) as capture:
        assert capture.sample_count == 100
        for first, count in ((0, 100), (8, 2), (9, 51), (55, 10), (99, 1), (60, 0)):
            np.testing.assert_array_equal(capture.read(first, count), iq[first : first + count])
        assert capture.center_frequency_at(9) == 2e8


def test_header_bytes(tmp_path):
    captures = [{"core:sample_start": 0, "core:header_bytes": 801}]
    expect(
        CaptureDamagedError,
        "holds 800 bytes, fewer than the header and trailing bytes",
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
