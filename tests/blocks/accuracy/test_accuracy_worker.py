# SPDX-License-Identifier: GPL-3.0-or-later
"""The accuracy worker: it ends whatever happens to its report, and hears each of its senders."""

from __future__ import annotations

import io
import sys
import time

import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
from gnuradio import blocks
from message_flowgraph import Sender, StreamSender
from waiting import ends

from gr_tsddae.blocks import accuracy_probe
from gr_tsddae.blocks.listening.message_block import QUIET_S


def decision(first_sample):
    return {
        "label": "a", "first_sample": first_sample, "sample_count": 10, "model": "m",
        "probabilities": {"a": 0.75, "b": 0.25},
    }  # fmt: skip


def label(name):
    import pmt

    made = gr.tag_t()
    made.offset, made.key, made.value = 0, pmt.intern("label"), pmt.intern(name)
    return made


def test_it_ends_when_standard_output_is_closed(monkeypatch):
    flowgraph, probe, sender = gr.top_block("test"), accuracy_probe(), StreamSender()
    source = blocks.vector_source_c([1j] * 1000, False, 1, [label("a")])
    flowgraph.connect(source, probe)
    flowgraph.connect(source, sender)
    flowgraph.msg_connect(sender, "decisions", probe, "decisions")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    flowgraph.start()
    assert ends(flowgraph)


def test_a_sender_that_speaks_rarely_is_heard_after_another_has_ended():
    flowgraph, probe = gr.top_block("test"), accuracy_probe()
    brief, rare = Sender(), Sender()
    source = blocks.vector_source_c([1j] * 1000, False, 1, [label("a")])
    flowgraph.connect(source, probe)
    for sender in (brief, rare):
        flowgraph.msg_connect(sender, "decisions", probe, "decisions")
    flowgraph.start()
    brief.say(decision(0))
    brief.end()
    for number in range(2):
        time.sleep(4 * QUIET_S)
        rare.say(decision(100 * (number + 1)))
    rare.end()
    assert ends(flowgraph)
    assert probe.report()["decisions"]["decisions"] == 3


@pytest.mark.parametrize("stream", [True, False])
def test_without_senders_it_ends_with_the_stream(tmp_path, stream):
    """Somebody listens to the reports, and nobody is connected who says anything."""
    flowgraph, listener = gr.top_block("test"), blocks.message_debug()
    source, sink = blocks.vector_source_c([1j] * 1000), blocks.null_sink(8)
    meta = tmp_path / "x.sigmf-meta"
    meta.write_text('{"global": {}, "annotations": [{"core:sample_start": 0, "core:label": "a"}]}')
    probe = accuracy_probe("" if stream else str(meta))
    flowgraph.connect(source, sink)
    if stream:
        flowgraph.connect(source, probe)
    flowgraph.msg_connect(probe, "accuracy", listener, "store")
    flowgraph.start()
    assert ends(flowgraph)
    assert listener.num_messages() == 1
