# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier block in real flowgraphs."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from waiting import until

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks

from gr_tsddae import Recognizer, zoo
from gr_tsddae.blocks import classifier
from gr_tsddae.blocks.listening.content import content_of
from gr_tsddae.blocks.network import fit_check

L = 128


class Collector(gr.basic_block):
    """Keeps every message of the three ports as Python values."""

    def __init__(self):
        gr.basic_block.__init__(self, name="collector", in_sig=None, out_sig=None)
        self.decisions: list[dict] = []
        self.results: list[tuple[dict, np.ndarray]] = []
        self.status: list[dict] = []
        for port in ("decisions", "results", "status"):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), getattr(self, f"on_{port}"))

    def on_decisions(self, message):
        self.decisions.append(pmt.to_python(message))

    def on_results(self, message):
        vector = np.array(pmt.f32vector_elements(pmt.cdr(message)), np.float32)
        self.results.append((pmt.to_python(pmt.car(message)), vector))

    def on_status(self, message):
        self.status.append(pmt.to_python(message))


class Flowgraph(gr.top_block):
    """source -> classifier -> collector; extra blocks go through `connect` as usual."""

    def __init__(self, source, **arguments):
        gr.top_block.__init__(self, "test")
        self.source = source
        self.classifier = classifier(**arguments)
        self.collector = Collector()
        self.connect(self.source, self.classifier)
        for port in ("decisions", "results", "status"):
            self.msg_connect(self.classifier, port, self.collector, port)

    def counters(self):
        counters = self.classifier.counters()
        parts = ("classified", "gated", "dropped", "flushed", "pending")
        assert counters["samples_in"] == sum(counters[f"samples_{part}"] for part in parts)
        return counters


def noise(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=count) + 1j * rng.normal(size=count)).astype(np.complex64)


def vector_source(iq: np.ndarray, repeat: bool = False, tags=()):
    return blocks.vector_source_c(iq.tolist(), repeat, 1, list(tags))


def endless_noise():
    return vector_source(noise(50 * L), repeat=True)


def tag(offset: int, key: str, value) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


@pytest.fixture
def arguments(model_folder):
    return {"model": str(model_folder), "device": "cpu", "precision": "float32"}


def test_says_window_for_window_what_the_recogniser_says(arguments):
    iq = noise(40 * L + 17)
    flowgraph = Flowgraph(vector_source(iq), overflow="block", batch_windows=16, **arguments)
    flowgraph.run()
    recognizer = Recognizer(arguments["model"], device="cpu", precision="float32", batch_windows=16)
    expected = recognizer.predict(iq)
    got = np.concatenate([v.reshape(m["windows"], -1) for m, v in flowgraph.collector.results])
    np.testing.assert_array_equal(got, expected.window_probabilities)
    firsts = np.concatenate([m["first_samples"] for m, _ in flowgraph.collector.results])
    np.testing.assert_array_equal(firsts, expected.first_samples)
    counters = flowgraph.counters()
    assert counters["samples_classified"] == 40 * L
    assert counters["samples_flushed"] == 17
    assert counters["samples_pending"] == 0


def test_the_last_decision_of_a_file_is_not_lost(arguments):
    """The scheduler finishes a block before its last messages unless it is made to wait."""
    for _ in range(10):
        flowgraph = Flowgraph(
            vector_source(noise(100 * L)), overflow="block", batch_windows=8,
            sample_rate_hz=1e4, decision_interval_s=10 * L / 1e4, **arguments,
        )  # fmt: skip
        flowgraph.run()
        decisions = flowgraph.collector.decisions
        assert [d["first_sample"] for d in decisions] == list(range(0, 100 * L, 10 * L))
        assert flowgraph.collector.status[-1]["samples_classified"] == 100 * L


