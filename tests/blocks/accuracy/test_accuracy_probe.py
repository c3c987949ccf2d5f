# SPDX-License-Identifier: GPL-3.0-or-later
"""The Accuracy Probe in real flowgraphs: against `train evaluate`, and against counts by hand."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks

from gr_tsddae.blocks import accuracy_probe, classifier, rml_source
from gr_tsddae.blocks.accuracy import worker as accuracy_worker
from gr_tsddae.blocks.listening import message_block
from gr_tsddae.blocks.network import classifier_worker

L = 128
BATCH = 64


@pytest.fixture(scope="module")
def rml(tmp_path_factory):
    """A file in the layout of RML2016.10A: 11 classes at three levels, 20 windows each."""
    from gr_tsddae.synth.__main__ import main

    path = tmp_path_factory.mktemp("rml") / "rml.pkl"
    assert main(["rml2016a", str(path), "--windows", "20", "--snrs", "-10", "10", "10"]) == 0
    return path


@pytest.fixture
def model(model_folder):
    return {
        "model": str(model_folder), "device": "cpu", "precision": "float32",
        "overflow": "block", "batch_windows": BATCH,
    }  # fmt: skip


class Collector(gr.basic_block):
    """Keeps what comes. One per sender: a message block ends with the first that ends."""

    def __init__(self):
        gr.basic_block.__init__(self, name="collector", in_sig=None, out_sig=None)
        self.messages: list = []
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.on_message)

    def start(self):
        while self.delete_head_nowait(pmt.intern("in")) is not None:
            pass  # it came after the last run's end
        self.messages.clear()
        return True

    def on_message(self, message):
        if pmt.is_pair(message) and pmt.is_uniform_vector(pmt.cdr(message)):  # a PDU
            windows = pmt.to_python(pmt.car(message))["windows"]
            rows = np.array(pmt.to_python(pmt.cdr(message))).reshape(windows, -1)
            self.messages.append(rows)
        else:
            self.messages.append(pmt.to_python(message))


class Flowgraph(gr.top_block):
    """source -> classifier -> probe -> collector; the probe sees the stream too, or does not."""

    def __init__(self, source, model, *, stream=True, ports=("results", "decisions"), **probe):
        gr.top_block.__init__(self, "test")
        self.source = source
        self.classifier = classifier(**model)
        self.probe = accuracy_probe(**probe)
        self.said, self.called = Collector(), Collector()
        self.connect(self.source, self.classifier)
        if stream:
            self.connect(self.source, self.probe)
        for port in ports:
            self.msg_connect(self.classifier, port, self.probe, port)
        self.msg_connect(self.probe, "accuracy", self.said, "in")
        self.msg_connect(self.classifier, "results", self.called, "in")

    @property
    def reports(self):
        return self.said.messages


def evaluated(rml, model, out, **settings):
    """metrics.json of `train evaluate` on the same file."""
    from gr_tsddae.train.evaluate import EvaluateConfig, evaluate

    fixed = {
        "model": model["model"], "out": out, "dataset": "rml2016.10a", "path": rml,
        "report": False, "device": "cpu", "batch": BATCH,
    }  # fmt: skip
    evaluate(EvaluateConfig(**fixed | settings))
    return json.loads((out / "metrics.json").read_text())


def assert_the_same(report, metrics):
    assert report["confusion"] == metrics["confusion"]
    assert report["classes"] == metrics["classes"]
    assert report["windows"] == metrics["windows"]
    for key in ("accuracy", "average_over_snr", "macro_f1", "recall", "precision"):
        assert report[key] == metrics[key], key
    assert {str(snr): share for snr, share in report["accuracy_per_snr"].items()} == metrics[
        "accuracy_per_snr"
    ]
    assert_none_apart(report)


def assert_none_apart(report):
    apart = [key for key, value in report.items() if key.startswith("windows_") and value]
    assert not apart and not report["errors"], (apart, report)


def called_by_evaluate(rml, model, part):
    """Class by number, window for window, by the code behind `train evaluate`."""
    from gr_tsddae import zoo
    from gr_tsddae.data import open_dataset
    from gr_tsddae.data.splits import split
    from gr_tsddae.train.measure.predict import predict

    dataset = open_dataset("rml2016.10a", rml)
    dataset = dataset.select(np.sort(getattr(split(dataset, seed=1), part)))
    loaded = zoo.load(model["model"])
    outputs, _ = predict(loaded.network, dataset, scaling=loaded.card.scaling, batch=BATCH)
    return outputs.softmax(1).numpy()


def test_it_says_what_train_evaluate_says_window_for_window(rml, model, tmp_path):
    file = tmp_path / "folder" / "accuracy.json"
    source = rml_source("rml2016.10a", str(rml), part="test")
    flowgraph = Flowgraph(source, model, file=str(file))
    flowgraph.run()
    metrics = evaluated(rml, model, tmp_path / "out", part="test", closed_set=False)
    assert metrics["windows"] == 132 and 0 < metrics["accuracy"] < 1
    live = np.concatenate(flowgraph.called.messages)
    offline = called_by_evaluate(rml, model, "test")
    np.testing.assert_array_equal(live.argmax(1), offline.argmax(1))
    # The last batches are padded differently, which moves float32 by some 1e-7: no window is so
    # near to a tie that this could turn it.
    np.testing.assert_allclose(live, offline, atol=1e-5)
    best = np.sort(offline, axis=1)[:, -2:]
    assert (best[:, 1] - best[:, 0]).min() > 1e-5
    assert_the_same(flowgraph.probe.report(), metrics)
    assert_the_same(json.loads(file.read_text()), metrics)
    last = flowgraph.reports[-1]
    assert last["accuracy_per_snr"] == {int(k): v for k, v in metrics["accuracy_per_snr"].items()}
    assert last["confusion"] == metrics["confusion"] and last["windows_waiting"] == 0


def test_among_the_classes_of_the_data_as_benchmarks_do(rml, model, tmp_path):
    renamed = {"AM-SSB": "noise"}
    metrics = evaluated(rml, model, tmp_path / "out", rename=renamed)
    assert len(metrics["classes"]) == 11
    source = rml_source("rml2016.10a", str(rml))
    flowgraph = Flowgraph(source, model, rename=renamed, among=metrics["classes"][::-1])
    flowgraph.run()
    assert_the_same(flowgraph.probe.report(), metrics)
    assert metrics["recall"]["noise"] >= 0 and "AM-SSB" not in metrics["classes"]


def test_a_recording_replayed_by_a_stock_file_source(rml, model, tmp_path):
    from gr_tsddae.data.__main__ import main

    out = tmp_path / "replay"
    assert main(["to-file", "rml2016.10a", str(rml), str(out), "--part", "test"]) == 0
    metrics = evaluated(rml, model, tmp_path / "out", part="test", closed_set=False)
    for stream in (False, True):
        source = blocks.file_source(gr.sizeof_gr_complex, f"{out}.sigmf-data")
        flowgraph = Flowgraph(source, model, stream=stream, truth=f"{out}.sigmf-meta")
        flowgraph.run()
        assert_the_same(flowgraph.probe.report(), metrics)


def test_no_last_window_is_lost_however_slow_the_network(rml, model, monkeypatch):
    """Results come long after the stream's end, and decisions after them."""
    for pause in (0, 0.7):
        source = rml_source("rml2016.10a", str(rml), order="by_class_and_snr", windows_per_key=5)
        flowgraph = Flowgraph(source, model | {"sample_rate_hz": 2e3, "decision_interval_s": 0.3})
        recognizer = flowgraph.classifier.worker._recognizer
        fast = recognizer.judge
        monkeypatch.setattr(
            recognizer,
            "judge",
            lambda w, f=fast, s=pause: (time.sleep(s), f(w))[1],
        )
        flowgraph.run()
        report = flowgraph.probe.report()
        assert report["windows"] == 165
        assert_none_apart(report)
        assert flowgraph.reports[-1]["windows"] == 165
        # A decision spans 5 windows of 128, and so many have one class and SNR.
        assert report["decisions"]["decisions"] == 33
        assert sum(map(sum, report["decisions"]["confusion"])) == 33


