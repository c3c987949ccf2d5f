# SPDX-License-Identifier: GPL-3.0-or-later
"""The SigMF annotator in real flowgraphs: files judged by the sigmf library's own program."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from waiting import until

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
sigmf = pytest.importorskip("sigmf")
import pmt
from gnuradio import blocks

from gr_tsddae.blocks import sigmf_annotator
from gr_tsddae.blocks.recording import recorder
from gr_tsddae.iq.captures import open_capture

L = 128


def tag(offset: int, key: str, value) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def noise(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=count) + 1j * rng.normal(size=count)).astype(np.complex64)


def decision(label: str, first_sample: int, sample_count: int = 100, **more) -> dict:
    return {
        "label": label, "first_sample": first_sample, "sample_count": sample_count,
        "confidence": 0.9, "model": "somebody", **more,
    }  # fmt: skip


class Speaker(gr.sync_block):
    """A sink that says prepared decisions, some when their samples have come, some at its end."""

    def __init__(self, decisions=(), late=()):
        gr.sync_block.__init__(self, "speaker", [np.complex64], None)
        self.waiting, self.late = list(decisions), list(late)
        self.message_port_register_out(pmt.intern("decisions"))

    def say(self, said):
        self.message_port_pub(pmt.intern("decisions"), pmt.to_pmt(said))

    def work(self, input_items, output_items):
        end = self.nitems_read(0) + len(input_items[0])
        while self.waiting and (
            not isinstance(self.waiting[0], dict) or self.waiting[0].get("first_sample", 0) < end
        ):
            self.say(self.waiting.pop(0))
        return len(input_items[0])

    def stop(self):
        if self.late:
            time.sleep(0.1)  # the listeners have been told already that this block is done
        for said in self.late:
            self.say(said)
        return True


class Listener(gr.basic_block):
    def __init__(self):
        gr.basic_block.__init__(self, name="listener", in_sig=None, out_sig=None)
        self.status: list[dict] = []
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.on_status)

    def on_status(self, message):
        self.status.append(pmt.to_python(message))


class Flowgraph(gr.top_block):
    """source -> annotator and speaker; the speaker's decisions go to the annotator."""

    def __init__(self, source, speaker=None, **arguments):
        gr.top_block.__init__(self)
        self.source = source
        self.speaker = speaker or Speaker()
        self.annotator = sigmf_annotator(**arguments)
        self.listener = Listener()
        self.connect(self.source, self.speaker)
        if self.annotator.recorder is not None:
            self.connect(self.source, self.annotator)
        self.msg_connect(self.speaker, "decisions", self.annotator, "decisions")
        self.msg_connect(self.annotator, "status", self.listener, "in")

    def finish(self) -> dict:
        self.run()
        return self.listener.status[-1]


def vector_source(iq: np.ndarray, repeat: bool = False, tags=()):
    return blocks.vector_source_c(iq.tolist(), repeat, 1, list(tags))


def written(meta_path: Path) -> dict:
    """Metadata that the library finds valid, with every annotation within the samples."""
    sigmf.fromfile(meta_path).validate()
    metadata = json.loads(meta_path.read_text())
    first = metadata["global"].get("core:offset", 0)
    if metadata["annotations"]:
        with open_capture(meta_path) as capture:
            for entry in metadata["annotations"]:
                end = entry["core:sample_start"] + entry["core:sample_count"]
                assert first < end <= first + capture.sample_count
    return metadata


def labels(metadata: dict) -> list[tuple]:
    return [
        (e["core:sample_start"], e["core:sample_count"], e.get("core:label"))
        for e in metadata["annotations"]
    ]


# --- recording ---------------------------------------------------------------------------------


