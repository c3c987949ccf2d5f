# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata that grow: merged, cheap however many, never beyond the samples, never half a file."""

from __future__ import annotations

import errno
import json

import numpy as np
import pytest

from gr_tsddae.iq.captures import CaptureError, open_capture
from gr_tsddae.iq.sigmf import annotated_recording
from gr_tsddae.iq.sigmf.annotated_recording import AnnotatedRecording
from gr_tsddae.iq.sigmf.annotations import write_annotations
from gr_tsddae.iq.sigmf.model_annotation import ModelAnnotation

sigmf = pytest.importorskip("sigmf")


def run(label, first_sample, sample_count=100, confidence=0.9, model="amc-nano"):
    return ModelAnnotation(first_sample, sample_count, label, model, confidence, None, None)


@pytest.fixture
def recording(tmp_path):
    made = AnnotatedRecording.new(tmp_path / "rec", sample_rate_hz=1e6, author="me", hw="")
    np.ones(1000, np.complex64).tofile(made.data_path)
    return made


def saved(recording, sample_count=1000):
    recording.save(sample_count)
    sigmf.fromfile(recording.meta_path).validate()
    return json.loads(recording.meta_path.read_text())


def labels(metadata):
    return [
        (e["core:sample_start"], e["core:sample_count"], e.get("core:label"))
        for e in metadata["annotations"]
    ]


def test_a_new_recording_takes_a_free_name(tmp_path):
    (tmp_path / "a.b.sigmf-data").touch()
    (tmp_path / "a.b-2.sigmf-meta").touch()
    made = AnnotatedRecording.new(tmp_path / "a.b.sigmf-meta")
    assert made.meta_path == tmp_path / "a.b-3.sigmf-meta"
    assert made.data_path == tmp_path / "a.b-3.sigmf-data"
    assert not made.meta_path.exists()


def test_agreeing_decisions_are_merged_for_each_model_while_they_come(recording):
    for number in range(3):
        recording.add(run("a", 100 * number, confidence=0.5 + 0.1 * number))
        recording.add(run("b", 100 * number, model="another"))
        saved(recording)
    recording.add(run("c", 300))
    recording.add(run("c", 500))  # after a gap
    metadata = saved(recording)
    assert labels(metadata) == [(0, 300, "a"), (0, 300, "b"), (300, 100, "c"), (500, 100, "c")]
    assert metadata["annotations"][0]["tsddae:confidence"] == 0.6
    assert recording.annotation_count == 4
    recording.add(run("c", 600), merge=False)
    assert labels(saved(recording))[-1] == (600, 100, "c")


def test_annotations_end_where_the_samples_do_and_grow_with_them(recording):
    recording.add_remark(250, 10, "lost")
    recording.add(run("a", 0))
    recording.add(run("b", 200))
    recording.add(run("c", 950))
    assert labels(saved(recording, 50)) == [(0, 50, "a")]
    assert labels(saved(recording, 255)) == [(0, 100, "a"), (200, 55, "b")]
    expected = [(0, 100, "a"), (200, 100, "b"), (250, 10, None), (950, 50, "c")]
    assert labels(saved(recording)) == expected


def test_a_segment_says_where_a_decision_was_heard(recording):
    recording.add_segment(0, 1e8, 1_700_000_000.25)
    recording.add_segment(500, 2e8, None)
    recording.add_segment(500, 3e8, None)
    recording.set_sample_rate_hz(2e6)
    recording.add(run("a", 100))
    recording.add(run("b", 600))
    metadata = saved(recording)
    assert metadata["captures"] == [
        {
            "core:sample_start": 0,
            "core:frequency": 1e8,
            "core:datetime": "2023-11-14T22:13:20.250000Z",
        },
        {"core:sample_start": 500, "core:frequency": 3e8},
    ]
    assert [e["core:freq_lower_edge"] for e in metadata["annotations"]] == [99e6, 299e6]


def test_a_segment_that_has_no_sample_yet_is_not_written(recording):
    """A program that is killed right behind a retune leaves a recording that opens."""
    recording.add_segment(0, 434e6, None)
    recording.add_segment(5000, 435e6, None)
    assert [s["core:sample_start"] for s in saved(recording)["captures"]] == [0]
    with open_capture(recording.meta_path) as capture:
        assert len(capture.segments) == 1
    assert len(saved(recording, 5001)["captures"]) == 2


