# SPDX-License-Identifier: GPL-3.0-or-later
"""The RML Dataset Source in real flowgraphs: samples and tags against the file."""

from __future__ import annotations

import logging
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks

from gr_tsddae.blocks import rml_source
from gr_tsddae.blocks import rml_source_block as module
from gr_tsddae.data import open_dataset

L = 24


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """300 windows of a length that fits no buffer; window 7 is not finite and left out."""
    random = np.random.default_rng(2)
    rows = random.standard_normal((300, 2, L)).astype(np.float32)
    rows[7, 0, 3] = np.inf
    label = np.array(["AM-DSB", "BPSK", "QPSK"])[random.integers(0, 3, 300)]
    path = tmp_path_factory.mktemp("data") / "x.npz"
    np.savez(path, X=rows, y=label, snr=random.choice([-6, 0, 18], 300))
    return path


class Flowgraph(gr.top_block):
    """source -> (at most so many windows) -> samples and tags."""

    def __init__(self, windows=None, **arguments):
        gr.top_block.__init__(self, "test")
        self.source = rml_source(**{"kind": "npz"} | arguments)
        self.sink = blocks.vector_sink_c()
        self.head = blocks.head(gr.sizeof_gr_complex, (windows or 10**9) * L)
        self.connect(self.source, self.head, self.sink)

    def tags(self):
        """Offset -> {key: value}."""
        found: dict[int, dict] = {}
        for tag in self.sink.tags():
            found.setdefault(tag.offset, {})[pmt.to_python(tag.key)] = pmt.to_python(tag.value)
        return found

    def windows(self):
        """(number in the file, label, SNR) as tagged, in their order, each at its place."""
        tags = self.tags()
        assert sorted(tags) == list(range(0, len(self.sink.data()), L))
        return [(t["window"], t["label"], t.get("snr_db")) for _, t in sorted(tags.items())]


def played(**arguments):
    flowgraph = Flowgraph(**arguments)
    flowgraph.run()
    return flowgraph


def truth(archive, keep=lambda label, snr: True):
    file = np.load(archive)
    return [
        (n, file["y"][n], file["snr"][n])
        for n in range(300)
        if n != 7 and keep(file["y"][n], file["snr"][n])
    ]


def samples(archive, windows, gain=1.0):
    rows = np.load(archive)["X"][[n for n, *_ in windows]]
    return (np.float32(gain) * (rows[:, 0] + 1j * rows[:, 1])).astype(np.complex64).reshape(-1)


@pytest.mark.parametrize("ahead", [L, 7 * L, module.READ_SAMPLES])
def test_every_window_once_with_its_truth(archive, ahead, monkeypatch):
    monkeypatch.setattr(module, "READ_SAMPLES", ahead)
    flowgraph = played(path=str(archive), gain=3.0)
    assert flowgraph.windows() == truth(archive)
    np.testing.assert_array_equal(flowgraph.sink.data(), samples(archive, truth(archive), 3.0))
    types = {pmt.symbol_to_string(t.key): t.value for t in flowgraph.sink.tags()}
    assert pmt.is_symbol(types["label"])
    assert pmt.is_real(types["snr_db"]) and pmt.is_uint64(types["window"])


def test_selection_in_order(archive):
    flowgraph = played(path=str(archive), order="by_snr", classes=["QPSK"], snr_min_db=0)
    expected = truth(archive, lambda label, snr: label == "QPSK" and snr >= 0)
    expected.sort(key=lambda window: (window[2], window[0]))
    assert flowgraph.windows() == expected
    assert flowgraph.source.window_count == len(expected)
    np.testing.assert_array_equal(flowgraph.sink.data(), samples(archive, expected))


def test_repeats_and_begins_anew_at_every_start(archive):
    flowgraph = Flowgraph(path=str(archive), repeat=True, windows=800)
    for _ in range(2):
        flowgraph.run()
        assert flowgraph.windows() == (truth(archive) * 3)[:800]
        flowgraph.sink.reset()
        flowgraph.head.reset()