def test_samples_labels_and_segments_of_a_recording(tmp_path):
    iq = noise(200_000)
    rx_time = pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.25))
    later = pmt.make_tuple(pmt.from_uint64(1_700_000_001), pmt.from_double(0.75))
    again = pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.75))
    tags = [
        tag(0, "rx_time", rx_time), tag(0, "rx_rate", pmt.from_double(1e5)),
        tag(0, "rx_freq", pmt.from_double(433e6)),
        tag(50_000, "rx_time", again),  # says nothing new
        tag(60_000, "rx_freq", pmt.from_double(434e6)),
        tag(100_000, "rx_time", later),  # half a second was lost by the radio
    ]  # fmt: skip
    speaker = Speaker(
        [
            decision("noise", 0),
            decision("BPSK", 100, confidence=0.8),
            decision("BPSK", 200, confidence=0.6),
            decision("QPSK", 300, confidence=0.1),
            decision("QPSK", 70_000, center_frequency_hz=434e6, sample_rate_hz=1e5),
        ],
        late=[decision("late", 199_950)],  # half of it beyond the end
    )
    flowgraph = Flowgraph(
        vector_source(iq, tags=tags), speaker, path=str(tmp_path / "new" / "rec"), record="block",
        sample_rate_hz=5, minimum_confidence=0.5, author="me", description="a test",
        hardware="none",
    )  # fmt: skip
    status = flowgraph.finish()
    meta_path = tmp_path / "new" / "rec.sigmf-meta"
    assert flowgraph.annotator.recording_path == meta_path
    metadata = written(meta_path)
    assert labels(metadata) == [
        (100, 200, "BPSK"), (70_000, 100, "QPSK"), (199_950, 50, "late")
    ]  # fmt: skip
    assert metadata["annotations"][0]["tsddae:confidence"] == 0.7
    assert metadata["annotations"][1]["core:freq_lower_edge"] == 433.95e6
    assert metadata["captures"] == [
        {"core:sample_start": 0, "core:frequency": 433e6,
         "core:datetime": "2023-11-14T22:13:20.250000Z"},
        {"core:sample_start": 60_000, "core:frequency": 434e6,
         "core:datetime": "2023-11-14T22:13:20.850000Z"},
        {"core:sample_start": 100_000, "core:frequency": 434e6,
         "core:datetime": "2023-11-14T22:13:21.750000Z"},
    ]  # fmt: skip
    info = metadata["global"]
    assert info["core:sample_rate"] == 1e5 and info["core:datatype"] == "cf32_le"
    assert (info["core:author"], info["core:description"], info["core:hw"]) == (
        "me", "a test", "none",
    )  # fmt: skip
    np.testing.assert_array_equal(sigmf.fromfile(meta_path)[:], iq)
    command = [sys.executable, "-m", "sigmf.validate", str(meta_path)]  # sigmf_validate
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert status["samples_in"] == status["samples_written"] == 200_000
    assert status["samples_lost"] == status["samples_pending"] == status["errors"] == 0
    assert (status["decisions"], status["left_out"], status["annotations"]) == (6, 2, 3)
    assert status["path"] == str(meta_path)
    assert not list(meta_path.parent.glob("*.part"))


def test_what_the_classifier_says_last_is_in_the_file(model_folder, tmp_path):
    from gr_tsddae.blocks import classifier  # imports torch, which the others do without

    for run in range(2):
        flowgraph = gr.top_block()
        flowgraph.source = vector_source(noise(100 * L))
        flowgraph.classifier = classifier(
            model=str(model_folder), device="cpu", precision="float32", overflow="block",
            batch_windows=8, sample_rate_hz=1e4, decision_interval_s=10 * L / 1e4,
        )  # fmt: skip
        flowgraph.annotator = sigmf_annotator(
            path=str(tmp_path / "rec"), record="block", ignore="", merge=False
        )
        flowgraph.connect(flowgraph.source, flowgraph.classifier)
        flowgraph.connect(flowgraph.source, flowgraph.annotator)
        flowgraph.msg_connect(flowgraph.classifier, "decisions", flowgraph.annotator, "decisions")
        flowgraph.run()
        name = "rec.sigmf-meta" if run == 0 else f"rec-{run + 1}.sigmf-meta"
        starts = [start for start, _, _ in labels(written(tmp_path / name))]
        assert starts == list(range(0, 100 * L, 10 * L))