def test_a_write_that_fails_leaves_the_last_good_file(recording, monkeypatch):
    recording.add(run("a", 0))
    before = saved(recording)

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    recording.add(run("b", 100))
    with monkeypatch.context() as patch:
        patch.setattr(annotated_recording.os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            recording.save(1000)
    assert json.loads(recording.meta_path.read_text()) == before
    assert [path.name for path in recording.meta_path.parent.glob("*.partial")] == []
    assert len(labels(saved(recording))) == 2


def test_very_many_annotations_are_text_only_once(recording, monkeypatch):
    count, made = 50_000, 0
    entry = ModelAnnotation.entry

    def counting(*arguments, **named):
        nonlocal made
        made += 1
        return entry(*arguments, **named)

    monkeypatch.setattr(ModelAnnotation, "entry", counting)
    for number in range(count):
        recording.add(run("ab"[number % 2], 10 * number, 10))
        if number % 10_000 == 9_999:
            recording.save(10 * number + 10)
    assert made <= count + 5  # the last one, which may grow, is made each time
    recording.save(10 * count)
    metadata = json.loads(recording.meta_path.read_text())
    assert len(metadata["annotations"]) == count
    starts = [entry["core:sample_start"] for entry in metadata["annotations"]]
    assert starts == list(range(0, 10 * count, 10))
    size = recording.meta_path.stat().st_size
    assert 5 < size / annotated_recording.WRITE_BYTES_PER_S <= recording.pause_s <= 60


def test_a_recording_that_write_annotations_made_can_be_annotated_anew(tmp_path):
    np.ones(1000, np.complex64).tofile(tmp_path / "in.cf32")
    capture = open_capture(tmp_path / "in.cf32", sample_rate_hz=1e3)
    meta = write_annotations(capture, [run("a", 0)], tmp_path / "out", model_name="amc-nano")
    recording = AnnotatedRecording.existing(meta)
    recording.add(run("b", 500))
    metadata = saved(recording)
    assert labels(metadata) == [(500, 100, "b")]
    assert [e["name"] for e in metadata["global"]["core:extensions"]] == ["tsddae"]


@pytest.mark.parametrize(
    "wrong", [{"first_sample": -1}, {"sample_count": 0}, {"confidence": float("inf")}]
)
def test_a_decision_about_nothing_is_refused(recording, wrong):
    with pytest.raises(CaptureError, match="the decision has first_sample"):
        recording.add(run(**({"label": "a", "first_sample": 0} | wrong)))
    assert recording.annotation_count == 0


def test_a_dot_in_a_name_is_no_extension(tmp_path):
    for name in ("fm_100", "fm_100.1"):
        made = AnnotatedRecording.new(tmp_path / name, sample_rate_hz=1e6)
        np.ones(1000, np.complex64).tofile(made.data_path)
        made.save(1000)
    for name in ("fm_100.1", "fm_100.1.sigmf-meta", "fm_100.1.sigmf-data"):
        found = AnnotatedRecording.existing(tmp_path / name)
        assert found.meta_path == tmp_path / "fm_100.1.sigmf-meta"
        assert found.data_path == tmp_path / "fm_100.1.sigmf-data"
    with pytest.raises(CaptureError, match=r"fm_100\.1MHz does not exist"):
        AnnotatedRecording.existing(tmp_path / "fm_100.1MHz")
    np.zeros(1000, np.complex64).tofile(tmp_path / "fm_100.2.cf32")
    found = AnnotatedRecording.existing(tmp_path / "fm_100.2.cf32")
    assert found.meta_path == tmp_path / "fm_100.2.sigmf-meta"


def test_metadata_of_other_samples_are_not_taken_for_those_of_a_raw_file(recording, tmp_path):
    recording.save(1000)
    np.zeros(1000, np.complex64).tofile(tmp_path / "rec.cf32")
    with pytest.raises(CaptureError, match=r"holds other samples than .*rec\.cf32"):
        AnnotatedRecording.existing(tmp_path / "rec.cf32")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_the_rest_is_written(recording, wrong):
    with pytest.raises(CaptureError, match="center_frequency_hz is"):
        recording.add(ModelAnnotation(0, 100, "a", "m", 0.5, wrong, 1e6))
    with pytest.raises(CaptureError, match="sample_rate_hz is"):
        recording.add(ModelAnnotation(0, 100, "a", "m", 0.5, 1e8, wrong))
    with pytest.raises(CaptureError, match="frequency_hz is"):
        recording.add_segment(0, wrong, None)
    with pytest.raises(CaptureError, match="sample_rate_hz is"):
        recording.set_sample_rate_hz(wrong)
    with pytest.raises(CaptureError, match="time_s is"):
        recording.add_segment(0, 1e8, wrong)
    recording.add(run("b", 100))
    assert labels(saved(recording)) == [(100, 100, "b")]


def test_what_json_cannot_say_is_left_out_and_counted(recording):
    recording.add(run("b", 0))
    for first_sample, label in ((100, "a"), (300, "\ud800")):
        recording.add(ModelAnnotation(first_sample, 100, label, "amc-nano", 0.5, 1.7e308, 1.7e308))
    assert labels(saved(recording)) == [(0, 100, "b")]
    recording.add(ModelAnnotation(400, 100, "\ud800", "amc-nano", 0.5, None, None))
    recording.add(ModelAnnotation(500, 100, "c", "amc-nano", 0.5, np.float32(1e6), None))
    for _ in range(2):
        assert labels(saved(recording)) == [(0, 100, "b"), (500, 100, "c")]
        assert recording.unwritable_count == 3 and recording.annotation_count == 2
