# SPDX-License-Identifier: GPL-3.0-or-later
"""The denoiser block in real flowgraphs: what comes out, where, and how much of it."""

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
    Flowgraph,
    L,
    SlowSink,
    ended,
    noise,
    save_model,
    tag,
    vector_source,
)
from waiting import until

from gr_tsddae import zoo
from gr_tsddae.blocks import denoiser
from gr_tsddae.blocks.network.worker import TAKE_TIMEOUT_S
from gr_tsddae.inference.denoiser import Denoiser

H = L // 2
NULL = gr.sizeof_gr_complex


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fill):
    return save_model(tmp_path_factory.mktemp("models") / "tiny", fill)


@pytest.fixture
def arguments(folder):
    return {"model": str(folder), "device": "cpu", "precision": "float32", "batch_windows": 16}


def passing(block, pause_s=0.0):
    """The network of a block replaced by one that changes nothing, and takes its time."""

    def denoise(windows, snr_db):
        time.sleep(pause_s)
        return windows.copy()

    block.worker._network.denoise = denoise
    return block


def output(flowgraph):
    return np.array(flowgraph.sink.data(), np.complex64)


def test_a_network_that_changes_nothing_gives_the_stream_back(arguments):
    iq = noise(100 * H + L + 17)
    block = passing(denoiser(overflow="block", **arguments))
    flowgraph = Flowgraph(vector_source(iq), block, blocks.vector_sink_c())
    assert ended(flowgraph)
    out = output(flowgraph)
    assert len(out) == len(iq)
    np.testing.assert_allclose(out[:-17], iq[:-17], atol=1e-6)
    assert not out[-17:].any()  # too short for a window
    counters = flowgraph.counters()
    assert counters["samples_classified"] == len(iq) - 17 and counters["samples_flushed"] == 17
    assert flowgraph.status[-1]["errors"] == 0


@pytest.mark.parametrize("snr_db", [None, 5.0])
def test_out_comes_the_mean_of_the_denoised_windows(arguments, snr_db):
    iq = noise(20 * H)
    block = denoiser(
        overflow="block", estimate_snr=snr_db is None, snr_db=snr_db or 40.0, **arguments
    )
    flowgraph = Flowgraph(vector_source(iq), block, blocks.vector_sink_c())
    assert ended(flowgraph)
    windows = np.stack([iq[k * H : k * H + L] for k in range(19)])
    clean = Denoiser(
        arguments["model"], device="cpu", precision="float32", batch_windows=16
    ).denoise(windows, snr_db)
    weight = np.sin(np.pi * (np.arange(L) + 0.5) / L) ** 2
    total, weights = np.zeros(len(iq), complex), np.zeros(len(iq))
    for k in range(19):
        total[k * H : k * H + L] += weight * clean[k]
        weights[k * H : k * H + L] += weight
    np.testing.assert_allclose(output(flowgraph), total / weights, atol=1e-5)


def test_an_empty_and_a_short_stream(arguments):
    for count in (1, L - 1, L):
        flowgraph = Flowgraph(
            vector_source(noise(count)), passing(denoiser(overflow="block", **arguments)),
            blocks.vector_sink_c(),
        )  # fmt: skip
        assert ended(flowgraph)
        out = output(flowgraph)
        assert len(out) == count and out.any() == (count == L)


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_a_slow_network_leaves_zeros_and_never_holds_up_the_stream(arguments, overflow):
    iq = noise(4000 * H)
    block = passing(denoiser(overflow=overflow, capacity_batches=2, **arguments), pause_s=0.02)
    flowgraph = Flowgraph(vector_source(iq), block, blocks.vector_sink_c())
    assert ended(flowgraph)
    out, counters = output(flowgraph), flowgraph.counters()
    assert len(out) == len(iq)
    kept = out != 0
    np.testing.assert_allclose(out[kept], iq[kept], atol=1e-6)  # each sample in its place
    assert counters["windows_dropped"] > counters["windows_classified"] > 0
    assert counters["samples_pending"] == 0 and counters["samples_in"] == len(iq)
    # A kept window brings half a window, and half a window more where it begins a run.
    assert counters["windows_classified"] * H < kept.sum() < 2 * counters["windows_classified"] * H


def test_a_slow_reader_makes_a_replay_wait_and_loses_nothing(arguments):
    iq = noise(3000 * H)
    block = passing(denoiser(overflow="block", capacity_batches=2, **arguments))
    flowgraph = Flowgraph(vector_source(iq), block, SlowSink(np.complex64, 0.01))
    assert ended(flowgraph)
    np.testing.assert_allclose(np.concatenate(flowgraph.sink.items), iq, atol=1e-6)
    assert flowgraph.counters()["windows_dropped"] == 0


