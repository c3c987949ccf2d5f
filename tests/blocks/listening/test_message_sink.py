# SPDX-License-Identifier: GPL-3.0-or-later
"""A message sink hears each of its senders to the end, and ends with the last of them."""

from __future__ import annotations

import time

import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from message_flowgraph import Sender
from waiting import ends, until

from gr_tsddae.blocks.listening.message_block import QUIET_S
from gr_tsddae.blocks.listening.message_sink import MessageSink


class Heard(MessageSink):
    def __init__(self):
        super().__init__("heard")
        self.messages = []

    def _hear(self, port, message):
        self.messages.append((port, pmt.to_python(message)))


def connected(*senders, ports=("decisions",)):
    flowgraph, sink = gr.top_block("test"), Heard()
    flowgraph.keep = senders, sink
    for sender in senders:
        for port in ports:
            flowgraph.msg_connect(sender, port, sink, port)
    return flowgraph, sink


def test_a_sender_that_speaks_rarely_is_heard_after_another_has_ended():
    brief, rare = Sender(), Sender()
    flowgraph, sink = connected(brief, rare)
    flowgraph.start()
    brief.say("brief")
    brief.end()
    for number in range(2):
        time.sleep(4 * QUIET_S)
        rare.say(number)
        until(lambda number=number: ("decisions", number) in sink.messages)
    rare.end()
    assert ends(flowgraph)
    assert sink.messages == [("decisions", "brief"), ("decisions", 0), ("decisions", 1)]