def test_decisions_and_windows_over_two_truths_are_not_judged(rml, model):
    hop = L // 2
    source = rml_source("rml2016.10a", str(rml), order="by_class", snrs_db=[10], windows_per_key=8)
    rate = {"sample_rate_hz": 1e3, "decision_interval_s": 6 * L / 1e3}
    flowgraph = Flowgraph(source, model | {"hop_samples": hop} | rate)
    flowgraph.run()
    report = flowgraph.probe.report()
    windows = 11 * 8 * 2 - 1
    assert report["windows_of_two_truths"] == 10, "one at each of the ten changes"
    assert report["windows"] == windows - 10
    # 11 windows reach over the interval of 6 L; the next decision starts with the 12th.
    end, starts = 11 * 8 * L, range(0, 11 * 8 * L - L + 1, 11 * hop)
    inside = [s for s in starts if s // (8 * L) == (min(s + 6 * L, end) - 1) // (8 * L)]
    assert report["decisions"]["decisions"] == len(inside)
    assert report["decisions"]["decisions_of_two_truths"] == len(starts) - len(inside)


def test_a_decision_of_one_class_and_many_levels_counts_without_a_level(rml, model):
    source = rml_source("rml2016.10a", str(rml), order="by_class", windows_per_key=2)
    rate = {"sample_rate_hz": 1e3, "decision_interval_s": 6 * L / 1e3}
    flowgraph = Flowgraph(source, model | rate)
    flowgraph.run()
    decisions = flowgraph.probe.report()["decisions"]
    assert decisions["decisions"] == 11 and decisions["accuracy_per_snr"] == {}


def test_decisions_under_the_threshold_are_no_answers(rml, model):
    source = rml_source("rml2016.10a", str(rml), order="by_class_and_snr", windows_per_key=2)
    rate = {"sample_rate_hz": 1e3, "decision_interval_s": 2 * L / 1e3}
    flowgraph = Flowgraph(source, model | rate | {"confidence_threshold": 1.0})
    flowgraph.run()
    decisions = flowgraph.probe.report()["decisions"]
    assert decisions["decisions_undecided"] == 33 and decisions["decisions"] == 0


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def test_tags_of_anyone(model, model_folder):
    """Before the first tag and after a tag of nothing there is no truth; a class may be unknown."""
    tags = [
        tag(2 * L, "label", pmt.intern("bpsk")),
        tag(2 * L, "snr_db", pmt.from_double(9.6)),
        tag(5 * L, "snr_db", pmt.from_long(-3)),
        tag(7 * L, "label", pmt.intern("DECT")),
        tag(9 * L, "label", pmt.PMT_NIL),
        tag(10 * L, "label", pmt.intern("QPSK")),
    ]
    random = np.random.default_rng(1)
    iq = random.normal(size=12 * L) + 1j * random.normal(size=12 * L)
    source = blocks.vector_source_c(iq.tolist(), False, 1, tags)
    flowgraph = Flowgraph(source, model)
    flowgraph.run()
    report = flowgraph.probe.report()
    assert report["windows_without_truth"] == 3 and report["windows_of_unknown_labels"] == 2
    assert report["unknown_labels"] == ["DECT"]
    assert report["windows"] == 7 and set(report["recall"]) == {"BPSK", "QPSK"}
    assert set(report["accuracy_per_snr"]) == {10, -3}
    true = dict(zip(report["classes"], map(sum, report["confusion"]), strict=True))
    assert true["BPSK"] == 5 and true["QPSK"] == 2


def test_it_ends_and_says_that_there_was_no_truth(model):
    iq = np.random.default_rng(1).normal(size=10 * L).astype(np.complex64)
    flowgraph = Flowgraph(blocks.vector_source_c(iq.tolist()), model, stream=False)
    flowgraph.run()
    report = flowgraph.probe.report()
    assert report["windows"] == 0 and report["accuracy"] is None
    assert report["windows_without_truth"] == 10
    page = flowgraph.reports[-1]["page"]
    assert "no windows judged" in page and "not judged: 10 without truth" in page
    assert page == flowgraph.probe.page()


def test_live_reports_and_a_stop_in_the_middle(rml, model, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy_worker, "REPORT_INTERVAL_S", 0.2)
    file = tmp_path / "accuracy.json"
    source = rml_source("rml2016.10a", str(rml), repeat=True, order="shuffled")
    flowgraph = Flowgraph(source, model, file=str(file))
    for run in (1, 2):
        before = flowgraph.classifier.counters()["windows_classified"]
        flowgraph.said.messages.clear()  # start() returns before the blocks have begun
        flowgraph.start()
        deadline = time.monotonic() + 60
        while len({report["windows"] for report in flowgraph.reports}) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        seen = json.loads(file.read_text())  # whole at any moment
        flowgraph.stop()
        flowgraph.wait()
        reports = [report["windows"] for report in flowgraph.reports]
        assert reports == sorted(reports), "it grows"
        last = json.loads(file.read_text())
        assert last["windows"] >= seen["windows"] > 0 and last["windows_waiting"] == 0
        assert last["windows_of_two_truths"] == last["errors"] == 0
        after = flowgraph.classifier.counters()["windows_classified"]
        assert last["windows"] == after - before, "what the classifier said last is judged, too"
        assert "page" not in seen, "it is of the end"
        page = last["page"]
        assert page.startswith("TS-DDAE Accuracy Probe, model "), run
        assert f"of {last['windows']:,} windows right" in page
        assert "SNR (dB)" in page and "BPSK" in page
    assert not [t for t in threading.enumerate() if t.name.startswith("tsddae accuracy")]


def test_a_slow_classifier_is_heard_to_its_end(rml, model, monkeypatch):
    """When it is stopped it has a backlog, and takes longer for it than anyone would listen."""
    quick = classifier_worker.SharedRecognizer.judge

    def slow(self, windows):
        time.sleep(2 * message_block.QUIET_S)
        return quick(self, windows)

    flowgraph = Flowgraph(rml_source("rml2016.10a", str(rml), repeat=True), model)
    monkeypatch.setattr(classifier_worker.SharedRecognizer, "judge", slow)
    flowgraph.start()
    deadline = time.monotonic() + 60
    while not flowgraph.classifier.counters()["windows_classified"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    flowgraph.stop()
    flowgraph.wait()
    classified = flowgraph.classifier.counters()["windows_classified"]
    assert classified > BATCH, "there was a backlog"
    assert flowgraph.probe.report()["windows"] == classified


def test_bad_messages_are_counted_and_change_nothing(rml, model, caplog):
    source = rml_source("rml2016.10a", str(rml), windows_per_key=1)
    flowgraph = Flowgraph(source, model, among=["BPSK", "DECT"])
    for text in ("nonsense", "more"):
        flowgraph.probe.worker._on_results(pmt.intern(text))
        flowgraph.probe.worker._on_decision(pmt.intern(text))
    assert flowgraph.probe.report()["errors"] == 4
    flowgraph.run()
    report = flowgraph.probe.report()
    assert report["windows"] == 0
    assert report["errors"] == 2, "one PDU and one decision; a start begins anew"
    assert "among names DECT, which the model has not" in report["last_error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"truth": "nowhere.sigmf-meta"}, "cannot be read: No such file"),
        ({"truth": "bad.json"}, "is no SigMF metadata"),
        ({"truth": "empty.json"}, "no annotation with a label"),
        ({"rename": ["a"]}, "rename is"),
        ({"among": ["BPSK"]}, "two classes or more"),
        ({"among": "BPSK"}, "give a list"),
        ({"file": "."}, "cannot be written"),
        ({"file": "bad.json/x"}, "folder cannot be made"),
    ],
)
def test_what_cannot_work_is_said(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text('{"annotations": 3}')
    (tmp_path / "empty.json").write_text('{"global": {}, "captures": [], "annotations": []}')
    with pytest.raises(ValueError, match=said):
        accuracy_probe(**arguments)