def test_a_slow_reader_makes_a_live_stream_drop(arguments):
    block = passing(denoiser(overflow="drop_oldest", capacity_batches=2, **arguments))
    flowgraph = Flowgraph(
        vector_source(noise(100 * H), repeat=True), block, SlowSink(np.complex64, 0.05)
    )
    flowgraph.start()
    until(lambda: block.counters()["windows_dropped"] > 1000)  # the source is not held up
    flowgraph.stop()
    flowgraph.wait()
    assert flowgraph.counters()["samples_pending"] == 0


@pytest.mark.parametrize("overflow", ["drop_oldest", "block"])
@pytest.mark.parametrize("infinite", [True, False])
def test_stopping_while_everything_waits_for_a_reader(arguments, overflow, infinite):
    block = passing(denoiser(overflow=overflow, **arguments))
    source = (
        vector_source(noise(100 * H), repeat=True) if infinite else vector_source(noise(3000 * H))
    )
    flowgraph = Flowgraph(source, block, SlowSink(np.complex64, 0.2))
    flowgraph.start()
    until(lambda: len(flowgraph.sink.items) > 1)
    flowgraph.stop()
    flowgraph.wait()
    assert flowgraph.counters()["samples_pending"] == 0


@pytest.mark.parametrize("overflow", ["drop_oldest", "block"])
def test_what_feeds_it_ends_when_nobody_reads_on(arguments, overflow):
    block = passing(denoiser(overflow=overflow, **arguments))
    flowgraph = Flowgraph(
        vector_source(noise(100 * H), repeat=True),
        block,
        blocks.vector_sink_c(),
        between=[blocks.head(NULL, 9999)],
    )
    assert ended(flowgraph)
    assert len(output(flowgraph)) == 9999
    assert flowgraph.counters()["samples_pending"] == 0


def test_runs_again_from_the_start(arguments):
    iq = noise(60 * H)
    block = passing(denoiser(overflow="block", **arguments))
    flowgraph = Flowgraph(vector_source(iq), block, blocks.vector_sink_c())
    for _ in range(3):
        flowgraph.source.rewind()
        flowgraph.sink.reset()
        assert ended(flowgraph)
        np.testing.assert_allclose(output(flowgraph), iq, atol=1e-6)


def test_runs_again_with_a_reader_that_starts_late(arguments, monkeypatch):
    """Blocks start on threads of their own: the worker may long be waiting for windows."""
    iq = noise(60 * H)
    block = passing(denoiser(overflow="block", **arguments))
    flowgraph = Flowgraph(vector_source(iq), block, blocks.vector_sink_c())
    start = block.source.start

    def late():
        time.sleep(2 * TAKE_TIMEOUT_S)
        return start()

    monkeypatch.setattr(block.source, "start", late)
    for _ in range(2):
        flowgraph.source.rewind()
        flowgraph.sink.reset()
        assert ended(flowgraph)
        np.testing.assert_allclose(output(flowgraph), iq, atol=1e-6)


def test_stopped_and_started_again(arguments):
    block = passing(denoiser(**arguments))
    flowgraph = Flowgraph(vector_source(noise(100 * H), repeat=True), block, blocks.null_sink(NULL))
    for run in range(1, 6):
        flowgraph.start()
        until(lambda run=run: flowgraph.sink.nitems_read(0) > run * 1000)
        flowgraph.stop()
        flowgraph.wait()
        assert flowgraph.counters()["samples_pending"] == 0


def test_gated_samples_are_zeros(arguments):
    iq = np.full(500 * H, 1e-6, np.complex64)  # under the gate
    iq[: 8 * H] = noise(8 * H)
    iq[3 * H + 5] = np.nan  # windows 2 and 3 hold it
    block = passing(denoiser(overflow="block", gate_dbfs=-60.0, **arguments))
    flowgraph = Flowgraph(vector_source(iq), block, blocks.vector_sink_c())
    assert ended(flowgraph)
    out = output(flowgraph)
    assert len(out) == len(iq)
    np.testing.assert_allclose(out[: 3 * H], iq[: 3 * H], atol=1e-6)
    assert not out[3 * H : 4 * H].any()  # no other window covers these
    np.testing.assert_allclose(out[4 * H : 9 * H], iq[4 * H : 9 * H], atol=1e-6)
    assert not out[9 * H :].any()  # the last window over the gate begins at 7H
    assert block.counters()["windows_nonfinite"] == 2


def test_zeros_flow_while_the_gate_stays_closed(arguments):
    block = denoiser(gate_dbfs=-60.0, **arguments)
    flowgraph = Flowgraph(blocks.null_source(NULL), block, blocks.null_sink(NULL))
    flowgraph.start()
    until(lambda: flowgraph.sink.nitems_read(0) > 500_000)
    flowgraph.stop()
    flowgraph.wait()
    counters = flowgraph.counters()
    assert counters["windows_gated"] == counters["windows_in"] > 0
    assert flowgraph.sink.nitems_read(0) <= counters["samples_in"]