def test_decision_message_has_what_the_documentation_promises(arguments):
    flowgraph = Flowgraph(
        vector_source(noise(8 * L)), overflow="block", sample_rate_hz=2e3,
        center_frequency_hz=433e6, decision_interval_s=10, **arguments,
    )  # fmt: skip
    flowgraph.run()
    (decision,) = flowgraph.collector.decisions
    assert set(decision) == {
        "model", "label", "best", "confidence", "probabilities", "windows", "first_sample",
        "sample_count", "time_s", "center_frequency_hz", "sample_rate_hz", "score",
    }  # fmt: skip
    assert decision["windows"] == 8
    assert decision["sample_count"] == 8 * L
    assert decision["time_s"] is None
    assert decision["center_frequency_hz"] == 433e6
    assert sum(decision["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert decision["label"] == max(decision["probabilities"], key=decision["probabilities"].get)


def test_tags_give_time_frequency_and_rate_and_end_a_decision(arguments):
    rx_time = pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.25))
    tags = [
        tag(0, "rx_time", rx_time),
        tag(0, "rx_rate", pmt.from_double(1e3)),
        tag(0, "rx_freq", pmt.from_double(100e6)),
        tag(5 * L + 50, "rx_freq", pmt.from_double(101e6)),
    ]
    flowgraph = Flowgraph(
        vector_source(noise(12 * L), tags=tags), overflow="block", decision_interval_s=100,
        **arguments,
    )  # fmt: skip
    flowgraph.run()
    first, second = flowgraph.collector.decisions
    assert first["center_frequency_hz"] == 100e6
    assert first["sample_count"] == 5 * L
    assert first["time_s"] == 1_700_000_000.25
    assert second["center_frequency_hz"] == 101e6
    assert second["first_sample"] == 5 * L + 50
    assert second["time_s"] == pytest.approx(1_700_000_000.25 + (5 * L + 50) / 1e3, abs=1e-6)
    assert flowgraph.counters()["samples_flushed"] == 50 + (12 * L - 5 * L - 50) % L


def test_a_receiver_whose_clock_nobody_set_tells_no_time(arguments):
    since_power_up = pmt.make_tuple(pmt.from_uint64(3), pmt.from_double(0.5))
    source = vector_source(noise(12 * L), tags=[tag(0, "rx_time", since_power_up)])
    flowgraph = Flowgraph(source, overflow="block", **arguments)
    flowgraph.run()
    assert [decision["time_s"] for decision in flowgraph.collector.decisions] == [None]


def test_gate_and_silence_and_nonfinite_samples(arguments):
    iq = noise(30 * L)
    iq[10 * L : 20 * L] = 0
    iq[5 * L] = np.nan
    iq[6 * L] = np.inf
    flowgraph = Flowgraph(vector_source(iq), overflow="block", gate_dbfs=-60.0, **arguments)
    flowgraph.run()
    counters = flowgraph.counters()
    assert counters["windows_gated"] == 12
    assert counters["windows_nonfinite"] == 2
    assert counters["windows_classified"] == 18
    assert np.isfinite(flowgraph.collector.results[0][1]).all()


def test_slow_network_drops_and_counts_but_never_stalls_the_stream(arguments, monkeypatch):
    flowgraph = Flowgraph(
        endless_noise(), overflow="drop_oldest", capacity_batches=2,
        batch_windows=4, **arguments,
    )  # fmt: skip
    recognizer = flowgraph.classifier.worker._recognizer
    fast = recognizer.judge
    monkeypatch.setattr(recognizer, "judge", lambda w: (time.sleep(0.05), fast(w))[1])
    flowgraph.start()
    until(lambda: lost(flowgraph.counters()) > 10)
    flowgraph.stop()
    flowgraph.wait()
    assert lost(flowgraph.counters()) > 5
    assert flowgraph.counters()["samples_pending"] == 0


def lost(counters) -> float:
    """Windows dropped per window classified; 0 before any was."""
    classified = counters["windows_classified"]
    return counters["windows_dropped"] / classified if classified else 0.0


def test_start_and_stop_many_times_leaves_no_thread(arguments):
    others = set(threading.enumerate())  # of tests before, such as a survey's pool
    flowgraph = Flowgraph(vector_source(noise(50 * L), repeat=True), **arguments)
    tasks = Path(
        "/proc/self/task"
    )  # the system's threads: the scheduler's and torch's are here too
    after_warm_up = 0
    for run in range(50):
        flowgraph.start()
        flowgraph.stop()
        flowgraph.wait()
        assert flowgraph.counters()["samples_pending"] == 0
        if run == 5:
            after_warm_up = len(list(tasks.iterdir()))
    # the engine's thread ends once its network is built
    until(
        lambda: not [t for t in set(threading.enumerate()) - others if t.name.startswith("tsddae")]
    )
    # torch keeps a few threads of its own for a while; one lost per run would be 44 more
    assert len(list(tasks.iterdir())) < after_warm_up + 20


def test_stop_in_the_middle_of_a_batch(arguments, monkeypatch):
    flowgraph = Flowgraph(
        endless_noise(), overflow="drop_newest", batch_windows=8,
        **arguments,
    )  # fmt: skip
    recognizer = flowgraph.classifier.worker._recognizer
    fast, inside = recognizer.judge, threading.Event()

    def slow(windows):
        inside.set()
        time.sleep(0.3)
        return fast(windows)

    monkeypatch.setattr(recognizer, "judge", slow)
    flowgraph.start()
    until(inside.is_set)
    flowgraph.stop()
    flowgraph.wait()
    counters = flowgraph.counters()
    assert counters["batches_taken"] == 0
    assert counters["samples_pending"] == 0


