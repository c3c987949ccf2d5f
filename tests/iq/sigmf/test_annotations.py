# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions as SigMF annotations: valid for the library, never in the way of someone's files."""

import json
import os
import struct
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from decisions import DECISIONS, Decision

from gr_tsddae.iq.captures import CaptureError, CaptureRangeError, open_capture
from gr_tsddae.iq.sigmf import describe
from gr_tsddae.iq.sigmf.annotations import write_annotations

sigmf = pytest.importorskip("sigmf")


def samples(count=1000):
    return np.random.default_rng(0).normal(size=(count, 2)).astype("<f4")  # (count, 2)


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "in" / "capture.cf32"
    path.parent.mkdir()
    samples().tofile(path)
    return open_capture(path, sample_rate_hz=1e6, center_frequency_hz=433e6)


@pytest.fixture
def recording(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    samples().tofile(folder / "rec.sigmf-data")
    digest = sigmf.hashing.calculate_sha512(folder / "rec.sigmf-data")
    metadata = {
        "global": {
            "core:datatype": "cf32_le",
            "core:version": "1.2.0",
            "core:sample_rate": 2e6,
            "core:author": "somebody",
            "core:license": "https://spdx.org/licenses/CC0-1.0.html",
            "core:offset": 70,
            "core:sha512": digest,
            "core:extensions": [{"name": "antenna", "version": "1.0.0", "optional": True}],
            "antenna:gain": 3,
        },
        "captures": [
            {
                "core:sample_start": 70,
                "core:frequency": 100e6,
                "core:datetime": "2024-05-17T12:30:15Z",
            },
            {"core:sample_start": 470, "core:frequency": 200e6},
        ],
        "annotations": [{"core:sample_start": 70, "core:label": "truth"}],
    }
    (folder / "rec.sigmf-meta").write_text(json.dumps(metadata))
    return open_capture(folder / "rec.sigmf-meta")


def written(meta_path):
    """Validates with the library, as a program and from Python; returns the metadata."""
    signal = sigmf.fromfile(meta_path)
    signal.validate()
    command = [sys.executable, "-m", "sigmf.validate", str(meta_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(meta_path.read_text())


def labels(metadata):
    return [
        (a["core:sample_start"], a["core:sample_count"], a["core:label"])
        for a in metadata["annotations"]
    ]


# --- what is written ---------------------------------------------------------------------------


def test_raw_capture(raw, tmp_path):
    meta = write_annotations(raw, DECISIONS, tmp_path / "out" / "seen", model_name="amc-nano")
    assert meta == tmp_path / "out" / "seen.sigmf-meta"
    metadata = written(meta)
    assert labels(metadata) == [
        (0, 100, "noise"),
        (100, 200, "BPSK"),
        (400, 100, "BPSK"),
        (500, 100, "noise"),
    ]
    annotation = metadata["annotations"][1]
    assert annotation["core:comment"] == "0.90 by amc-nano"
    assert annotation["core:generator"].startswith("gr-tsddae")
    assert annotation["tsddae:confidence"] == 0.9
    assert annotation["tsddae:model"] == "amc-nano"
    assert annotation["core:freq_lower_edge"] == 432.5e6
    assert annotation["core:freq_upper_edge"] == 433.5e6
    info = metadata["global"]
    assert info["core:datatype"] == "cf32_le" and info["core:sample_rate"] == 1e6
    assert "core:dataset" not in info
    extension = {"name": "tsddae", "version": "1.0.0", "optional": True}
    assert info["core:extensions"] == [extension]
    again = open_capture(meta)
    np.testing.assert_array_equal(again.read(0, 1000), raw.read(0, 1000))
    assert [a.label for a in again.annotations] == ["noise", "BPSK", "BPSK", "noise"]


@pytest.mark.parametrize("suffix", ["cu8", "ci16", "ci8", "cf64", "cu16"])
def test_every_raw_format_is_valid(tmp_path, suffix):
    path = tmp_path / f"capture.{suffix}"
    path.write_bytes(bytes(range(160)) * 2)
    capture = open_capture(path)
    decisions = [Decision("x", 0, capture.sample_count)]
    meta = write_annotations(capture, decisions, tmp_path / "out", model_name="m")
    annotation = written(meta)["annotations"][0]
    assert "core:freq_lower_edge" not in annotation  # the rate is not known
    np.testing.assert_array_equal(
        open_capture(meta).read(0, capture.sample_count), capture.read(0, capture.sample_count)
    )


def test_without_merging(raw, tmp_path):
    meta = write_annotations(raw, DECISIONS, tmp_path / "o", model_name="m", merge=False)
    assert [start for start, _, _ in labels(written(meta))] == [0, 100, 200, 400, 500]


def test_no_decisions_at_all(raw, tmp_path):
    assert labels(written(write_annotations(raw, [], tmp_path / "o", model_name="m"))) == []


def test_unknown_centre_gives_edges_around_zero(tmp_path):
    samples().tofile(tmp_path / "capture.cf32")
    capture = open_capture(tmp_path / "capture.cf32", sample_rate_hz=1e6)
    meta = write_annotations(capture, DECISIONS[:1], tmp_path / "o", model_name="m")
    annotation = written(meta)["annotations"][0]
    assert (annotation["core:freq_lower_edge"], annotation["core:freq_upper_edge"]) == (-5e5, 5e5)


def test_a_decision_knows_its_own_tuning(raw, tmp_path):
    decision = Decision("a", 0, center_frequency_hz=10e6, sample_rate_hz=2e6)
    meta = write_annotations(raw, [decision], tmp_path / "o", model_name="m")
    annotation = written(meta)["annotations"][0]
    assert (annotation["core:freq_lower_edge"], annotation["core:freq_upper_edge"]) == (9e6, 11e6)


def test_sigmf_recording_keeps_its_metadata(recording, tmp_path):
    decisions = [Decision("a", 300), Decision("a", 400)]
    meta = write_annotations(recording, decisions, tmp_path / "out" / "rec", model_name="m")
    metadata = written(meta)
    info = metadata["global"]
    assert info["core:author"] == "somebody" and info["antenna:gain"] == 3
    assert info["core:sha512"] == recording.metadata["core:sha512"]
    assert "core:offset" not in info
    assert [extension["name"] for extension in info["core:extensions"]] == ["antenna", "tsddae"]
    assert metadata["captures"] == [
        {
            "core:sample_start": 0,
            "core:frequency": 100e6,
            "core:datetime": "2024-05-17T12:30:15Z",
        },
        {"core:sample_start": 400, "core:frequency": 200e6},
    ]
    assert labels(metadata) == [(300, 200, "a")]  # and not the truth


def test_annotations_follow_a_retune(recording, tmp_path):
    decisions = [Decision("a", 0), Decision("b", 400)]
    meta = write_annotations(recording, decisions, tmp_path / "out", model_name="m")
    lower = [a["core:freq_lower_edge"] for a in written(meta)["annotations"]]
    assert lower == [99e6, 199e6]


def test_wav_is_a_non_conforming_dataset(tmp_path):
    pcm = (samples()[:, :] * 3000).astype("<i2").tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 48000, 192000, 4, 16)
    body = b"WAVE" + fmt + b"data" + struct.pack("<I", len(pcm)) + pcm + b"LIST\x04\0\0\0abcd"
    path = tmp_path / "in" / "iq.wav"
    path.parent.mkdir()
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    capture = open_capture(path)
    meta = write_annotations(capture, DECISIONS, tmp_path / "out" / "iq", model_name="m")
    metadata = written(meta)
    assert metadata["global"]["core:dataset"] == "iq.wav"
    assert metadata["global"]["core:trailing_bytes"] == 12
    assert metadata["captures"][0]["core:header_bytes"] == 44
    np.testing.assert_allclose(sigmf.fromfile(meta)[:], capture.read(0, 1000), atol=1e-6)
    np.testing.assert_array_equal(open_capture(meta).read(0, 1000), capture.read(0, 1000))
    beside = write_annotations(capture, DECISIONS, path.with_suffix(""), model_name="m")
    assert beside.parent == path.parent and written(beside)["global"]["core:dataset"] == "iq.wav"
    assert path.stat().st_size == len(body) + 8


def test_archive_is_a_non_conforming_dataset(recording, tmp_path):
    folder = recording.path.parent
    with tarfile.open(folder / "rec.sigmf", "w") as tar:
        for name in ("rec.sigmf-meta", "rec.sigmf-data"):
            tar.add(folder / name, arcname=name)
    capture = open_capture(folder / "rec.sigmf")
    meta = write_annotations(capture, DECISIONS, tmp_path / "out" / "a", model_name="m")
    assert written(meta)["global"]["core:dataset"] == "rec.sigmf"
    np.testing.assert_array_equal(open_capture(meta).read(0, 1000), capture.read(0, 1000))


# --- where it is written -----------------------------------------------------------------------


def test_samples_are_linked_and_rewriting_is_fine(raw, tmp_path):
    for _ in range(2):
        meta = write_annotations(raw, DECISIONS, tmp_path / "o", model_name="m")
    data = meta.with_suffix(".sigmf-data")
    assert data.samefile(raw.path)
    meta = write_annotations(raw, DECISIONS[:1], meta, model_name="m")  # with its suffix
    assert meta == tmp_path / "o.sigmf-meta" and len(labels(written(meta))) == 1


@pytest.mark.parametrize("broken", [("link",), ("link", "symlink")])
def test_file_systems_without_links(raw, tmp_path, monkeypatch, broken):
    def refuse(source, target):
        raise OSError("no links here")

    for name in broken:
        monkeypatch.setattr(describe.os, name, refuse)
    for _ in range(2):
        meta = write_annotations(raw, DECISIONS, tmp_path / "o", model_name="m")
    data = meta.with_suffix(".sigmf-data")
    assert data.is_symlink() == (len(broken) == 1)
    assert data.read_bytes() == raw.path.read_bytes()
    written(meta)


def test_another_capture_under_the_same_name(raw, tmp_path):
    write_annotations(raw, DECISIONS, tmp_path / "o", model_name="m")
    other = raw.path.with_name("other.cf32")
    samples(500)[::-1].tofile(other)
    write_annotations(open_capture(other), DECISIONS[:1], tmp_path / "o", model_name="m")
    assert (tmp_path / "o.sigmf-data").samefile(other)
    assert raw.path.stat().st_size == 8000  # the first capture is untouched


def test_a_recording_never_loses_its_own_metadata(recording):
    before = recording.path.read_bytes()
    with pytest.raises(CaptureError, match="describes another recording and would be overwritten"):
        write_annotations(recording, DECISIONS, recording.path, model_name="m")
    assert recording.path.read_bytes() == before


def test_foreign_samples_are_never_overwritten(raw, tmp_path):
    foreign = tmp_path / "o.sigmf-data"
    foreign.write_bytes(b"someone's only copy")
    with pytest.raises(CaptureError, match=r"holds other samples than .* choose another name"):
        write_annotations(raw, DECISIONS, tmp_path / "o", model_name="m")
    assert foreign.read_bytes() == b"someone's only copy"


def test_the_last_copy_of_samples_is_never_overwritten(raw, tmp_path):
    write_annotations(raw, DECISIONS, tmp_path / "o", model_name="m")
    other = raw.path.with_name("other.cf32")
    samples(500).tofile(other)
    os.unlink(raw.path)  # now o.sigmf-data is all there is
    with pytest.raises(CaptureError, match="would be overwritten"):
        write_annotations(open_capture(other), [], tmp_path / "o", model_name="m")
    assert (tmp_path / "o.sigmf-data").stat().st_size == 8000


def test_garbage_in_place_of_metadata_is_left_alone(raw, tmp_path):
    (tmp_path / "o.sigmf-meta").write_text("not json")
    with pytest.raises(CaptureError, match="describes another recording"):
        write_annotations(raw, DECISIONS, tmp_path / "o", model_name="m")


def test_a_folder_that_cannot_be_made(raw, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CaptureError, match=r"cannot be written to .* choose another folder"):
        write_annotations(raw, DECISIONS, tmp_path / "file" / "o", model_name="m")


@pytest.mark.parametrize("first", [-1, 901])
def test_decisions_beyond_the_capture(raw, tmp_path, first):
    with pytest.raises(CaptureRangeError, match=r"covers samples -?\d+ to \d+, but .* only 1000"):
        write_annotations(raw, [Decision("a", first)], tmp_path / "o", model_name="m")
    assert not (tmp_path / "o.sigmf-meta").exists()


def test_confidence_that_is_no_number(raw, tmp_path):
    decision = Decision("a", 0, confidence=float("nan"))
    with pytest.raises(CaptureError, match="at sample 0 has a confidence of nan"):
        write_annotations(raw, [decision], tmp_path / "o", model_name="m")