def test_tags_of_the_receiver_stand_where_they_stood(arguments):
    def at_time(seconds):
        return pmt.make_tuple(pmt.from_uint64(int(seconds)), pmt.from_double(seconds % 1))

    retune = 10 * H + 21
    tags = [
        tag(0, "rx_time", at_time(1000.25)),
        tag(0, "rx_rate", pmt.from_double(1e3)),
        tag(0, "rx_freq", pmt.from_double(100e6)),
        tag(100, "mine", pmt.PMT_T),
        tag(retune, "rx_freq", pmt.from_double(101e6)),
        tag(20 * H, "rx_time", at_time(2000.0)),
        tag(30 * H, "rx_time", at_time(3000.75)),  # lost behind the gate
    ]
    iq = noise(40 * H)
    iq[29 * H : 34 * H] = 0
    block = passing(denoiser(overflow="block", gate_dbfs=-60.0, **arguments))
    flowgraph = Flowgraph(vector_source(iq, tags=tags), block, blocks.vector_sink_c())
    assert ended(flowgraph)
    out = output(flowgraph)
    found = [(t.offset, str(t.key), pmt.to_python(t.value)) for t in flowgraph.sink.tags()]
    assert found == [
        (0, "rx_time", (1000, 0.25)),
        (0, "rx_freq", 100e6),
        (0, "rx_rate", 1e3),
        (retune, "rx_freq", 101e6),
        (20 * H, "rx_time", (2000, 0.0)),
        (20 * H, "rx_freq", 101e6),
        (20 * H, "rx_rate", 1e3),
        (30 * H, "rx_time", (3000, 0.75)),
        (30 * H, "rx_freq", 101e6),
        (30 * H, "rx_rate", 1e3),
    ]
    # In front of each discontinuity is a rest that no window covers: less than half a window.
    assert len(out) == len(iq)
    last = 10 * H  # end of the last window before the retune
    np.testing.assert_allclose(out[:last], iq[:last], atol=1e-6)
    assert not out[last:retune].any()
    np.testing.assert_allclose(out[retune : retune + L], iq[retune : retune + L], atol=1e-6)


def test_another_model_is_swapped_in_and_a_bad_one_is_not(arguments, folder, tmp_path, fill):
    model = zoo.load(folder)
    zoo.save(tmp_path / "b", dataclasses.replace(model.card, name="other"), model.network)
    save_model(tmp_path / "c", fill, task="amc", classes=("a", "b"))
    block = denoiser(**arguments)
    source, throttle = vector_source(noise(999), True), blocks.throttle(NULL, 50e3)
    flowgraph = Flowgraph(throttle, block, blocks.null_sink(NULL))
    flowgraph.feed = source
    flowgraph.connect(source, throttle)
    flowgraph.start()
    try:
        block.set_model(str(tmp_path / "b"))
        until(lambda: flowgraph.status and flowgraph.status[-1]["model"] == "other")
        block.set_model(str(tmp_path / "c"))
        until(lambda: "not a denoiser" in flowgraph.status[-1]["last_error"])
        block.set_snr_db(float("nan"))
        flowgraph.post({"snr_db": 3.0, "estimate_snr": False})
        until(lambda: flowgraph.status[-1]["errors"] == 2 and not block.worker._estimate_snr)
        flowgraph.post({"volume": 11})
        until(lambda: flowgraph.status[-1]["errors"] == 3)
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert block.worker._snr_db == 3.0
    assert flowgraph.status[-1]["model"] == "other"


def test_a_batch_that_fails_comes_out_as_zeros(arguments):
    iq = noise(64 * H)
    block = passing(denoiser(overflow="block", **arguments))
    fine, calls = block.worker._network.denoise, []

    def sometimes(windows, snr_db):
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError("no room")
        return fine(windows, snr_db)

    block.worker._network.denoise = sometimes
    flowgraph = Flowgraph(vector_source(iq), block, blocks.vector_sink_c())
    assert ended(flowgraph)
    out = output(flowgraph)
    assert len(out) == len(iq)
    lost = slice(17 * H, 32 * H)  # windows 16 to 31, but for what their neighbours cover
    assert not out[lost].any()
    np.testing.assert_allclose(np.delete(out, lost), np.delete(iq, lost), atol=1e-6)
    assert "no room" in flowgraph.status[-1]["last_error"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "no-such-model"}, "no model 'no-such-model'"),
        ({"model": "amc-nano"}, "not a denoiser"),
        ({"snr_db": float("inf")}, "snr_db is inf"),
        ({"overflow": "panic"}, "overflow is 'panic'"),
        ({"capacity_batches": 1}, "capacity_batches"),
        ({"batch_windows": -1}, "batch_windows is -1"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, wrong, message):
    with pytest.raises(ValueError, match=message):
        denoiser(**(arguments | wrong))
