# SPDX-License-Identifier: GPL-3.0-or-later
"""The anomaly detector in real flowgraphs: scores in step with time, a threshold, events."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks
from stream_flowgraph import (
    Collector,
    Flowgraph,
    L,
    ended,
    noise,
    save_model,
    tag,
    vector_source,
)
from waiting import until

from gr_tsddae import Recognizer, zoo
from gr_tsddae.blocks import anomaly_detector
from gr_tsddae.inference.anomaly.threshold import threshold_of
from gr_tsddae.inference.denoiser import Denoiser

NULL = gr.sizeof_gr_complex
CPU = {"device": "cpu", "precision": "float32", "batch_windows": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fill):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return save_model(folder, fill, task="anomaly", classes=("normal", "anomaly"))


@pytest.fixture
def arguments(folder):
    return {"model": str(folder), **CPU}


def by_level(block, pause_s=0.0):
    """The network of a block replaced by the mean magnitude of a window's samples."""

    def scores(windows):
        time.sleep(pause_s)
        return np.abs(windows).mean(1)

    block.worker._network.scores, block.worker._network.probability = scores, False
    block.worker.set_learn_s(block.worker._learn_s)
    return block


def levels(values, length=L):
    """One window of each level; their order is easily read from the scores."""
    return np.repeat(np.asarray(values, np.complex64), length)


def run(block, iq, tags=()):
    flowgraph = Flowgraph(
        vector_source(iq, tags=tags), block, blocks.vector_sink_f(), ports=("status", "anomalies")
    )
    assert ended(flowgraph)
    return flowgraph, np.array(flowgraph.sink.data(), np.float32)


def test_scores_are_the_models(arguments, tmp_path, fill):
    iq = noise(40 * L + 17)
    windows = iq[: 40 * L].reshape(40, L)
    flowgraph, scores = run(anomaly_detector(overflow="block", learn_s=0, **arguments), iq)
    wanted = Recognizer(arguments["model"], **CPU).window_probabilities(windows)[:, 1]
    np.testing.assert_allclose(scores, wanted, atol=1e-6)
    assert flowgraph.counters()["windows_classified"] == 40

    denoiser = save_model(tmp_path / "denoiser", fill)
    block = anomaly_detector(overflow="block", learn_s=0, **arguments | {"model": str(denoiser)})
    _, scores = run(block, iq[: 20 * L])
    wanted = Denoiser(denoiser, **CPU).scores(windows[:20], draws=1)
    np.testing.assert_allclose(scores, wanted, atol=1e-6)


@pytest.mark.parametrize("hop", [L // 4, L, 3 * L])
def test_one_score_per_hop(arguments, hop):
    iq = noise(30 * L + 5)
    block = by_level(anomaly_detector(overflow="block", learn_s=0, hop_samples=hop, **arguments))
    _, scores = run(block, iq)
    starts = range(0, len(iq) - L + 1, hop)
    np.testing.assert_allclose(scores, [np.abs(iq[s : s + L]).mean() for s in starts], rtol=1e-5)


def test_gated_windows_and_those_not_finite_are_nan(arguments):
    values = np.ones(300)
    values[10:20] = 1e-5
    values[250:] = 1e-5
    iq = levels(values)
    iq[5 * L + 3] = np.nan
    block = by_level(anomaly_detector(overflow="block", learn_s=0, gate_dbfs=-60.0, **arguments))
    _, scores = run(block, iq)
    wanted = np.where(values == 1, 1.0, np.nan)
    wanted[5] = np.nan
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)


def test_a_slow_network_leaves_nan_and_keeps_step(arguments):
    values = 1 + np.arange(5000) % 1000
    block = by_level(
        anomaly_detector(overflow="drop_oldest", capacity_batches=2, learn_s=0, **arguments), 0.01
    )
    flowgraph, scores = run(block, levels(values))
    counters = flowgraph.counters()
    assert len(scores) == len(values)
    kept = np.isfinite(scores)
    np.testing.assert_allclose(scores[kept], values[kept], rtol=1e-5)
    assert kept.sum() == counters["windows_classified"] > 0
    assert (~kept).sum() == counters["windows_dropped"] > 0


def test_events_are_told_with_time_frequency_and_place(arguments):
    values = np.ones(400)
    values[100:103] = [5, 9, 7]
    values[300] = 6
    values[350] = 8
    retune = 330 * L + 40
    tags = [
        tag(0, "rx_time", pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.5))),
        tag(0, "rx_rate", pmt.from_double(1e4)),
        tag(0, "rx_freq", pmt.from_double(100e6)),
        tag(retune, "rx_freq", pmt.from_double(101e6)),
    ]
    block = by_level(anomaly_detector(overflow="block", learn_s=0, threshold=4.0, **arguments))
    flowgraph, scores = run(block, levels(values), tags)
    first, second, third = flowgraph.collector.anomalies
    assert first == {
        "model": "tiny", "score": 9.0, "threshold": 4.0, "windows": 3, "first_sample": 100 * L,
        "sample_count": 3 * L, "time_s": pytest.approx(1_700_000_000.5 + 100 * L / 1e4, abs=1e-6),
        "center_frequency_hz": 100e6, "sample_rate_hz": 1e4,
    }  # fmt: skip
    assert (second["first_sample"], second["windows"]) == (300 * L, 1)
    # After the retune windows begin 40 samples late, so the burst lies in two of them.
    assert third["center_frequency_hz"] == 101e6
    assert (third["first_sample"] - retune) % L == 0
    assert third["first_sample"] + L > 350 * L
    # score i is still that of the window that starts within hop i
    assert len(scores) in (399, 400)
    assert int(np.nanargmax(scores[345:])) + 345 in (349, 350)
    assert flowgraph.status[-1]["state"] == "watching"


