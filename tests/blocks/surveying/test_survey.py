# SPDX-License-Identifier: GPL-3.0-or-later
"""The Survey block in real flowgraphs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks
from stream_flowgraph import ended, tag, vector_source
from survey_flowgraph import SurveyFlowgraph, check_lives, noise, tone
from waiting import until

from gr_tsddae.blocks import survey
from gr_tsddae.blocks.receiver.stream_tags import tag_of_time
from gr_tsddae.blocks.surveying import stretch
from gr_tsddae.blocks.surveying.model import CHUNK_SAMPLES
from gr_tsddae.survey.stream import Survey
from gr_tsddae.synth.scene import SCENES, make_scene
from gr_tsddae.zoo import ModelError

RATE_HZ = 250e3
SECOND = int(RATE_HZ)


@pytest.fixture(scope="module")
def scene():
    made = make_scene(SCENES["mixed"], seconds=2.0, rate_hz=RATE_HZ, emitters=4, seed=2)
    return made.iq.astype(np.complex64)


@pytest.fixture
def carrier():
    return noise(3 * SECOND) + tone(3 * SECOND, 31e3, RATE_HZ)


def test_finds_what_the_survey_of_the_same_samples_finds(scene):
    flowgraph = SurveyFlowgraph(
        vector_source(scene), overflow="block", sample_rate_hz=RATE_HZ, center_frequency_hz=433e6
    )
    assert ended(flowgraph)
    alone = Survey(RATE_HZ)
    events = alone.push(scene[: len(scene) // CHUNK_SAMPLES * CHUNK_SAMPLES]) + alone.flush()
    expected = sorted((e.emission for e in events if e.kind == "ended"), key=lambda e: e.start_s)
    found = sorted(flowgraph.ended(), key=lambda e: e["start_s"])
    assert len(expected) == len(found) >= 2
    for ours, theirs in zip(found, expected, strict=True):
        for name in ("start_s", "stop_s", "snr_db", "symbol_rate_hz", "bandwidth_hz"):
            assert ours[name] == theirs.as_dict()[name], name
        assert ours["low_hz"] == pytest.approx(433e6 + theirs.low_hz, abs=0.1)
        assert ours["first_sample"] == round(theirs.start_s * RATE_HZ)
        assert ours["measured"]["bursts_s"] == theirs.as_dict()["measured"]["bursts_s"][-32:]
    check_lives(flowgraph.emissions)


def test_every_sample_of_a_file_is_counted(scene):
    flowgraph = SurveyFlowgraph(vector_source(scene), overflow="block", sample_rate_hz=RATE_HZ)
    assert ended(flowgraph)
    counters = flowgraph.counters()
    assert counters["samples_in"] == len(scene)
    assert counters["samples_flushed"] == len(scene) % CHUNK_SAMPLES
    assert counters["samples_surveyed"] == len(scene) - len(scene) % CHUNK_SAMPLES
    assert flowgraph.listener.status[-1]["samples_surveyed"] == counters["samples_surveyed"]


def test_an_emission_message_has_what_the_documentation_promises(carrier):
    time_tag = tag(0, "rx_time", tag_of_time(1_700_000_000, 0.25))
    flowgraph = SurveyFlowgraph(
        vector_source(carrier, tags=[time_tag]), overflow="block", sample_rate_hz=RATE_HZ,
        center_frequency_hz=100e6,
    )  # fmt: skip
    assert ended(flowgraph)
    first, last = flowgraph.emissions[0], flowgraph.emissions[-1]
    fields = {
        "kind", "id", "start_s", "stop_s", "low_hz", "high_hz", "center_hz", "bandwidth_hz",
        "snr_db", "label", "confidence", "probabilities", "symbol_rate_hz", "candidates",
        "reasons", "measured", "model", "first_sample", "sample_count", "time_s",
        "center_frequency_hz", "sample_rate_hz",
    }  # fmt: skip
    assert set(first) == fields and set(last) == fields | {"withdrawn"}
    assert (first["kind"], last["kind"]) == ("begun", "ended")
    assert (first["id"], last["id"], last["model"], last["label"]) == (1, 1, "none", "unknown")
    assert last["center_hz"] == pytest.approx(100.031e6, abs=30)
    assert last["stop_s"] - last["start_s"] == pytest.approx(3.0, abs=0.02)
    assert last["time_s"] == pytest.approx(1_700_000_000.25 + last["start_s"])
    assert last["sample_rate_hz"] == RATE_HZ and last["center_frequency_hz"] == 100e6


def test_a_retune_ends_emissions_and_moves_the_next(carrier):
    """What lies behind the tag is another band, and no sample before or behind it is lost."""
    at = SECOND + 333
    tags = [tag(0, "rx_freq", pmt.from_double(100e6)), tag(at, "rx_freq", pmt.from_double(200e6))]
    flowgraph = SurveyFlowgraph(
        vector_source(carrier, tags=tags), overflow="block", sample_rate_hz=RATE_HZ
    )
    assert ended(flowgraph)
    check_lives(flowgraph.emissions)
    before, behind = flowgraph.ended()
    assert before["center_hz"] == pytest.approx(100.031e6, abs=30)
    assert behind["center_hz"] == pytest.approx(200.031e6, abs=30)
    assert (before["id"], behind["id"]) == (1, 2)
    assert before["stop_s"] == pytest.approx(at / RATE_HZ, abs=0.02)
    assert behind["start_s"] == pytest.approx(at / RATE_HZ, abs=0.02)
    counters = flowgraph.counters()
    assert counters["samples_flushed"] == at % CHUNK_SAMPLES + (len(carrier) - at) % CHUNK_SAMPLES


def test_another_sample_rate_is_another_survey(carrier):
    tags = [tag(0, "rx_rate", pmt.from_double(RATE_HZ)),
            tag(SECOND, "rx_rate", pmt.from_double(2 * RATE_HZ))]  # fmt: skip
    flowgraph = SurveyFlowgraph(vector_source(carrier, tags=tags), overflow="block")
    assert ended(flowgraph)
    slow, fast = flowgraph.ended()
    assert (slow["sample_rate_hz"], fast["sample_rate_hz"]) == (RATE_HZ, 2 * RATE_HZ)
    assert slow["center_hz"] == pytest.approx(31e3, abs=30)
    assert fast["center_hz"] == pytest.approx(62e3, abs=60)


def test_a_piece_with_nan_is_gated_and_ends_nothing(carrier):
    carrier[SECOND + 5] = np.nan
    flowgraph = SurveyFlowgraph(vector_source(carrier), overflow="block", sample_rate_hz=RATE_HZ)
    assert ended(flowgraph)
    assert flowgraph.counters()["samples_gated"] == CHUNK_SAMPLES
    assert len(flowgraph.ended()) == 1
    check_lives(flowgraph.emissions)


def test_without_a_sample_rate_nothing_is_surveyed_and_status_says_so(carrier):
    flowgraph = SurveyFlowgraph(vector_source(carrier[:SECOND]), overflow="block")
    assert ended(flowgraph)
    status = flowgraph.listener.status[-1]
    assert "the sample rate is unknown" in status["last_error"]
    assert status["samples_surveyed"] == 0
    assert flowgraph.counters()["samples_dropped"] == SECOND // CHUNK_SAMPLES * CHUNK_SAMPLES


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
def test_a_slow_survey_loses_samples_and_counts_them(carrier, policy, monkeypatch):
    """The radio is not held up: the whole stream passes while the survey sleeps."""
    events = Survey.events

    def slowly(self, samples):
        time.sleep(0.2)
        return events(self, samples)

    monkeypatch.setattr(Survey, "events", slowly)
    flowgraph = SurveyFlowgraph(
        vector_source(carrier), overflow=policy, sample_rate_hz=RATE_HZ, capacity_batches=2
    )
    assert ended(flowgraph)
    counters = flowgraph.counters()
    assert counters["samples_in"] == len(carrier)
    assert counters["samples_dropped"] > SECOND
    assert counters["samples_surveyed"] > 0 and counters["samples_pending"] == 0
    check_lives(flowgraph.emissions)


def test_a_survey_of_half_the_speed_has_few_gaps(monkeypatch):
    """It loses long stretches, not a batch now and then: emissions are still found."""
    rate_hz = 1e6
    events, stretches = Survey.events, set()

    def slowly(self, samples):
        stretches.add(id(self))
        kept.append(self)
        time.sleep(2 * len(samples) / rate_hz)
        return events(self, samples)

    kept: list = []  # or an id might be given again
    monkeypatch.setattr(Survey, "events", slowly)
    iq = noise(5_000_000) + tone(5_000_000, 131e3, rate_hz)
    flowgraph = SurveyFlowgraph(
        vector_source(iq), between=(blocks.throttle(8, rate_hz),), sample_rate_hz=rate_hz,
        capacity_batches=16,
    )  # fmt: skip
    assert ended(flowgraph)
    assert flowgraph.counters()["samples_dropped"] > 1_000_000
    assert len(stretches) <= 8
    assert any(e["stop_s"] - e["start_s"] > 0.4 for e in flowgraph.ended())
    check_lives(flowgraph.emissions)


@pytest.mark.parametrize("most_lost_s", [0.0, 3.0])
def test_lost_samples_end_emissions_where_they_are_many(carrier, most_lost_s, monkeypatch):
    """Time on either side of a hole is right: samples are counted in the stream."""
    monkeypatch.setattr(stretch, "MOST_LOST_S", most_lost_s)
    flowgraph = SurveyFlowgraph(vector_source(carrier), overflow="block", sample_rate_hz=RATE_HZ)
    process = type(flowgraph.block.worker)._process
    lost = [12, 13, 14]  # of the pieces of a batch that holds sample SECOND

    def with_a_hole(self, windows, info):
        if info["first_sample"][0] <= SECOND < info["first_sample"][-1]:
            keep = np.setdiff1d(np.arange(len(info)), lost)
            windows, info = windows[keep], info[keep]
        process(self, windows, info)

    monkeypatch.setattr(type(flowgraph.block.worker), "_process", with_a_hole)
    assert ended(flowgraph)
    if most_lost_s:
        (whole,) = flowgraph.ended()
        assert (whole["start_s"], whole["stop_s"]) == pytest.approx((0.0, 3.0), abs=0.02)
        return
    before, behind = flowgraph.ended()
    assert 0 < behind["start_s"] - before["stop_s"] < 0.03
    assert behind["stop_s"] == pytest.approx(3.0, abs=0.02)
    check_lives(flowgraph.emissions)


def test_an_error_in_the_survey_loses_a_batch_and_nothing_else(carrier, monkeypatch):
    events, calls = Survey.events, []

    def push_but_one(self, samples):
        calls.append(len(samples))
        if len(calls) == 5:
            raise RuntimeError("of the survey")
        return events(self, samples)

    monkeypatch.setattr(Survey, "events", push_but_one)
    flowgraph = SurveyFlowgraph(vector_source(carrier), overflow="block", sample_rate_hz=RATE_HZ)
    assert ended(flowgraph)
    assert flowgraph.counters()["samples_dropped"] == calls[4]
    assert "of the survey" in flowgraph.listener.status[-1]["last_error"]
    assert len(flowgraph.ended()) == 2
    check_lives(flowgraph.emissions)


def test_an_emission_is_told_before_the_next_is_measured(carrier, monkeypatch):
    measure, measured = Survey._emission, []

    def behind_the_first_message(self, track):
        measured.append(track.number)
        if len(measured) == 2:
            until(lambda: flowgraph.emissions)
        return measure(self, track)

    monkeypatch.setattr(Survey, "_emission", behind_the_first_message)
    two = carrier + tone(3 * SECOND, -60e3, RATE_HZ)
    flowgraph = SurveyFlowgraph(vector_source(two), overflow="block", sample_rate_hz=RATE_HZ)
    assert ended(flowgraph)
    assert len(flowgraph.ended()) == 2 and flowgraph.listener.status[-1]["errors"] == 0
    check_lives(flowgraph.emissions)


def test_pause_and_go_on(carrier):
    """While paused nothing is surveyed, and each sample is counted as gated."""
    flowgraph = SurveyFlowgraph(
        vector_source(carrier, repeat=True), between=(blocks.throttle(8, RATE_HZ),),
        sample_rate_hz=RATE_HZ, overflow="block",  # a busy machine would lose samples
    )  # fmt: skip
    flowgraph.start()
    try:
        until(lambda: any(e["kind"] == "begun" for e in flowgraph.emissions))
        flowgraph.post({"paused": True})
        until(lambda: flowgraph.emissions[-1]["kind"] == "ended")
        surveyed = flowgraph.counters()["samples_surveyed"]
        until(lambda: flowgraph.counters()["samples_gated"] > SECOND)
        assert flowgraph.counters()["samples_surveyed"] == surveyed
        until(lambda: flowgraph.listener.status[-1]["paused"])
        flowgraph.post(("paused", False))
        until(lambda: flowgraph.emissions[-1]["kind"] == "begun")
    finally:
        flowgraph.stop()
        flowgraph.wait()
    flowgraph.counters()
    check_lives(flowgraph.emissions)


def test_weak_emissions_are_left_out(carrier):
    weak = (
        noise(3 * SECOND) + tone(3 * SECOND, 31e3, RATE_HZ) + tone(3 * SECOND, -60e3, RATE_HZ, 3e-3)
    )
    found = {}
    for least_db in (0.0, 40.0):
        flowgraph = SurveyFlowgraph(
            vector_source(weak), overflow="block", sample_rate_hz=RATE_HZ, minimum_snr_db=least_db
        )
        assert ended(flowgraph)
        found[least_db] = [round(e["center_hz"], -3) for e in flowgraph.ended()]
    assert sorted(found[0.0]) == [-60e3, 31e3]
    assert found[40.0] == [31e3]


def test_rows_of_a_waterfall_show_where_a_tone_is(carrier):
    flowgraph = SurveyFlowgraph(
        vector_source(carrier), overflow="block", sample_rate_hz=RATE_HZ, center_frequency_hz=100e6
    )
    assert ended(flowgraph)
    rows = flowgraph.listener.rows
    assert 15 * 3 <= len(rows) <= 20 * 3
    for where, row in rows:
        step_hz = (where["high_hz"] - where["low_hz"]) / len(row)
        assert where["low_hz"] + (row.argmax() + 0.5) * step_hz == pytest.approx(
            100.031e6, abs=step_hz
        )
        assert len(row) <= 1024
        assert np.median(row) == pytest.approx(-37, abs=1)  # 2 * 0.01 ** 2
    for (a, _), (b, _) in pairwise(rows):
        assert b["start_s"] == pytest.approx(a["stop_s"])
        assert a["stop_s"] - a["start_s"] == pytest.approx(a["sample_count"] / RATE_HZ)


def test_no_rows_are_made_for_nobody(carrier, monkeypatch):
    from gr_tsddae.blocks.surveying import worker

    monkeypatch.setattr(worker, "rows", lambda *_: pytest.fail("rows for nobody"))
    flowgraph = SurveyFlowgraph(
        vector_source(carrier), ports=("emissions", "status"), overflow="block",
        sample_rate_hz=RATE_HZ,
    )  # fmt: skip
    assert ended(flowgraph)
    assert flowgraph.ended() and flowgraph.listener.status[-1]["errors"] == 0


def test_another_run_begins_anew(carrier):
    flowgraph = SurveyFlowgraph(vector_source(carrier), overflow="block", sample_rate_hz=RATE_HZ)
    for _ in range(2):
        assert ended(flowgraph)
        flowgraph.source.rewind()
    first, second = flowgraph.ended()
    assert (first["id"], first["start_s"]) == (second["id"], second["start_s"])


def test_a_model_is_changed_while_the_survey_goes_on(carrier):
    flowgraph = SurveyFlowgraph(
        vector_source(carrier, repeat=True), between=(blocks.throttle(8, RATE_HZ),),
        sample_rate_hz=RATE_HZ, overflow="block",  # a busy machine would lose samples
    )  # fmt: skip
    status = flowgraph.listener.status
    flowgraph.start()
    try:
        until(lambda: flowgraph.emissions and flowgraph.listener.status)
        flowgraph.block.set_model("amc-nano")
        until(lambda: status[-1]["model"] == "amc-nano")
        flowgraph.block.set_model("no-such-model")
        until(lambda: "no-such-model" in status[-1]["last_error"])
        assert status[-1]["model"] == "amc-nano"
        flowgraph.block.set_model("none")
        until(lambda: status[-1]["model"] == "none")
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert {e["id"] for e in flowgraph.emissions} == {1}  # nothing ended by that
    check_lives(flowgraph.emissions)
    flowgraph.counters()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("minimum_snr_db", 1e4, "minimum_snr_db is"),
        ("confidence_threshold", 2.0, "threshold"),
        ("sample_rate_hz", -1.0, "sample_rate_hz is -1"),
        ("gate_dbfs", -50.0, "gate_dbfs not changed"),
    ],
)
def test_a_bad_value_changes_nothing_and_is_reported(carrier, name, value, why):
    flowgraph = SurveyFlowgraph(
        vector_source(carrier, repeat=True), between=(blocks.throttle(8, RATE_HZ),),
        sample_rate_hz=RATE_HZ, overflow="block",  # a busy machine would lose samples
    )  # fmt: skip
    flowgraph.start()
    try:
        until(lambda: flowgraph.emissions and flowgraph.listener.status)
        flowgraph.post({name: value})
        until(lambda: why in flowgraph.listener.status[-1]["last_error"])
        until(lambda: flowgraph.emissions[-1]["kind"] == "updated")
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert len(flowgraph.ended()) == 1


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="overflow is 'wait'"):
        survey(model="none", overflow="wait")
    with pytest.raises(ValueError, match="minimum_snr_db"):
        survey(model="none", minimum_snr_db=float("nan"))
    with pytest.raises(ModelError, match="nobody-knows-it"):
        survey(model="nobody-knows-it")


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from stream_flowgraph import vector_source
from survey_flowgraph import SurveyFlowgraph, check_lives, noise, tone
from gnuradio import blocks
iq = noise(500_000) + tone(500_000, 31e3, 250e3)
flowgraph = SurveyFlowgraph(vector_source(iq, repeat=True), between=(blocks.throttle(8, 250e3),),
                            sample_rate_hz=250e3, model="amc-nano")
flowgraph.start()
try:
    while not flowgraph.emissions:
        time.sleep(0.05)
    print("surveying", flush=True)
    flowgraph.wait()
except KeyboardInterrupt:
    flowgraph.stop()
    flowgraph.wait()
check_lives(flowgraph.emissions)
counters = flowgraph.counters()
assert counters["samples_pending"] == 0, counters
assert flowgraph.emissions[-1]["kind"] == "ended"
print("ended", len(flowgraph.emissions), flush=True)
"""


def test_ctrl_c_ends_all_emissions(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).resolve().parents[1])))
    program = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, str(script)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert program.stdout.readline() == "surveying\n"
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=60)
    finally:
        program.kill()
    assert program.returncode == 0, out
    assert "ended" in out
