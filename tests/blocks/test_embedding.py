# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedding block in real flowgraphs: which vector belongs to which window."""

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
    OPTIONS,
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
from gr_tsddae.blocks import embedding

E = 2 * OPTIONS["width"]
CPU = {"device": "cpu", "precision": "float32", "batch_windows": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fill):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return save_model(folder, fill, task="amc", classes=("a", "b"))


@pytest.fixture
def arguments(folder):
    return {"model": str(folder), "embedding_size": E, **CPU}


def run(block, iq, tags=()):
    """The flowgraph that ran, vectors (B, E), and the numbers of their first samples (B,)."""
    flowgraph = Flowgraph(vector_source(iq, tags=tags), block, blocks.vector_sink_f(E))
    assert ended(flowgraph)
    vectors = np.array(flowgraph.sink.data(), np.float32).reshape(-1, E)
    tags = flowgraph.sink.tags()
    assert {str(t.key) for t in tags} <= {"first_sample"}
    assert all(pmt.is_uint64(t.value) for t in tags)
    assert [t.offset for t in tags] == list(range(len(vectors)))
    return flowgraph, vectors, np.array([pmt.to_uint64(t.value) for t in tags])


@pytest.mark.parametrize("hop", [0, L // 2])
def test_vectors_are_the_recognisers(arguments, hop):
    iq = noise(40 * L + 17)
    block = embedding(overflow="block", hop_samples=hop, **arguments)
    flowgraph, vectors, firsts = run(block, iq)
    starts = np.arange(0, 39 * L + 1 + 17, hop or L)
    np.testing.assert_array_equal(firsts, starts)
    windows = np.stack([iq[s : s + L] for s in starts])
    wanted = Recognizer(arguments["model"], **CPU).embed(windows)
    np.testing.assert_allclose(vectors, wanted, atol=1e-5)
    assert np.ptp(wanted, axis=0).max() > 0.1  # they differ at all
    assert flowgraph.counters()["windows_classified"] == len(starts)


def test_gated_windows_have_no_vector_and_a_retune_begins_anew(arguments):
    iq = noise(30 * L)
    iq[10 * L : 20 * L] = 0
    tags = [
        tag(0, "rx_freq", pmt.from_double(1e6)),
        tag(25 * L + 9, "rx_freq", pmt.from_double(2e6)),
    ]
    block = embedding(overflow="block", gate_dbfs=-60.0, **arguments)
    _, _, firsts = run(block, iq, tags)
    expected = [*range(10), *range(20, 25)]
    np.testing.assert_array_equal(
        firsts, [*(np.array(expected) * L), *(25 * L + 9 + np.arange(4) * L)]
    )


def test_a_slow_network_leaves_windows_out(arguments):
    iq = noise(3000 * L)
    block = embedding(overflow="drop_newest", capacity_batches=2, **arguments)

    def embed(windows):
        time.sleep(0.02)
        return np.repeat(windows[:, :1].real, E, axis=1)  # its first sample tells a window

    block.worker._network.embed = embed
    flowgraph, vectors, firsts = run(block, iq)
    counters = flowgraph.counters()
    assert len(vectors) == counters["windows_classified"] > 0
    assert counters["windows_dropped"] == 3000 - len(vectors) > 0
    assert (np.diff(firsts.astype(int)) > 0).all()
    np.testing.assert_array_equal(vectors[:, 0], iq[firsts].real)


def test_runs_again_and_ends_with_the_last_window(arguments):
    block = embedding(overflow="block", **arguments)
    flowgraph = Flowgraph(vector_source(noise(33 * L)), block, blocks.vector_sink_f(E))
    for _ in range(3):
        flowgraph.source.rewind()
        flowgraph.sink.reset()
        assert ended(flowgraph)
        assert len(flowgraph.sink.data()) == 33 * E


def test_another_model_must_have_vectors_of_the_same_length(arguments, folder, tmp_path, fill):
    model = zoo.load(folder)
    zoo.save(tmp_path / "b", dataclasses.replace(model.card, name="other"), model.network)
    wide = OPTIONS | {"width": 24}
    save_model(tmp_path / "c", fill, task="amc", classes=("a", "b"), options=wide)
    block = embedding(**arguments)
    flowgraph = Flowgraph(vector_source(noise(33 * L), repeat=True), block, blocks.null_sink(4 * E))
    flowgraph.start()
    try:
        block.set_model(str(tmp_path / "c"))
        until(lambda: flowgraph.status and flowgraph.status[-1]["errors"])
        assert "tiny gives vectors of 48" in flowgraph.status[-1]["last_error"]
        block.set_model(str(tmp_path / "b"))
        until(lambda: flowgraph.status[-1]["model"] == "other")
    finally:
        flowgraph.stop()
        flowgraph.wait()
    assert flowgraph.counters()["samples_pending"] == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embedding_size": E + 1}, f"embedding_size is {E + 1}: tiny gives vectors of {E}"),
        ({"model": "no-such-model"}, "no model 'no-such-model'"),
        ({"hop_samples": -1}, "hop_samples is -1"),
        ({"max_wait_s": -1}, "max_wait_s"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, wrong, message):
    with pytest.raises(ValueError, match=message):
        embedding(**(arguments | wrong))
