# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples go to a file on a thread: what a slow disk costs is counted, and nothing moves."""

import errno
import os
import threading

import numpy as np
import pytest
from waiting import PATIENCE_S

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
import pmt
from gnuradio import blocks

from gr_tsddae.blocks.recording import recorder
from gr_tsddae.blocks.recording.recorder import Recorder, SampleWriter


def samples(first, count):
    return (first + np.arange(count) + 1).astype(np.complex64)


class Reports(list):
    def __call__(self, what, error):
        self.append((what, error))


@pytest.fixture
def reports():
    return Reports()


def stored(path):
    return np.fromfile(path, np.complex64)


def test_what_is_put_is_in_the_file(tmp_path, reports):
    writer = SampleWriter(tmp_path / "data", wait=False, report=reports)
    iq = samples(0, 1000)
    assert writer.put(0, iq)
    iq[:] = 0  # the writer has a copy
    assert writer.put(1000, samples(1000, 10))
    writer.close()
    np.testing.assert_array_equal(stored(tmp_path / "data"), samples(0, 1010))
    assert (writer.samples_written, writer.end_sample, writer.samples_pending) == (1010, 1010, 0)
    assert not reports and not writer.put(1010, samples(0, 1))
    with pytest.raises(FileExistsError):
        SampleWriter(tmp_path / "data", wait=False, report=reports)


def test_lost_samples_are_zeros_so_that_later_ones_keep_their_place(tmp_path, reports):
    writer = SampleWriter(tmp_path / "data", wait=False, report=reports)
    writer.put(0, samples(0, 10))
    writer.put(30, samples(30, 10))
    writer.close()
    found = stored(tmp_path / "data")
    np.testing.assert_array_equal(found[:10], samples(0, 10))
    assert not found[10:30].any()
    np.testing.assert_array_equal(found[30:], samples(30, 10))
    assert (writer.samples_written, writer.end_sample) == (20, 40)


@pytest.fixture
def slow_disk(monkeypatch):
    """A disk that writes only while the event is set, and room for one block."""
    free, write = threading.Event(), os.pwrite

    def pwrite(*arguments):
        free.wait(PATIENCE_S)
        return write(*arguments)

    monkeypatch.setattr(recorder.os, "pwrite", pwrite)
    monkeypatch.setattr(recorder, "CAPACITY_BYTES", 8)
    return free


def test_a_slow_disk_refuses_samples(tmp_path, reports, slow_disk):
    writer = SampleWriter(tmp_path / "data", wait=False, report=reports)
    assert writer.put(0, samples(0, 5))
    assert not writer.put(5, samples(5, 5))
    slow_disk.set()
    writer.close()
    assert writer.samples_written == 5 and not reports


def test_with_wait_a_slow_disk_costs_time(tmp_path, reports, slow_disk):
    writer, done = SampleWriter(tmp_path / "data", wait=True, report=reports), threading.Event()
    assert writer.put(0, samples(0, 5))
    thread = threading.Thread(target=lambda: writer.put(5, samples(5, 5)) and done.set())
    thread.start()
    assert not done.wait(0.1)
    slow_disk.set()
    assert done.wait(PATIENCE_S)
    thread.join()
    writer.close()
    np.testing.assert_array_equal(stored(tmp_path / "data"), samples(0, 10))


def test_a_full_disk_ends_the_recording_at_a_whole_sample(tmp_path, reports, monkeypatch):
    room, write = [20], os.pwrite  # bytes: two samples and a half

    def pwrite(file, data, at):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(file, data[: room[0]], at)
        room[0] -= taken
        return taken

    monkeypatch.setattr(recorder.os, "pwrite", pwrite)
    writer = SampleWriter(tmp_path / "data", wait=False, report=reports)
    writer.put(0, samples(0, 5))
    writer.close()
    assert writer.failed and writer.samples_written == 2
    np.testing.assert_array_equal(stored(tmp_path / "data"), samples(0, 2))
    assert [what for what, _ in reports] == ["recording stopped"]


def recorded(made, *tags, count=1000):
    source = blocks.vector_source_c(samples(0, count).tolist(), False, 1, list(tags))
    flowgraph = gr.top_block("test")
    flowgraph.connect(source, made)
    flowgraph.run()


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def test_in_a_flowgraph_samples_and_receiver_tags_arrive(tmp_path, reports):
    tags, lost = [], []
    made = Recorder(
        open_writer=lambda: SampleWriter(tmp_path / "data", wait=True, report=reports),
        on_tags=tags.extend,
        on_lost=lambda *stretch: lost.append(stretch),
        report=reports,
    )
    recorded(made, tag(5, "rx_freq", pmt.from_double(1e6)), tag(6, "other", pmt.PMT_T))
    np.testing.assert_array_equal(stored(tmp_path / "data"), samples(0, 1000))
    assert [(t.offset, pmt.symbol_to_string(t.key)) for t in tags] == [(5, "rx_freq")]
    assert made.samples_in == 1000 and made.ended.is_set() and not lost and not reports


def test_a_stretch_that_no_writer_takes_is_told_once_as_a_whole(reports):
    class Refusing:
        failed, writes = False, 0

        def put(self, first, iq):
            return False

        def close(self):
            pass

    lost = []
    made = Recorder(
        open_writer=Refusing, on_tags=lambda tags: None,
        on_lost=lambda *stretch: lost.append(stretch), report=reports,
    )  # fmt: skip
    recorded(made, count=20_000)
    assert lost == [(0, 20_000)]


def test_tags_that_are_not_understood_cost_no_sample(tmp_path, reports):
    def confused(tags):
        raise ValueError("no such time")

    made = Recorder(
        open_writer=lambda: SampleWriter(tmp_path / "data", wait=True, report=reports),
        on_tags=confused, on_lost=lambda *stretch: None, report=reports,
    )  # fmt: skip
    recorded(made)
    assert len(stored(tmp_path / "data")) == 1000
    assert {what for what, _ in reports} == {"tags not understood"}
