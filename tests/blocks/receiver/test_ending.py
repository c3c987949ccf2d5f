# SPDX-License-Identifier: GPL-3.0-or-later
"""A flowgraph that does not stop is left, but not while blocks of this module still work."""

import os
import subprocess
import sys
import threading

import pytest

pytest.importorskip("gnuradio", reason="GNU Radio is not installed")
from gr_tsddae.blocks.receiver import ending


class Top:
    """A flowgraph whose stop() returns when it is let go."""

    def __init__(self):
        self.let_go = threading.Event()

    def stop(self):
        self.let_go.wait(30)

    def wait(self):
        pass


@pytest.fixture
def left(monkeypatch):
    """Set when the process would leave."""
    event = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda status: event.set() if status == 1 else None)
    return event


def begin_to_stop(top):
    ending.end_in_time(top, patience_s=0.05)
    thread = threading.Thread(target=lambda: (top.stop(), top.wait()))
    thread.start()
    return thread


def test_a_receiver_that_never_returns_is_left(left, caplog):
    top = Top()
    thread = begin_to_stop(top)
    assert left.wait(10)
    assert "its receiver does not answer" in caplog.text
    top.let_go.set()
    thread.join()


def test_a_block_that_still_works_gets_more_time(left, monkeypatch):
    asked = threading.Semaphore(0)
    monkeypatch.setattr(ending, "at_work", lambda: asked.release() or True)
    top = Top()
    thread = begin_to_stop(top)
    for _ in range(3):
        assert asked.acquire(timeout=10)  # a period is over, and the program is still there
    assert not left.is_set()
    top.let_go.set()
    thread.join()
    assert not left.wait(0.3)


def test_one_that_works_for_ever_is_left_too(left, monkeypatch, caplog):
    monkeypatch.setattr(ending, "at_work", lambda: True)
    top = Top()
    thread = begin_to_stop(top)
    assert left.wait(30)
    assert "still work" in caplog.text and "its receiver" not in caplog.text
    top.let_go.set()
    thread.join()


SCRIPT = """
import os, signal, sys, threading
from gnuradio import blocks, gr
from gr_tsddae.blocks.receiver.ending import end_in_time

top = gr.top_block()
top.connect(blocks.null_source(8), blocks.throttle(8, 1e5), blocks.null_sink(8))
end_in_time(top)

def handler(number, frame):  # as in the programs that grcc makes
    top.stop()
    top.wait()
    print("ended", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, handler)
top.start()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
top.wait()
"""


def test_a_signal_ends_a_program_that_waits():
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wait_inside_a_wait_is_the_same(monkeypatch):
    calls, inside = [], []
    top = Top()
    top.wait = lambda: (calls.append("wait"), top.let_go.wait(30))
    ending.end_in_time(top)

    def handler(seconds):
        if not inside:  # a signal comes
            inside.append(True)
            top.wait()
        top.let_go.set()

    monkeypatch.setattr(ending.time, "sleep", handler)
    top.wait()
    assert inside and calls == ["wait"]
