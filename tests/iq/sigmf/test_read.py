# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF metadata of every kind: which samples are meant, and numbers that are none."""

import json
import logging
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gr_tsddae.data import open_dataset
from gr_tsddae.iq.captures import Annotation, CaptureError, open_capture
from gr_tsddae.iq.sigmf.annotations import write_annotations
from gr_tsddae.iq.sigmf.model_annotation import ModelAnnotation
from gr_tsddae.iq.sigmf.read import annotated_samples

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


def test_what_is_ignored_is_logged(tmp_path, caplog):
    segment = {"core:sample_start": 0, "core:frequency": float("nan")}
    meta = write(tmp_path, {"lab:gain": float("inf")}, [segment])
    with caplog.at_level(logging.WARNING):
        capture = open_capture(meta)
    assert capture.center_frequency_hz is None and "lab:gain" not in capture.metadata
    assert [record.getMessage() for record in caplog.records] == [
        f"{meta}: ignored lab:gain, which is inf",
        f"{meta}: ignored core:frequency, which is nan",
    ]