def test_a_user_stops_and_starts_again(tmp_path):
    speaker = Speaker([decision("a", 0)], late=[decision("b", 100)])
    source = vector_source(noise(1000), repeat=True)
    flowgraph = Flowgraph(source, speaker, path=str(tmp_path / "rec.sigmf-data"))
    recorder = flowgraph.annotator.recorder
    for run in range(2):
        flowgraph.start()  # returns before the blocks have begun
        until(lambda: not recorder.ended.is_set() and recorder.samples_in > 10_000)
        flowgraph.stop()
        flowgraph.wait()
        name = ("rec", "rec-2")[run]
        metadata = written(tmp_path / f"{name}.sigmf-meta")
        assert labels(metadata) == [(0, 100, "a"), (100, 100, "b")][run:]
        status = flowgraph.annotator._sample_counts()
        assert status["samples_in"] == status["samples_written"]
        size = (tmp_path / f"{name}.sigmf-data").stat().st_size
        assert size == 8 * status["samples_written"]
        clock = metadata["captures"][0]["core:datetime"]  # of the computer: nothing was tagged
        assert clock[:4] == time.strftime("%Y", time.gmtime())


def test_a_killed_flowgraph_leaves_a_valid_recording(tmp_path):
    code = """
import sys, time
sys.path[:0] = [{tests!r}]
from test_sigmf_annotator import *
speaker = Speaker([decision("ab"[n % 2], 1000 * n, 1000) for n in range(10**6)])
source = vector_source(noise(1000), repeat=True)
flowgraph = Flowgraph(source, speaker, path={path!r}, record="drop", sample_rate_hz=1e5)
flowgraph.throttle = blocks.throttle(8, 1e5)
flowgraph.disconnect(source, speaker); flowgraph.disconnect(source, flowgraph.annotator)
flowgraph.connect(source, flowgraph.throttle)
flowgraph.connect(flowgraph.throttle, speaker)
flowgraph.connect(flowgraph.throttle, flowgraph.annotator)
flowgraph.start()
time.sleep(60)
""".format(tests=str(Path(__file__).parent), path=str(tmp_path / "rec"))
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    meta = tmp_path / "rec.sigmf-meta"
    try:
        until(lambda: meta.exists() and json.loads(meta.read_text())["annotations"])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = labels(written(meta))
    assert len(found) > 10
    assert found[:-1] == [(1000 * n, 1000, "ab"[n % 2]) for n in range(len(found) - 1)]


def test_a_full_disk_ends_the_recording_and_not_the_flowgraph(tmp_path):
    speaker = Speaker([decision("a", 0), decision("b", 49_900, 200), decision("c", 90_000)])
    flowgraph = Flowgraph(
        vector_source(noise(100_000)), speaker, path=str(tmp_path / "rec"), record="block"
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_004, hard))  # half a sample too much
    try:
        status = flowgraph.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert flowgraph.speaker.nitems_read(0) in (0, 100_000)  # all of it came by
    assert status["errors"] == 1 and "recording stopped" in status["last_error"]
    assert status["recording"] is False
    assert status["samples_written"] == 50_000
    assert status["samples_in"] == 100_000 and status["samples_lost"] == 50_000
    assert (tmp_path / "rec.sigmf-data").stat().st_size == 400_000
    assert labels(written(tmp_path / "rec.sigmf-meta")) == [(0, 100, "a"), (49_900, 100, "b")]


@pytest.fixture
def slow_disk(monkeypatch):
    """Writes take a while, and little is kept in memory."""
    pwrite = os.pwrite

    def slow(file, data, offset):
        time.sleep(0.02)
        return pwrite(file, data, offset)

    monkeypatch.setattr(recorder.os, "pwrite", slow)
    monkeypatch.setattr(recorder, "CAPACITY_BYTES", 100_000)


def test_a_slow_disk_costs_a_live_stream_samples_which_are_counted(slow_disk, tmp_path):
    iq = noise(200_000)
    flowgraph = Flowgraph(
        vector_source(iq), Speaker(late=[decision("a", 0)]), path=str(tmp_path / "rec")
    )
    flowgraph.throttle = blocks.throttle(8, 1e6)
    flowgraph.disconnect(flowgraph.source, flowgraph.annotator)
    flowgraph.connect(flowgraph.source, flowgraph.throttle, flowgraph.annotator)
    status = flowgraph.finish()
    assert status["samples_in"] == 200_000
    assert 0 < status["samples_lost"] < 200_000
    assert status["samples_written"] + status["samples_lost"] == 200_000
    assert "the disk is too slow" in status["last_error"] and status["errors"] >= 1
    metadata = written(tmp_path / "rec.sigmf-meta")
    found = np.fromfile(tmp_path / "rec.sigmf-data", np.complex64)
    there = found != 0
    np.testing.assert_array_equal(found[there], iq[: len(found)][there])  # each in its place
    assert there.sum() == status["samples_written"]
    holes = np.zeros(len(found), bool)
    for start, count, label in labels(metadata):
        if label is None:
            holes[start : start + count] = True
    np.testing.assert_array_equal(holes, ~there)