def test_an_event_at_the_very_end_is_told(arguments):
    for _ in range(5):
        values = np.ones(50)
        values[-2:] = 9
        block = by_level(anomaly_detector(overflow="block", learn_s=0, threshold=4.0, **arguments))
        flowgraph, _ = run(block, levels(values))
        (event,) = flowgraph.collector.anomalies
        assert event["first_sample"] == 48 * L and event["sample_count"] == 2 * L


def test_an_event_is_told_when_the_gate_closes_behind_it(arguments):
    values = np.zeros(3000)
    values[:20] = 9
    block = by_level(
        anomaly_detector(learn_s=0, threshold=4.0, gate_dbfs=-60.0, **arguments)
    )  # fmt: skip
    flowgraph = gr.top_block()
    source, collector = vector_source(levels(values)), Collector()
    throttle, sink = blocks.throttle(NULL, 10e3), blocks.null_sink(gr.sizeof_float)
    flowgraph.connect(source, throttle, block, sink)
    flowgraph.msg_connect(block, "anomalies", collector, "anomalies")
    flowgraph.start()
    until(lambda: collector.anomalies)
    assert not block.batcher.closed()  # the stream has more than half a minute to go
    flowgraph.stop()
    flowgraph.wait()
    assert collector.anomalies[0]["windows"] <= 20


def test_the_threshold_is_learned_from_the_first_windows(arguments):
    random = np.random.default_rng(1)
    values = 1 + 0.1 * random.standard_normal(2000)
    values[300:303] = 50  # odd windows while it learns
    values[1500] = 3
    block = by_level(
        anomaly_detector(
            overflow="block", learn_s=1000 * L / 1e4, sample_rate_hz=1e4, false_alarm_rate=0.01,
            **arguments,
        )
    )  # fmt: skip
    flowgraph, scores = run(block, levels(values))
    status = flowgraph.status[-1]
    assert status["state"] == "watching" and status["learned"] == 1.0
    assert status["threshold"] == pytest.approx(threshold_of(scores[:1000], 0.01))
    assert 1.2 < status["threshold"] < 1.4
    events = flowgraph.collector.anomalies
    assert min(e["first_sample"] for e in events) >= 1000 * L  # none while it learned
    (found,) = [e for e in events if e["score"] > 2.5]
    assert found["first_sample"] <= 1500 * L < found["first_sample"] + found["sample_count"]
    assert sum(e["windows"] for e in events) < 40  # 10 are expected


