# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissions of a survey become boxes in a recording, which grow, end, or are withdrawn."""

from __future__ import annotations

import json

import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import numpy as np
from message_flowgraph import Sender
from stream_flowgraph import ended, vector_source
from survey_flowgraph import noise, tone
from waiting import ends, until

from gr_tsddae.blocks import sigmf_annotator, survey
from gr_tsddae.blocks.recording.emission_note import EmissionNote

RATE_HZ = 250e3


def emission(kind="updated", number=1, first_sample=100, sample_count=50, **more):
    return {
        "kind": kind, "id": number, "label": "BPSK", "confidence": 0.9, "snr_db": 12.0,
        "first_sample": first_sample, "sample_count": sample_count, "low_hz": 1000.0,
        "high_hz": 3000.0, "symbol_rate_hz": 1200.0, "candidates": [], "reasons": [],
        "measured": {"deviation_hz": 500.0}, "center_frequency_hz": None,
    } | more  # fmt: skip


def annotations(path):
    return json.loads(path.read_text())["annotations"]


@pytest.fixture
def station(tmp_path):
    """An existing recording of 1000 samples, its annotator, and a sender of emissions."""
    np.zeros(1000, np.complex64).tofile(tmp_path / "rec.cf32")
    flowgraph, sender = gr.top_block("test"), Sender(ports=("emissions", "record"))
    annotator = sigmf_annotator(str(tmp_path / "rec.cf32"), "off", sample_rate_hz=RATE_HZ)
    for port in ("emissions", "record"):
        flowgraph.msg_connect(sender, port, annotator, port)
    flowgraph.start()
    flowgraph.sender, flowgraph.annotator = sender, annotator
    flowgraph.path = tmp_path / "rec.sigmf-meta"
    return flowgraph


def say(station, *messages):
    for message in messages:
        station.sender.say(message, "emissions")
    station.sender.end()
    assert ends(station)


def test_a_box_has_its_edges_and_measurements(station):
    say(station, emission("begun"), emission("ended", sample_count=200, withdrawn=False))
    (entry,) = annotations(station.path)
    assert entry["core:sample_start"] == 100 and entry["core:sample_count"] == 200
    assert (entry["core:freq_lower_edge"], entry["core:freq_upper_edge"]) == (1000.0, 3000.0)
    assert entry["core:label"] == "BPSK" and "SNR 12 dB" in entry["core:comment"]
    assert (entry["tsddae:snr_db"], entry["tsddae:symbol_rate_hz"]) == (12.0, 1200.0)


def test_what_has_begun_is_written_before_it_ends(station):
    station.sender.say(emission("begun"), "emissions")
    until(lambda: station.path.exists() and annotations(station.path))
    say(station)
    assert annotations(station.path)[0]["core:sample_count"] == 50


def test_what_is_withdrawn_or_ignored_leaves_nothing(station):
    say(
        station,
        emission("begun", 1), emission("ended", 1, withdrawn=True),
        emission("begun", 2), emission("ended", 2, withdrawn=False, label="noise"),
        emission("ended", 3, first_sample=300, withdrawn=False),
    )  # fmt: skip
    assert [entry["core:sample_start"] for entry in annotations(station.path)] == [300]
    assert station.annotator.worker.recording.annotation_count == 1


def test_boxes_may_overlap_in_time(station):
    say(station, *[emission("ended", k, low_hz=1e3 * k, withdrawn=False) for k in (1, 2, 3)])
    assert [e["core:freq_lower_edge"] for e in annotations(station.path)] == [1e3, 2e3, 3e3]


@pytest.mark.parametrize("wrong", [
    {"first_sample": -1}, {"sample_count": 0}, {"low_hz": float("nan")}, {"id": "x"},
])  # fmt: skip
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError):
        EmissionNote(emission() | wrong)


def test_what_is_no_emission_is_refused():
    with pytest.raises(ValueError, match="an emission is a dictionary with kind, id"):
        EmissionNote({"label": "BPSK"})


def test_edges_are_absolute_where_only_the_recording_knows_the_centre():
    note = EmissionNote(emission())
    entry = note.entry(sample_rate_hz=RATE_HZ, center_frequency_hz=100e6)
    assert entry["core:freq_lower_edge"] == 100e6 + 1000
    note = EmissionNote(emission(low_hz=50.001e6, high_hz=50.003e6, center_frequency_hz=50e6))
    entry = note.entry(sample_rate_hz=RATE_HZ, center_frequency_hz=100e6)
    assert entry["core:freq_lower_edge"] == 50.001e6


def test_a_survey_annotates_the_recording_of_its_stream(tmp_path):
    sigmf = pytest.importorskip("sigmf")
    iq = noise(500_000) + tone(500_000, 31e3, RATE_HZ)
    flowgraph = gr.top_block("test")
    source = vector_source(iq)
    block = survey(model="none", overflow="block", sample_rate_hz=RATE_HZ, center_frequency_hz=1e8)
    annotator = sigmf_annotator(
        str(tmp_path / "rec"), "block", sample_rate_hz=RATE_HZ, center_frequency_hz=1e8
    )
    flowgraph.connect(source, block)
    flowgraph.connect(source, annotator)
    flowgraph.msg_connect(block, "emissions", annotator, "emissions")
    assert ended(flowgraph)
    recording = sigmf.sigmffile.fromfile(str(tmp_path / "rec.sigmf-meta"))
    recording.validate()
    (entry,) = recording.get_annotations()
    assert entry["core:sample_start"] < 10_000
    assert entry["core:sample_start"] + entry["core:sample_count"] > 490_000
    middle_hz = (entry["core:freq_lower_edge"] + entry["core:freq_upper_edge"]) / 2
    assert middle_hz == pytest.approx(1e8 + 31e3, abs=30)


def test_the_users_name_is_the_label_and_models_may_learn_from_it(station):
    """Said while it lasts, the box grows on under that name; said later, it is one box more."""
    from gr_tsddae.iq.sigmf.opinion import is_opinion

    station.sender.say(emission("begun"), "emissions")
    station.sender.say(emission("ended", 2, label="FM", withdrawn=False), "emissions")
    until(lambda: station.annotator.worker.recording.annotation_count == 2)
    station.sender.say(emission("updated", label=" garage "), "record")
    station.sender.say(emission("ended", 2, label="baby monitor"), "record")
    station.sender.say(emission("updated", label="  "), "record")  # no name: refused
    until(lambda: station.annotator.worker._errors == 1)
    say(station, emission("ended", sample_count=200, withdrawn=False))
    entries = annotations(station.path)
    by_label = {entry["core:label"]: entry for entry in entries}
    assert set(by_label) == {"garage", "FM", "baby monitor"} and len(entries) == 3
    assert by_label["garage"]["core:sample_count"] == 200
    assert by_label["garage"]["core:freq_upper_edge"] == 3000.0
    for name, entry in by_label.items():
        assert is_opinion(entry.get("core:generator")) == (name == "FM")
