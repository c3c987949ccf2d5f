# SPDX-License-Identifier: GPL-3.0-or-later
"""The annotator hears each of its senders to the end, and ends with the last of them."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks
from message_flowgraph import Sender
from waiting import ends

from gr_tsddae.blocks import sigmf_annotator
from gr_tsddae.blocks.listening.message_block import QUIET_S


def decision(label, first_sample):
    return {"label": label, "first_sample": first_sample, "sample_count": 10, "model": "m"}


def labels(path):
    return [entry["core:label"] for entry in json.loads(path.read_text())["annotations"]]


@pytest.mark.parametrize("record", ["off", "block"])
def test_a_sender_that_speaks_rarely_is_heard_after_another_has_ended(tmp_path, record):
    flowgraph, brief, rare = gr.top_block("test"), Sender(), Sender()
    if record == "off":
        np.zeros(1000, np.complex64).tofile(tmp_path / "rec.cf32")
        annotator = sigmf_annotator(str(tmp_path / "rec.cf32"), "off", sample_rate_hz=1e3)
    else:
        annotator = sigmf_annotator(str(tmp_path / "rec"), record)
        source = blocks.vector_source_c([1j] * 1000)
        flowgraph.connect(source, annotator)
    for sender in (brief, rare):
        flowgraph.msg_connect(sender, "decisions", annotator, "decisions")
    flowgraph.start()
    brief.say(decision("brief", 0))
    brief.end()
    for number in range(2):
        time.sleep(4 * QUIET_S)
        rare.say(decision(f"rare {number}", 100 * (number + 1)))
    rare.end()
    assert ends(flowgraph)
    assert labels(tmp_path / "rec.sigmf-meta") == ["brief", "rare 0", "rare 1"]


def test_without_senders_it_ends_with_the_stream(tmp_path):
    flowgraph, annotator = gr.top_block("test"), sigmf_annotator(str(tmp_path / "rec"), "block")
    source = blocks.vector_source_c([1j] * 1000)
    flowgraph.connect(source, annotator)
    flowgraph.start()
    assert ends(flowgraph)
    assert labels(tmp_path / "rec.sigmf-meta") == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"confidence": "high"}, "confidence: it is 'high', which is no number"),
        ({"confidence": True}, "confidence: it is True, which is no number"),
        ({"first_sample": float("nan")}, "first_sample is nan: send a finite number"),
        ({"sample_count": (5, 6)}, "sample_count: it is (5, 6), which is no number"),
    ],
)
def test_what_is_wrong_with_a_decision_is_named(tmp_path, wrong, told):
    np.zeros(1000, np.complex64).tofile(tmp_path / "rec.cf32")
    worker = sigmf_annotator(str(tmp_path / "rec.cf32"), "off", sample_rate_hz=1e3).worker
    worker.recording = object()  # a decision that is refused does not reach it
    worker._on_decision(pmt.to_pmt(decision("x", 0) | wrong))
    assert told in worker._last_error