def test_learning_can_be_asked_for_again_and_a_fixed_threshold_set(arguments):
    block = by_level(anomaly_detector(learn_s=0.02, sample_rate_hz=1e6, **arguments))
    source, throttle = vector_source(levels([1, 1.1]), True), blocks.throttle(NULL, 200e3)
    flowgraph = Flowgraph(throttle, block, blocks.null_sink(4), ports=("status", "anomalies"))
    flowgraph.feed = source
    flowgraph.connect(source, throttle)
    flowgraph.start()
    try:
        until(lambda: flowgraph.status and flowgraph.status[-1]["state"] == "watching")
        learned = flowgraph.status[-1]["threshold"]
        assert 1.0 < learned < 2.0
        assert not flowgraph.collector.anomalies
        flowgraph.post({"learn": 3600.0})
        until(lambda: flowgraph.status[-1]["state"] == "learning")
        assert flowgraph.status[-1]["threshold"] is None and flowgraph.status[-1]["learned"] < 1
        flowgraph.post({"learn": 0.02})
        until(lambda: flowgraph.status[-1]["state"] == "watching")
        flowgraph.post({"threshold": 0.5})
        until(lambda: len(flowgraph.collector.anomalies) > 1)  # it goes on: told every second
        assert flowgraph.collector.anomalies[-1]["threshold"] == 0.5
        for bad in ({"learn": True}, {"learn": -1}, {"threshold": float("nan")}, {"learn_s": -1}):
            before = block.worker.errors
            flowgraph.post(bad)
            until(lambda before=before: block.worker.errors > before)
        block.set_false_alarm_rate(0.0)
        until(lambda: "false_alarm_rate not changed" in flowgraph.status[-1]["last_error"])
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert flowgraph.status[-1]["threshold"] == 0.5


def test_another_model_learns_again(arguments, folder, tmp_path):
    model = zoo.load(folder)
    zoo.save(tmp_path / "b", dataclasses.replace(model.card, name="other"), model.network)
    block = by_level(anomaly_detector(learn_s=0.02, sample_rate_hz=1e6, **arguments))
    source, throttle = vector_source(noise(64 * L), True), blocks.throttle(NULL, 200e3)
    flowgraph = Flowgraph(throttle, block, blocks.null_sink(4))
    flowgraph.feed = source
    flowgraph.connect(source, throttle)
    flowgraph.start()
    try:
        until(lambda: flowgraph.status and flowgraph.status[-1]["state"] == "watching")
        of_level = flowgraph.status[-1]["threshold"]
        assert of_level > 1  # of the stand-in, which is no probability
        block.set_model(str(tmp_path / "b"))
        until(
            lambda: (
                flowgraph.status[-1]["model"] == "other"
                and flowgraph.status[-1]["state"] == "watching"
            )
        )
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert 0 < flowgraph.status[-1]["threshold"] < 1


def test_scores_need_no_reader(arguments):
    block = by_level(anomaly_detector(overflow="block", learn_s=0, threshold=4.0, **arguments))
    flowgraph = gr.top_block()
    source, collector = vector_source(levels([1] * 500 + [9])), Collector()
    flowgraph.connect(source, block)
    flowgraph.msg_connect(block, "anomalies", collector, "anomalies")
    assert ended(flowgraph)
    assert [e["first_sample"] for e in collector.anomalies] == [500 * L]
    assert block.counters()["windows_classified"] == 501


def test_runs_again_from_the_start(arguments):
    values = 1 + np.arange(70)
    block = by_level(anomaly_detector(overflow="block", learn_s=0, **arguments))
    flowgraph = Flowgraph(vector_source(levels(values)), block, blocks.vector_sink_f())
    for _ in range(2):
        flowgraph.source.rewind()
        flowgraph.sink.reset()
        assert ended(flowgraph)
        np.testing.assert_allclose(flowgraph.sink.data(), values, rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "amc-nano"}, "is for 'amc'"),
        ({"hop_samples": -1}, "hop_samples is -1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"learn_s": -1}, "learn_s is -1"),
        ({"false_alarm_rate": 0}, "false_alarm_rate is 0"),
        ({"sample_rate_hz": -1}, "sample_rate_hz is -1"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, wrong, message):
    with pytest.raises(ValueError, match=message):
        anomaly_detector(**(arguments | wrong))