def test_runs_again_after_the_file_ended(arguments):
    iq = noise(20 * L)
    flowgraph = Flowgraph(vector_source(iq), overflow="block", **arguments)
    for run in (1, 2):
        flowgraph.source.rewind()
        flowgraph.run()
        assert flowgraph.counters()["windows_classified"] == 20 * run


def test_an_exception_in_the_worker_is_counted_and_the_stream_goes_on(
    arguments, monkeypatch, caplog
):
    flowgraph = Flowgraph(
        vector_source(noise(64 * L)), overflow="block", batch_windows=16, **arguments
    )
    recognizer = flowgraph.classifier.worker._recognizer
    fine, calls = recognizer.judge, []

    def sometimes(windows):
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError("no room")
        return fine(windows)

    monkeypatch.setattr(recognizer, "judge", sometimes)
    flowgraph.run()
    counters = flowgraph.counters()
    assert counters["windows_dropped"] == 16
    assert counters["windows_classified"] == 48
    assert flowgraph.collector.status[-1]["errors"] == 1
    assert "no room" in flowgraph.collector.status[-1]["last_error"]
    assert "no room" in caplog.text


def test_another_model_is_swapped_in_while_running(arguments, model_folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model_folder, other)
    model = zoo.load(other)
    import dataclasses

    zoo.save(other, dataclasses.replace(model.card, name="other"), model.network)
    flowgraph = Flowgraph(endless_noise(), batch_windows=8, sample_rate_hz=1e5, **arguments)
    flowgraph.start()
    try:
        until(lambda: flowgraph.collector.decisions)
        flowgraph.classifier.set_model(str(other))
        until(lambda: flowgraph.collector.decisions[-1]["model"] == "other")
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert flowgraph.counters()["samples_pending"] == 0