def test_other_windows_while_it_runs(archive):
    flowgraph = Flowgraph(path=str(archive), repeat=True, windows=None)
    throttle = blocks.throttle(gr.sizeof_gr_complex, 1e6)
    flowgraph.disconnect(flowgraph.source, flowgraph.head)
    flowgraph.connect(flowgraph.source, throttle, flowgraph.head)
    flowgraph.start()
    until(lambda: len(flowgraph.sink.data()) > 400 * L)
    flowgraph.source.set_classes(["BPSK"])
    flowgraph.source.set_snr_min_db(18)
    flowgraph.source.set_gain(2.0)
    expected = truth(archive, lambda label, snr: label == "BPSK" and snr == 18)
    end = len(flowgraph.sink.data()) + 10**5
    until(lambda: len(flowgraph.sink.data()) > end)
    flowgraph.stop()
    flowgraph.wait()
    windows = flowgraph.windows()
    assert windows[:299] == truth(archive)
    # The very last window may be cut off.
    begin = windows.index(expected[0], len(windows) - 2 * len(expected) - 1)
    end = begin + len(expected)
    assert windows[begin:end] == expected, "as a whole, from its beginning"
    whole = flowgraph.sink.data()[begin * L : end * L]
    np.testing.assert_array_equal(whole, samples(archive, expected, 2.0))


def until(condition, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_one_variable_moves_both_limits(archive):
    flowgraph = Flowgraph(path=str(archive), snr_min_db=0, snr_max_db=0)
    flowgraph.source.set_snr_min_db(18)  # contradicts the other for a moment
    flowgraph.source.set_snr_max_db(18)
    flowgraph.run()
    assert flowgraph.windows() == truth(archive, lambda label, snr: snr == 18)


def test_a_bad_value_while_running_changes_nothing(archive, caplog):
    flowgraph = Flowgraph(path=str(archive))
    flowgraph.source.set_classes(["64QAM"])
    flowgraph.source.set_snr_min_db(99)
    flowgraph.source.set_order("backwards")
    flowgraph.source.set_gain(float("nan"))
    flowgraph.source.set_gain("loud")
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(":")[0] for text in said] == ["selection not changed"] * 3 + [
        "gain not changed"
    ] * 2
    flowgraph.run()
    assert flowgraph.windows() == truth(archive)


def test_unlabelled_windows_say_so(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, X=np.ones((5, 2, L), np.float32))
    assert played(path=str(path)).windows() == [(n, None, None) for n in range(5)]


def test_what_cannot_be_played_is_said(archive, caplog):
    with pytest.raises(ValueError, match="there are: AM-DSB, BPSK, QPSK"):
        rml_source("npz", str(archive), classes=["FM"])
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        rml_source("npz", "nowhere.npz")
    with pytest.raises(ValueError, match="gain is 0"):
        rml_source("npz", str(archive), gain=0)
    assert not len(played(path="").sink.data())
    assert "path is empty" in caplog.text


def test_a_dataset_that_fails_while_it_plays_ends_the_stream(archive, caplog, monkeypatch):
    monkeypatch.setattr(module, "READ_SAMPLES", 10 * L)
    flowgraph = Flowgraph(path=str(archive))
    store = flowgraph.source._dataset.store
    whole = type(store).read

    def dying(self, index):
        if (index > 50).any():
            raise OSError("the disk died")
        return whole(self, index)

    monkeypatch.setattr(type(store), "read", dying)
    with caplog.at_level(logging.ERROR):
        flowgraph.run()
    assert flowgraph.windows() == truth(archive)[:50]
    assert "the disk died" in caplog.text


def test_hdf5_is_read_slice_by_slice(tmp_path, monkeypatch):
    """RML2018 has 20 GB: never more than one slice of it is in memory."""
    pytest.importorskip("h5py")
    from gr_tsddae.synth.__main__ import main

    path = tmp_path / "x.hdf5"
    assert main(["rml2018", str(path), "--windows", "2", "--snrs", "0", "10", "10"]) == 0
    monkeypatch.setattr(module, "READ_SAMPLES", 8 * 1024)
    flowgraph = Flowgraph(kind="rml2018.01a", path=str(path), order="by_class_and_snr")
    store = flowgraph.source._dataset.store
    reads = []
    whole = type(store).read_unchecked
    monkeypatch.setattr(
        type(store), "read_unchecked", lambda s, i: (reads.append(len(i)), whole(s, i))[1]
    )
    flowgraph.run()
    dataset = open_dataset("rml2018.01a", str(path))
    rows = dataset.rows()
    reads.remove(len(dataset))  # just now
    assert len(flowgraph.tags()) == len(dataset) == 96
    assert reads == [8] * 12
    expected = (rows[:, 0] + 1j * rows[:, 1]).reshape(-1)
    np.testing.assert_array_equal(flowgraph.sink.data(), expected.astype(np.complex64))
