# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a running block hears, as the flowgraph connected it."""

from __future__ import annotations

import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
import pmt
from message_flowgraph import Sender
from waiting import until

from gr_tsddae.blocks.listening.senders import UNKNOWN, senders_of


class Relay(gr.basic_block):
    """Look who sends to it when it starts, and pass messages on."""

    def __init__(self, name="relay"):
        gr.basic_block.__init__(self, name=name, in_sig=None, out_sig=None)
        self.senders = None
        self.message_port_register_out(pmt.intern("out"))
        for port in ("in", "more", "control"):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), self.on_message)

    def on_message(self, message):
        self.message_port_pub(pmt.intern("out"), message)

    def start(self):
        self.senders = senders_of(self)
        return True


class Hier(gr.hier_block2):
    """A relay behind the ports of a block of blocks."""

    def __init__(self):
        nothing = gr.io_signature(0, 0, 0)
        gr.hier_block2.__init__(self, "hier", nothing, nothing)
        self.relay = Relay()
        self.message_port_register_hier_in("in")
        self.msg_connect(self, "in", self.relay, "in")


def run(flowgraph, *relays):
    flowgraph.start()
    until(lambda: all(relay.senders is not None for relay in relays))
    flowgraph.stop()
    flowgraph.wait()


def test_one_name_for_each_connection():
    flowgraph, one, other, relay = gr.top_block("test"), Sender(), Sender(), Relay("a: b")
    flowgraph.msg_connect(one, "decisions", relay, "in")
    flowgraph.msg_connect(one, "status", relay, "in")
    flowgraph.msg_connect(one, "status", relay, "more")
    flowgraph.msg_connect(other, "decisions", relay, "in")
    run(flowgraph, relay)
    assert sorted(relay.senders) == sorted([one.alias()] * 3 + [other.alias()])


def test_through_the_ports_of_a_block_of_blocks():
    flowgraph, one, hier = gr.top_block("test"), Sender(), Hier()
    flowgraph.msg_connect(one, "decisions", hier, "in")
    run(flowgraph, hier.relay)
    assert hier.relay.senders == [one.alias()]


def test_of_the_block_s_own_flowgraph_among_several():
    graphs = [gr.top_block("test") for _ in range(3)]
    pairs = [(Sender(), Relay()) for _ in graphs]
    for graph, (sender, relay) in zip(graphs, pairs, strict=True):
        graph.msg_connect(sender, "decisions", relay, "in")
        graph.start()
    for graph, (sender, relay) in zip(graphs, pairs, strict=True):
        until(lambda relay=relay: relay.senders is not None)
        graph.stop()
        graph.wait()
        assert relay.senders == [sender.alias()]


def test_a_circle_is_nobody_s_sender():
    """first -> second -> third -> first, and somebody from outside."""
    flowgraph, outside = gr.top_block("test"), Sender()
    first, second, third = (Relay() for _ in range(3))
    flowgraph.msg_connect(outside, "decisions", first, "in")
    for source, sink in ((first, second), (second, third), (third, first)):
        flowgraph.msg_connect(source, "out", sink, "more")
    run(flowgraph, first, second, third)
    assert first.senders == [outside.alias()]
    assert second.senders == third.senders == []


def test_who_hears_a_block_at_control_is_still_its_sender():
    """A display chooses a classifier's model; the classifier does not wait for the display."""
    flowgraph, judge, display = gr.top_block("test"), Relay(), Relay()
    flowgraph.msg_connect(judge, "out", display, "in")
    flowgraph.msg_connect(display, "out", judge, "control")
    run(flowgraph, judge, display)
    assert display.senders == [judge.alias()]


def test_without_senders():
    flowgraph, relay, other = gr.top_block("test"), Relay(), Relay()
    flowgraph.msg_connect(relay, "out", other, "in")
    run(flowgraph, relay, other)
    assert relay.senders == [] and other.senders == [relay.alias()]


def test_without_a_flowgraph():
    assert senders_of(Relay()) == [UNKNOWN]