def test_a_bad_model_changes_nothing_and_is_reported(arguments, model_folder, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(model_folder, bad)
    (bad / "model.safetensors").write_text("not weights")
    flowgraph = Flowgraph(endless_noise(), batch_windows=8, sample_rate_hz=1e5, **arguments)
    name = zoo.read_card(model_folder).name
    flowgraph.start()
    try:
        flowgraph.classifier.set_model(str(bad))
        until(lambda: flowgraph.collector.status and flowgraph.collector.status[-1]["errors"])
        seen = len(flowgraph.collector.decisions)
        until(lambda: len(flowgraph.collector.decisions) > seen)
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert "sha256" in flowgraph.collector.status[-1]["last_error"]
    assert {d["model"] for d in flowgraph.collector.decisions} == {name}


def test_control_messages_change_parameters_and_bad_ones_do_not(arguments):
    flowgraph = Flowgraph(
        vector_source(noise(64 * L), repeat=True), batch_windows=8, sample_rate_hz=1e5, **arguments
    )
    control = pmt.intern("control")
    post = flowgraph.classifier.worker.to_basic_block()._post
    flowgraph.start()
    try:
        post(control, pmt.to_pmt({"gate_dbfs": -30.0, "confidence_threshold": 1.0}))
        until(lambda: flowgraph.classifier.batcher.gate_dbfs() == -30.0)
        post(control, pmt.cons(pmt.intern("gate_dbfs"), pmt.from_double(-float("inf"))))
        until(lambda: any(d["label"] == "unknown" for d in flowgraph.collector.decisions))
        key = pmt.intern("gate_dbfs")  # a number of any type is one
        for number in (pmt.from_long(-40), pmt.from_complex(-50), pmt.from_uint64(20)):
            post(control, pmt.cons(key, number))
            wanted = content_of(number)
            until(lambda wanted=wanted: flowgraph.classifier.batcher.gate_dbfs() == wanted)
        nan = float("nan")
        refused = [{"confidence_threshold": 7}, {"volume": 11}, 5, {"model": 3}, {"self": 1}]
        for bad in (*refused, {"sample_rate_hz": nan}, {"center_frequency_hz": nan}):
            before = flowgraph.classifier.worker.errors
            post(control, pmt.to_pmt(bad))
            until(lambda before=before: flowgraph.classifier.worker.errors > before)
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert flowgraph.counters()["windows_classified"] > 0


def test_a_burst_is_announced_while_the_gate_is_closed_again(arguments):
    iq = np.zeros(4000 * L, np.complex64)
    iq[: 20 * L] = noise(20 * L)
    flowgraph = gr.top_block()
    flowgraph.source = vector_source(iq)
    flowgraph.throttle = blocks.throttle(gr.sizeof_gr_complex, 100e3)  # 5 s in all
    flowgraph.classifier = classifier(
        gate_dbfs=-60.0, sample_rate_hz=100e3, decision_interval_s=0.1, **arguments
    )
    flowgraph.collector = Collector()
    flowgraph.connect(flowgraph.source, flowgraph.throttle, flowgraph.classifier)
    flowgraph.msg_connect(flowgraph.classifier, "decisions", flowgraph.collector, "decisions")
    flowgraph.start()
    try:
        until(lambda: flowgraph.collector.decisions)
        assert not flowgraph.classifier.batcher.closed()  # long before the stream's end
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert flowgraph.collector.decisions[0]["windows"] == 20


def test_bad_values_from_a_gui_are_reported_not_raised(arguments):
    flowgraph = Flowgraph(endless_noise(), batch_windows=8, sample_rate_hz=1e5, **arguments)
    block = flowgraph.classifier
    block.set_model("")
    block.set_decision_interval_s(0)
    block.set_confidence_threshold(7)
    block.set_gate_dbfs(float("nan"))
    block.set_sample_rate_hz(-1)
    block.set_center_frequency_hz(float("nan"))
    block.worker.try_to_set(sample_rate_hz=True, gate_dbfs="loud")
    flowgraph.start()
    try:
        until(lambda: flowgraph.collector.status)
        until(lambda: flowgraph.collector.decisions)
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert flowgraph.collector.status[-1]["errors"] == 8
    told = flowgraph.collector.status[-1]["last_error"]
    assert "gate_dbfs not changed" in told and "it is 'loud', which is no number" in told


def test_control_messages_come_in_through_the_block(arguments):
    flowgraph = Flowgraph(endless_noise(), batch_windows=8, sample_rate_hz=1e5, **arguments)
    message = pmt.to_pmt({"gate_dbfs": -31.0})
    flowgraph.strobe = blocks.message_strobe(message, 50)
    flowgraph.msg_connect(flowgraph.strobe, "strobe", flowgraph.classifier, "control")
    flowgraph.start()
    try:
        until(lambda: flowgraph.classifier.batcher.gate_dbfs() == -31.0)
    finally:
        flowgraph.stop()
        flowgraph.wait()


def test_what_the_receiver_reports_is_counted_in_status(arguments):
    flowgraph = Flowgraph(endless_noise(), batch_windows=8, sample_rate_hz=1e5, **arguments)
    overflow = pmt.cons(pmt.intern("uhd_async_msg"), pmt.intern("overflow"))
    flowgraph.strobe = blocks.message_strobe(overflow, 50)
    flowgraph.msg_connect(flowgraph.strobe, "strobe", flowgraph.classifier, "receiver")
    flowgraph.start()
    try:
        until(lambda: [s for s in flowgraph.collector.status if s["receiver_messages"] > 2])
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert "overflow" in flowgraph.collector.status[-1]["receiver_said"]


def test_a_control_source_that_ends_does_not_end_the_classifier(arguments):
    """GNU Radio finishes a message block as soon as any one of its neighbours is done."""

    class Passing(gr.sync_block):
        """A stream block with a message port that is done long before the classifier."""

        def __init__(self):
            gr.sync_block.__init__(self, "passing", [np.complex64], None)
            self.message_port_register_out(pmt.intern("out"))

        def work(self, input_items, output_items):
            return len(input_items[0])

    flowgraph = Flowgraph(
        blocks.vector_source_c([1j] * 4000 * L), overflow="block", batch_windows=16, **arguments
    )
    flowgraph.early = Passing()
    flowgraph.early_source = vector_source(noise(10))
    flowgraph.connect(flowgraph.early_source, flowgraph.early)
    flowgraph.msg_connect(flowgraph.early, "out", flowgraph.classifier, "control")
    flowgraph.run()
    assert flowgraph.counters()["windows_classified"] == 4000
    assert sum(m["windows"] for m, _ in flowgraph.collector.results) == 4000


def test_works_with_nothing_connected_to_its_messages(arguments):
    flowgraph = gr.top_block()
    flowgraph.source = vector_source(noise(20 * L))
    flowgraph.classifier = classifier(overflow="block", **arguments)
    flowgraph.connect(flowgraph.source, flowgraph.classifier)
    flowgraph.run()
    assert flowgraph.classifier.counters()["windows_classified"] == 20


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "no-such-model"}, "no model 'no-such-model'"),
        ({"hop_samples": -1}, "hop_samples is -1"),
        ({"batch_windows": -1}, "batch_windows is -1"),
        ({"capacity_batches": 1}, "capacity_batches"),
        ({"overflow": "panic"}, "overflow is 'panic'"),
        ({"decision_interval_s": 0}, "decision_interval_s is 0"),
        ({"confidence_threshold": 1.5}, "confidence_threshold is 1.5"),
        ({"gate_dbfs": float("nan")}, "gate_dbfs"),
        ({"sample_rate_hz": -1}, "sample_rate_hz is -1"),
        ({"symbol_rate_hz": -1}, "symbol_rate_hz is -1"),
        ({"max_wait_s": -1}, "max_wait_s"),
        ({"device": "toaster"}, "device 'toaster'"),
        ({"precision": "float3"}, "precision 'float3'"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, wrong, message):
    with pytest.raises(ValueError, match=message):
        classifier(**(arguments | wrong))


