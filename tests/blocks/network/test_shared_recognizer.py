# SPDX-License-Identifier: GPL-3.0-or-later
"""Several classifiers, one network: shared, fair, and independent where it matters."""

from __future__ import annotations

import gc
import shutil
import threading
import time
import weakref

import numpy as np
import pmt
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
from gnuradio import blocks
from stream_flowgraph import noise, vector_source
from waiting import until

from gr_tsddae import Recognizer, zoo
from gr_tsddae.blocks import classifier, embedding
from gr_tsddae.blocks.network.shared_recognizer import SharedRecognizer, Turns

L = 128
PARTS = ("classified", "gated", "dropped", "flushed", "pending")


@pytest.fixture
def arguments(model_folder):
    return {"model": str(model_folder), "device": "cpu", "precision": "float32"}


@pytest.fixture
def loads(monkeypatch):
    """The models that are loaded from now on."""
    load, found = zoo.load, []
    monkeypatch.setattr(zoo, "load", lambda model: found.append(model) or load(model))
    return found


@pytest.fixture
def copied(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "model")


def adds_up(block):
    c = block.counters()
    return c["samples_in"] == sum(c[f"samples_{part}"] for part in PARTS)


def test_turns_come_in_the_order_in_which_they_were_asked_for():
    turns, order = Turns(), []

    def take(number):
        with turns:
            order.append(number)

    with turns:
        threads = []
        for number in range(20):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            until(lambda n=number: len(turns._queue) == n + 2)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == list(range(20))
    with pytest.raises(RuntimeError, match="inside"), turns:
        raise RuntimeError("inside")
    with turns:  # an error gives the turn back
        pass


def test_weights_are_loaded_once_and_freed_with_the_last_user(arguments, loads):
    first = SharedRecognizer(**arguments)
    second = SharedRecognizer(**arguments)
    assert first._shared is second._shared
    assert len(loads) == 1
    assert first.classes == second.classes
    # The same by another name: what a reload asks for.
    named = SharedRecognizer(arguments["model"], device="cpu", precision="float32",
                             batch_windows=first.batch_windows)  # fmt: skip
    assert named._shared is first._shared
    assert SharedRecognizer(**arguments, batch_windows=32)._shared is not first._shared
    network = weakref.ref(first._shared.recognizer)
    del first, second, named
    gc.collect()
    assert network() is None


def test_says_what_the_recogniser_says(arguments):
    windows = noise(20 * L).reshape(20, L)
    shared, alone = SharedRecognizer(**arguments), Recognizer(**arguments)
    np.testing.assert_array_equal(
        shared.window_probabilities(windows), alone.window_probabilities(windows)
    )
    np.testing.assert_array_equal(shared.embed(windows), alone.embed(windows))
    assert SharedRecognizer(**arguments, batch_windows=512).step_windows == 32
    with pytest.raises(zoo.ModelError):
        SharedRecognizer("no-such-model")


def test_embedding_blocks_and_classifiers_run_one_network(arguments, loads):
    made = [embedding(**arguments), embedding(hop_samples=64, **arguments), classifier(**arguments)]
    assert len(loads) == 1
    del made


class Labels(gr.basic_block):
    """Keeps the results of one classifier."""

    def __init__(self):
        gr.basic_block.__init__(self, name="labels", in_sig=None, out_sig=None)
        self.models, self.rows = [], []
        self.message_port_register_in(pmt.intern("results"))
        self.set_msg_handler(pmt.intern("results"), self.on_results)

    def on_results(self, message):
        about = pmt.to_python(pmt.car(message))
        self.models.append(about["model"])
        vector = np.array(pmt.f32vector_elements(pmt.cdr(message)), np.float32)
        self.rows.append(vector.reshape(about["windows"], -1))


def test_three_classifiers_of_a_flowgraph_get_what_each_would_alone(arguments):
    streams = [noise(count * L + 5, seed=count) for count in (40, 90, 150)]
    top = gr.top_block("three")
    classifiers = [classifier(overflow="block", batch_windows=16, **arguments) for _ in streams]
    labels = [Labels() for _ in streams]
    for iq, block, said in zip(streams, classifiers, labels, strict=True):
        top.connect(vector_source(iq), block)
        top.msg_connect(block, "results", said, "results")
    top.run()
    alone = Recognizer(**arguments, batch_windows=16)
    for iq, block, said in zip(streams, classifiers, labels, strict=True):
        expected = alone.predict(iq).window_probabilities
        np.testing.assert_array_equal(np.concatenate(said.rows), expected)
        assert block.counters()["windows_classified"] == len(iq) // L
        assert block.counters()["samples_flushed"] == 5
        assert adds_up(block)
    networks = [block.worker._recognizer for block in classifiers]
    assert len({id(network._shared) for network in networks}) == 1


def test_each_of_three_busy_classifiers_gets_its_share(arguments, monkeypatch):
    """The network is slow, all want more than there is, and one wants most."""
    whole = Recognizer.window_probabilities

    def slow(recognizer, windows):
        time.sleep(0.01)
        return whole(recognizer, windows)

    top = gr.top_block("busy")
    iq = noise(1 << 14).tolist()
    rates_hz = (200e3, 200e3, 2e6)
    classifiers = [classifier(batch_windows=8, **arguments) for _ in rates_hz]
    monkeypatch.setattr(Recognizer, "window_probabilities", slow)
    kept = []
    for rate_hz, block in zip(rates_hz, classifiers, strict=True):
        kept += [blocks.vector_source_c(iq, True), blocks.throttle(gr.sizeof_gr_complex, rate_hz)]
        top.connect(kept[-2], kept[-1], block)
    top.start()
    until(lambda: min(b.counters()["windows_classified"] for b in classifiers) >= 25 * 8)
    done = [block.counters()["windows_classified"] for block in classifiers]
    top.stop()
    top.wait()
    assert max(done) <= 1.5 * min(done)  # in turns, so the same; the counters are read in turn
    for block in classifiers:
        assert block.counters()["samples_dropped"] > 0
        assert block.counters()["samples_pending"] == 0
        assert adds_up(block)


def test_a_reload_of_one_does_not_change_the_others(copied, fill):
    top = gr.top_block("reload")
    arguments = {"model": str(copied), "device": "cpu", "precision": "float32"}
    one = classifier(batch_windows=16, **arguments)
    other = classifier(batch_windows=16, **arguments)
    iq = noise(1 << 14).tolist()
    kept = [blocks.vector_source_c(iq, True), blocks.throttle(gr.sizeof_gr_complex, 50e3)]
    top.connect(*kept, one)
    top.connect(kept[1], other)
    before = one.worker._recognizer
    assert before._shared is other.worker._recognizer._shared
    windows = noise(4 * L).reshape(4, L)
    said = before.window_probabilities(windows)
    top.start()

    one.set_model(str(copied))  # nothing has changed: the same again
    one.worker._loader.wait()
    until(lambda: one.worker._recognizer is not before)
    assert one.worker._recognizer._shared is other.worker._recognizer._shared

    model = zoo.load(copied)
    for parameter in model.network.parameters():
        parameter.data *= 0.5
    zoo.save(copied, model.card, model.network)
    same = one.worker._recognizer
    one.set_model(str(copied))
    until(lambda: one.worker._recognizer is not same)
    top.stop()
    top.wait()
    assert one.worker._recognizer._shared is not other.worker._recognizer._shared
    np.testing.assert_array_equal(other.worker._recognizer.window_probabilities(windows), said)
    assert not np.array_equal(one.worker._recognizer.window_probabilities(windows), said)
    for block in (one, other):
        assert block.worker.errors == 0
        assert adds_up(block)
