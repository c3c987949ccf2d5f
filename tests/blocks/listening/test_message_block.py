# SPDX-License-Identifier: GPL-3.0-or-later
"""The life cycle of message blocks: what is heard, what is published last, and when it ends."""

from __future__ import annotations

import threading
import time

import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
import pmt
from message_flowgraph import DONE, Sender
from waiting import ends, until

from gr_tsddae.blocks.listening import message_block
from gr_tsddae.blocks.listening.message_block import MessageBlock


class Listener(MessageBlock):
    """Keep what comes in, and publish how much it was at the end."""

    def __init__(self, **more):
        super().__init__("listener", hears={"in": self.on_message}, **more)
        self.heard, self.ends = [], 0
        self.message_port_register_out(pmt.intern("count"))

    def on_message(self, message):
        self.heard.append(pmt.to_python(message))

    def _conclude(self):
        self.ends += 1
        self.message_port_pub(pmt.intern("count"), pmt.from_long(len(self.heard)))


class Worker(MessageBlock):
    """A thread that needs a while for its last message, as a classifier does."""

    def __init__(self, last_s=0.0):
        super().__init__("worker", thread_name="test worker")
        self.last_s = last_s
        self.message_port_register_out(pmt.intern("out"))

    def _run(self):
        self._stopping.wait()
        time.sleep(self.last_s)
        self.message_port_pub(pmt.intern("out"), pmt.intern("last"))


def connect(flowgraph, source, sink, ports=("decisions",)):
    for port in ports:
        flowgraph.msg_connect(source, port, sink, "in")


def stop(flowgraph):
    flowgraph.stop()
    flowgraph.wait()


def test_it_ends_with_its_last_sender_and_not_before():
    flowgraph, listener = gr.top_block("test"), Listener()
    senders = [Sender() for _ in range(3)]
    for sender in senders:
        connect(flowgraph, sender, listener, ("decisions", "status"))
    flowgraph.start()
    for number, sender in enumerate(senders):
        assert listener.ends == 0
        sender.say(number)
        sender.end()
        time.sleep(0.3)
    assert ends(flowgraph)
    assert listener.heard == [0, 1, 2] and listener.ends == 1


@pytest.mark.parametrize("count", [1, 2000])
def test_done_overtakes_no_message(count):
    """A sender ends right after its last message, at each of its ports."""
    flowgraph, listener, sender = gr.top_block("test"), Listener(), Sender()
    connect(flowgraph, sender, listener, ("decisions", "status"))
    flowgraph.start()
    for number in range(count):
        sender.say(number, ("decisions", "status")[number % 2])
    sender.end()
    assert ends(flowgraph)
    assert sorted(listener.heard) == list(range(count))


def test_listeners_in_a_row_hear_the_last_message_of_the_one_before():
    flowgraph, sender = gr.top_block("test"), Sender()
    first, second = Listener(), Listener()
    connect(flowgraph, sender, first)
    connect(flowgraph, first, second, ("count",))
    flowgraph.start()
    sender.say("a")
    sender.end()
    assert ends(flowgraph)
    assert second.heard == [1]
    for _ in range(2):  # and when a user stops them all at once
        flowgraph.start()
        sender.say("b")
        stop(flowgraph)
    assert second.heard == [1, 2, 3]


def test_two_that_hear_each_other_end():
    flowgraph, sender = gr.top_block("test"), Sender()
    first, second = Listener(), Listener()
    connect(flowgraph, sender, first)
    connect(flowgraph, first, second, ("count",))
    connect(flowgraph, second, first, ("count",))
    flowgraph.start()
    sender.end()
    time.sleep(0.5)
    assert first.ends == 1
    stop(flowgraph)
    assert first.ends == second.ends == 1


def test_a_stop_waits_for_a_worker_s_last_message_however_slow():
    flowgraph, listener = gr.top_block("test"), Listener()
    worker = Worker(last_s=4 * message_block.QUIET_S)
    connect(flowgraph, worker, listener, ("out",))
    flowgraph.start()
    stop(flowgraph)
    assert listener.heard == ["last"] and listener.ends == 1


def test_a_worker_of_another_flowgraph_is_not_waited_for():
    """It runs on, and speaks to somebody else."""
    other, worker, its_listener = gr.top_block("other"), Worker(), Listener()
    connect(other, worker, its_listener, ("out",))
    other.start()
    flowgraph, listener, sender = gr.top_block("test"), Listener(), Sender(last_word="bye")
    connect(flowgraph, sender, listener)
    flowgraph.start()
    flowgraph.stop()
    assert ends(flowgraph)
    assert listener.heard == ["bye"]
    stop(other)
    assert its_listener.heard == ["last"]


def test_messages_between_two_runs_are_of_neither():
    flowgraph, listener, sender = gr.top_block("test"), Listener(), Sender()
    connect(flowgraph, sender, listener)
    for run in range(3):
        flowgraph.start()
        sender.say(run)
        until(lambda run=run: run in listener.heard)
        stop(flowgraph)
        sender.say("too late")
        listener.to_basic_block()._post(pmt.intern("system"), DONE)
    assert listener.heard == [0, 1, 2] and listener.ends == 3


def test_a_sender_may_be_connected_while_it_runs():
    flowgraph, listener = gr.top_block("test"), Listener()
    one, other = Sender(), Sender()
    connect(flowgraph, one, listener)
    flowgraph.start()
    flowgraph.lock()
    connect(flowgraph, other, listener)
    flowgraph.unlock()
    one.end()
    time.sleep(0.3)
    other.say("after the other's end")
    other.end()
    assert ends(flowgraph)
    assert listener.heard == ["after the other's end"]


def test_it_waits_for_its_stream():
    ended = threading.Event()
    flowgraph, listener, sender = gr.top_block("test"), Listener(stream_ended=ended), Sender()
    connect(flowgraph, sender, listener)
    flowgraph.start()
    sender.end()
    time.sleep(0.3)
    assert listener.ends == 0
    ended.set()
    assert ends(flowgraph) and listener.ends == 1


def test_a_failure_at_the_end_does_not_hang_the_flowgraph(monkeypatch, caplog):
    flowgraph, listener, sender = gr.top_block("test"), Listener(), Sender()
    connect(flowgraph, sender, listener)

    def fail():
        raise RuntimeError("no room")

    monkeypatch.setattr(listener, "_conclude", fail)
    flowgraph.start()
    sender.end()
    assert ends(flowgraph)
    assert "no room" in caplog.text
    assert listener.alias() not in message_block._at_work