def test_a_loss_up_to_the_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "CAPACITY_BYTES", 0)  # nothing is ever taken
    flowgraph = Flowgraph(vector_source(noise(1000)), path=str(tmp_path / "rec"))
    status = flowgraph.finish()
    assert status["samples_lost"] == 1000
    assert "the disk is too slow: 1000 from 0 on" in status["last_error"]
    assert labels(json.loads((tmp_path / "rec.sigmf-meta").read_text())) == []


def test_a_slow_disk_makes_a_replay_wait(slow_disk, tmp_path):
    iq = noise(200_000)
    flowgraph = Flowgraph(vector_source(iq), path=str(tmp_path / "rec"), record="block")
    status = flowgraph.finish()
    assert status["samples_lost"] == 0 and status["samples_written"] == 200_000
    np.testing.assert_array_equal(np.fromfile(tmp_path / "rec.sigmf-data", np.complex64), iq)


def test_a_folder_that_cannot_be_made_is_reported_and_the_stream_flows(tmp_path):
    (tmp_path / "file").touch()
    flowgraph = Flowgraph(
        vector_source(noise(1000)), Speaker([decision("a", 0)]), path=str(tmp_path / "file" / "rec")
    )
    status = flowgraph.finish()
    assert status["errors"] == 1 and "choose another folder" in status["last_error"]
    assert status["samples_lost"] == status["samples_in"] == 1000


# --- annotating what is there ------------------------------------------------------------------


@pytest.fixture
def existing(tmp_path):
    noise(1000).tofile(tmp_path / "rec.sigmf-data")
    metadata = {
        "global": {
            "core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": 1e3,
            "core:license": "https://spdx.org/licenses/CC0-1.0.html", "core:offset": 70,
        },
        "captures": [{"core:sample_start": 70, "core:frequency": 1e8}],
        "annotations": [
            {"core:sample_start": 170, "core:sample_count": 5, "core:label": "by hand"},
            {"core:sample_start": 270, "core:sample_count": 5, "core:label": "truth",
             "tsddae:snr_db": 5.0},
            {"core:sample_start": 370, "core:sample_count": 5, "core:label": "old",
             "core:generator": "gr-tsddae 0.1.0", "tsddae:confidence": 0.5},
        ],
    }  # fmt: skip
    (tmp_path / "rec.sigmf-meta").write_text(json.dumps(metadata))
    return tmp_path / "rec.sigmf-meta", metadata


def play(path, *decisions, **arguments):
    speaker = Speaker(decisions[:1], late=decisions[1:])
    source = vector_source(noise(3000))
    return Flowgraph(source, speaker, path=str(path), record="off", **arguments).finish()


@pytest.mark.parametrize("name", ["rec.sigmf-meta", "rec.sigmf-data", "rec"])
def test_what_others_wrote_is_kept_and_ours_replaced(existing, name):
    path, before = existing
    for _ in range(2):
        status = play(
            path.with_name(name), decision("a", 0), decision("b", 950), decision("c", 1000)
        )
        metadata = written(path)
        assert metadata["global"].pop("core:extensions")[0]["name"] == "tsddae"
        assert metadata["global"] == before["global"]
        assert metadata["captures"] == before["captures"]
        assert labels(metadata) == [
            (70, 100, "a"), (170, 5, "by hand"), (270, 5, "truth"), (1020, 50, "b"),
        ]  # fmt: skip
        assert metadata["annotations"][0]["core:freq_lower_edge"] == 1e8 - 500
        assert status["errors"] == 1 and "play it once" in status["last_error"]


def test_a_neighbour_s_end_is_not_that_of_the_next_run(existing):
    path, _ = existing
    source = vector_source(noise(1000), repeat=True)
    flowgraph = Flowgraph(source, path=str(path), record="off")
    flowgraph.start()
    flowgraph.stop()
    flowgraph.wait()
    done = pmt.cons(pmt.intern("done"), pmt.from_long(1))
    flowgraph.annotator.worker.to_basic_block()._post(pmt.intern("system"), done)
    flowgraph.listener.status.clear()
    flowgraph.start()
    try:
        until(lambda: len(flowgraph.listener.status) > 1)  # one may be of the run before
        flowgraph.speaker.say(decision("b", 100))
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert "b" in {label for *_, label in labels(written(path))}