def test_alias_package():
    from gnuradio import tsddae

    assert tsddae.classifier is classifier


def test_warns_when_the_rate_is_not_what_the_model_was_trained_with(arguments, caplog):
    """The model of these tests was trained with 8 samples per symbol."""
    flowgraph = Flowgraph(
        endless_noise(), batch_windows=8, sample_rate_hz=1e6,
        symbol_rate_hz=1e5, **arguments,
    )  # fmt: skip
    status = flowgraph.collector.status

    def warned(text):
        return lambda: status and text in status[-1]["warning"]

    flowgraph.start()
    try:
        until(lambda: status)
        assert status[-1]["warning"] == ""  # 10 is no more than 25 % away
        flowgraph.classifier.set_symbol_rate_hz(50e3)
        until(warned("20 samples per symbol"))
        assert "was trained with 8: resample to 400000 samples/s" in status[-1]["warning"]
        seen = len(status)
        until(lambda: len(status) > seen + 1)
        flowgraph.classifier.set_sample_rate_hz(410e3)
        until(lambda: status[-1]["warning"] == "")
        flowgraph.classifier.set_symbol_rate_hz(-1)
        until(lambda: status[-1]["errors"] == 1)
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert caplog.text.count("20 samples per symbol") == 1


def test_warns_when_a_model_of_bandwidths_gets_another_multiple(bandwidth_model, arguments):
    arguments = arguments | {"model": bandwidth_model.name, "bandwidth_hz": 250e3}
    flowgraph = Flowgraph(endless_noise(), sample_rate_hz=1e6, symbol_rate_hz=1e3, **arguments)
    status = flowgraph.collector.status
    flowgraph.start()
    try:
        until(lambda: status)
        assert status[-1]["warning"] == ""
        flowgraph.classifier.set_bandwidth_hz(100e3)
        until(lambda: "10 times the signal's bandwidth" in status[-1]["warning"])
    finally:
        flowgraph.stop()
        flowgraph.wait()


def test_warns_when_it_hears_a_signal_beside_the_centre(arguments, monkeypatch):
    monkeypatch.setattr(fit_check, "EVERY_S", 0.05)
    random = np.random.default_rng(5)
    symbols = np.repeat(random.choice([1, 1j, -1, -1j], 8192), 8)
    beside = symbols * np.exp(2j * np.pi * 0.25 * np.arange(len(symbols)))
    source = vector_source(0.1 * noise(len(symbols)) + beside, repeat=True)
    flowgraph = Flowgraph(source, sample_rate_hz=80e3, overflow="block", **arguments)
    status = flowgraph.collector.status
    flowgraph.start()
    try:
        until(lambda: status and "from the centre of the stream" in status[-1]["warning"])
        assert "+20,000 Hz" in status[-1]["warning"]
    finally:
        flowgraph.stop()
        flowgraph.wait()


def test_warns_by_the_tagged_rate_of_a_model_taught_at_one_rate(model_folder, tmp_path):
    import dataclasses

    model = zoo.load(model_folder)
    card = dataclasses.replace(model.card, sample_rate_hz=250e3)
    zoo.save(tmp_path / "taught", card, model.network)
    assert zoo.read_card(tmp_path / "taught").sample_rate_hz == 250e3
    for told_hz, words in ((260e3, None), (300e3, "300000 samples/s, amc-untrained"), (None, None)):
        tags = [tag(0, "rx_rate", pmt.from_double(told_hz))] if told_hz else []
        flowgraph = Flowgraph(
            vector_source(noise(20 * L), tags=tags), overflow="block", device="cpu",
            model=str(tmp_path / "taught"), sample_rate_hz=250e3,
        )  # fmt: skip
        flowgraph.run()
        warning = flowgraph.collector.status[-1]["warning"]
        assert (words in warning) if words else warning == ""
