# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording is played from first to last sample, and tagged where its segments begin."""

import json

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
import pmt
from gnuradio import blocks

from gr_tsddae.blocks.receiver.capture_source import CaptureSource
from gr_tsddae.iq.captures import open_capture

COUNT = 100_000
IQ = (np.arange(COUNT) + 1j).astype(np.complex64)


@pytest.fixture
def capture(tmp_path):
    IQ.tofile(tmp_path / "rec.sigmf-data")
    segments = [
        {"core:sample_start": 0, "core:frequency": 433e6, "core:datetime": "2023-11-14T22:13:20Z"},
        {"core:sample_start": 60_000, "core:frequency": 434e6},
    ]
    metadata = {
        "global": {
            "core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": 1e6,
        },
        "captures": segments,
        "annotations": [],
    }  # fmt: skip
    (tmp_path / "rec.sigmf-meta").write_text(json.dumps(metadata))
    with open_capture(tmp_path / "rec.sigmf-meta") as opened:
        yield opened


def played(source):
    flowgraph, sink = gr.top_block("test"), blocks.vector_sink_c()
    flowgraph.connect(source, sink)
    flowgraph.run()
    return np.array(sink.data(), np.complex64), sink.tags()


def test_all_samples_and_the_tags_of_each_segment(capture):
    source = CaptureSource(capture)
    found, tags = played(source)
    np.testing.assert_array_equal(found, IQ)
    assert source.finished and source.error is None
    told = {(t.offset, pmt.symbol_to_string(t.key)): pmt.to_python(t.value) for t in tags}
    assert told[0, "rx_rate"] == told[60_000, "rx_rate"] == 1e6
    assert (told[0, "rx_freq"], told[60_000, "rx_freq"]) == (433e6, 434e6)
    assert told[0, "rx_time"] == (1_700_000_000, 0.0)
    assert {offset for offset, _ in told} == {0, 60_000}


def test_it_can_be_stopped_early(capture):
    source = CaptureSource(capture)
    source.stopping = True
    found, _ = played(source)
    assert len(found) == 0 and not source.finished


def test_a_file_that_cannot_be_read_ends_the_stream_with_its_reason(capture, monkeypatch):
    def broken(first, count):
        raise OSError("the disk was pulled out")

    source = CaptureSource(capture)
    monkeypatch.setattr(capture, "read", broken)
    found, _ = played(source)
    assert len(found) == 0 and not source.finished
    assert "pulled out" in str(source.error)