def test_a_raw_file_gets_metadata_beside_it(tmp_path):
    noise(1000).tofile(tmp_path / "iq.cf32")
    for label in ("a", "b"):
        play(tmp_path / "iq.cf32", decision(label, 0), sample_rate_hz=1e3)
        metadata = written(tmp_path / "iq.sigmf-meta")
        assert labels(metadata) == [(0, 100, label)]
        assert metadata["global"]["core:sample_rate"] == 1e3
    assert (tmp_path / "iq.sigmf-data").samefile(tmp_path / "iq.cf32")


def test_an_archive_or_nothing_at_all_is_refused_at_once(existing, tmp_path):
    shutil.make_archive(tmp_path / "rec", "tar", tmp_path, "rec.sigmf-meta")
    os.rename(tmp_path / "rec.tar", tmp_path / "rec.sigmf")
    with pytest.raises(ValueError, match="unpack it with tar"):
        sigmf_annotator(path=str(tmp_path / "rec.sigmf"), record="off")
    with pytest.raises(ValueError, match="does not exist"):
        sigmf_annotator(path=str(tmp_path / "nothing.sigmf-meta"), record="off")


# --- what may go wrong -------------------------------------------------------------------------


def test_nonsense_is_counted_and_the_rest_is_written(tmp_path):
    speaker = Speaker(
        ["hello", {"label": "x"}, decision("a", 0, confidence=float("nan")), decision("b", -1),
         decision("c", 0, sample_count=0), decision("d", 100)],
    )  # fmt: skip
    flowgraph = Flowgraph(vector_source(noise(1000)), speaker, path=str(tmp_path / "rec"))
    flowgraph.annotator.set_minimum_confidence(7)
    flowgraph.annotator.set_ignore(3)
    status = flowgraph.finish()
    assert status["errors"] == 7
    assert labels(written(tmp_path / "rec.sigmf-meta")) == [(100, 100, "d")]


def test_changes_while_running(tmp_path):
    flowgraph = Flowgraph(vector_source(noise(100)), path=str(tmp_path / "rec"), ignore="a, b")
    worker = flowgraph.annotator.worker
    assert worker.ignore == {"a", "b"}
    flowgraph.annotator.set_ignore(["c"])
    flowgraph.annotator.set_minimum_confidence(0.25)
    assert worker.ignore == {"c"} and worker.minimum_confidence == 0.25


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"record": "tape"}, "record is 'tape'"),
        ({"path": ""}, "path is empty"),
        ({"sample_rate_hz": -1}, "sample_rate_hz is -1"),
        ({"center_frequency_hz": float("nan")}, "center_frequency_hz is nan"),
        ({"minimum_confidence": 2}, "minimum_confidence is 2"),
    ],
)
def test_bad_arguments_say_what_is_wrong(wrong, message):
    with pytest.raises(ValueError, match=message):
        sigmf_annotator(**wrong)


def rx_time(whole, part_s=0.5):
    return pmt.make_tuple(whole, pmt.from_double(part_s))


STRANGE_TAGS = [
    ("rx_freq", pmt.from_double(float("nan"))),
    ("rx_freq", pmt.from_complex(1 + 1j)),
    ("rx_rate", pmt.from_double(float("inf"))),
    ("rx_rate", pmt.from_double(-1.0)),
    ("rx_time", rx_time(pmt.intern("now"))),
    ("rx_time", rx_time(pmt.from_uint64(10**13))),
    ("rx_time", rx_time(pmt.from_uint64(1_700_000_000), float("nan"))),
    ("rx_time", rx_time(pmt.from_long(-3))),
    ("rx_time", pmt.make_tuple(pmt.from_uint64(1_700_000_000))),
    ("rx_time", pmt.from_double(1_700_000_000.0)),
]


def test_strange_tags_are_ignored_and_no_sample_is_lost(tmp_path, caplog):
    iq = noise(20_000)
    tags = [
        tag(0, "rx_rate", pmt.from_double(1e5)), tag(0, "rx_freq", pmt.from_double(433e6)),
        tag(0, "rx_time", rx_time(pmt.from_uint64(1_700_000_000), 0.25)),
        *(tag(1000 * (n + 1), *strange) for n, strange in enumerate(STRANGE_TAGS)),
        tag(15_000, "rx_freq", pmt.from_double(434e6)),
    ]  # fmt: skip
    flowgraph = Flowgraph(
        vector_source(iq, tags=tags), Speaker([decision("a", 0)]), path=str(tmp_path / "rec"),
        record="block",
    )  # fmt: skip
    status = flowgraph.finish()
    np.testing.assert_array_equal(np.fromfile(tmp_path / "rec.sigmf-data", np.complex64), iq)
    metadata = written(tmp_path / "rec.sigmf-meta")
    assert labels(metadata) == [(0, 100, "a")] and metadata["global"]["core:sample_rate"] == 1e5
    assert metadata["captures"] == [
        {"core:sample_start": 0, "core:frequency": 433e6,
         "core:datetime": "2023-11-14T22:13:20.250000Z"},
        {"core:sample_start": 15_000, "core:frequency": 434e6,
         "core:datetime": "2023-11-14T22:13:20.400000Z"},
    ]  # fmt: skip
    assert status["errors"] == len(STRANGE_TAGS)
    assert [line.split(",")[0] for line in caplog.messages] == [
        "tag rx_freq: it says nan", "tag rx_rate: it says inf",
        "tag rx_time: it says {now 0.5}",
    ]  # fmt: skip


def test_tags_of_others_are_not_looked_at(tmp_path, monkeypatch):
    """There may be thousands of them in a block of samples."""
    foreign = [tag(n, "burst", pmt.PMT_T) for n in range(0, 20_000, 10)]
    told = [tag(0, "rx_freq", pmt.from_double(1e8)), tag(70, "rx_freq", pmt.from_double(2e8))]
    flowgraph = Flowgraph(
        vector_source(noise(20_000), tags=foreign + told), path=str(tmp_path / "rec"),
        record="block",
    )  # fmt: skip
    recorder, seen = flowgraph.annotator.recorder, []
    note_tags = recorder._on_tags
    monkeypatch.setattr(recorder, "_on_tags", lambda *a: (seen.extend(a[-1]), note_tags(*a)))
    status = flowgraph.finish()
    assert status["errors"] == 0
    captures = written(tmp_path / "rec.sigmf-meta")["captures"]
    assert [(c["core:sample_start"], c["core:frequency"]) for c in captures] == [
        (0, 1e8), (70, 2e8),
    ]  # fmt: skip
    assert len(seen) == len(told)


def test_a_tag_handler_that_fails_costs_no_sample(tmp_path, monkeypatch):
    iq = noise(20_000)
    source = vector_source(iq, tags=[tag(0, "rx_freq", pmt.from_double(1e8))])
    flowgraph = Flowgraph(source, path=str(tmp_path / "rec"), record="block")

    def fail(tags):
        raise RuntimeError("no such tag")

    monkeypatch.setattr(flowgraph.annotator.recorder, "_on_tags", fail)
    status = flowgraph.finish()
    assert status["samples_lost"] == 0 and "tags not understood" in status["last_error"]
    np.testing.assert_array_equal(np.fromfile(tmp_path / "rec.sigmf-data", np.complex64), iq)


def test_a_bad_number_in_a_decision_stops_no_other(tmp_path, caplog):
    speaker = Speaker([
        decision("a", 0, center_frequency_hz=float("nan")),
        decision("b", 100, sample_rate_hz=float("inf")),
        decision("c", 200, center_frequency_hz=1.7e308, sample_rate_hz=1.7e308),
        decision("d", 300, center_frequency_hz=1e8),
    ])  # fmt: skip
    flowgraph = Flowgraph(vector_source(noise(1000)), speaker, path=str(tmp_path / "rec"))
    flowgraph.finish()
    assert labels(written(tmp_path / "rec.sigmf-meta")) == [(300, 100, "d")]
    assert flowgraph.annotator.worker.recording.annotation_count == 1
    first, second, last = caplog.messages
    assert "center_frequency_hz is nan" in first and "sample_rate_hz is inf" in second
    assert "1 hold what JSON cannot say" in last
