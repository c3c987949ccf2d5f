# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions as JSON lines and as ZMQ messages, as other programs get them."""

from __future__ import annotations

import datetime
import io
import json
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks
from message_flowgraph import Sender
from waiting import ends, until

from gr_tsddae.blocks import classifier, json_publisher
from gr_tsddae.blocks.json_publisher_block import _LineFile
from gr_tsddae.blocks.listening.message_block import QUIET_S

UTC = datetime.timezone.utc
L = 128


def lines(path) -> list[dict]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def decide(made, content) -> None:
    made._on_decisions(pmt.to_pmt(content))


@pytest.fixture
def subscriber():
    zmq = pytest.importorskip("zmq", reason="pyzmq is not installed")
    made = zmq.Context.instance().socket(zmq.SUB)
    made.rcvtimeo = 20_000
    yield made
    made.close(linger=0)


def test_a_classifier_s_decisions_reach_a_file_and_a_subscriber(model_folder, tmp_path, subscriber):
    address = f"ipc://{tmp_path}/station"
    path = tmp_path / "decisions.jsonl"
    rng = np.random.default_rng(1)
    iq = (rng.normal(size=200 * L) + 1j * rng.normal(size=200 * L)).astype(np.complex64)

    class Flowgraph(gr.top_block):
        def __init__(self):
            gr.top_block.__init__(self)
            self.source = blocks.vector_source_c(iq.tolist())
            self.classifier = classifier(
                str(model_folder), device="cpu", precision="float32", overflow="block",
                sample_rate_hz=100 * L, decision_interval_s=0.1, batch_windows=5,
            )  # fmt: skip
            self.publisher = json_publisher(file=str(path), address=address, topic="site/7")
            self.keeper = blocks.message_debug()
            self.connect(self.source, self.classifier)
            for port in ("decisions", "status"):
                self.msg_connect(self.classifier, port, self.publisher, port)
            self.msg_connect(self.classifier, "decisions", self.keeper, "store")

    flowgraph = Flowgraph()
    subscriber.connect(address)
    subscriber.subscribe("site/7/")
    await_subscription(subscriber, flowgraph.publisher)
    flowgraph.run()
    heard = [subscriber.recv_multipart()]
    while subscriber.poll(1000):
        heard.append(subscriber.recv_multipart())
    said = [json.loads(payload) for topic, payload in heard if topic == b"site/7/decisions"]
    status = [json.loads(payload) for topic, payload in heard if topic == b"site/7/status"]
    written = lines(path)
    assert said == written and len(said) == 20
    for number, line in enumerate(written):
        expected = pmt.to_python(flowgraph.keeper.get_message(number))
        published = line.pop("published")
        stamp = datetime.datetime.fromisoformat(published.replace("Z", "+00:00"))
        assert abs((datetime.datetime.now(UTC) - stamp).total_seconds()) < 60
        assert line == expected
        assert line["first_sample"] == number * 10 * L and line["time_s"] is None
    assert status[-1]["samples_in"] == len(iq)
    assert flowgraph.publisher.counters()["lines_lost"] == 0
    assert flowgraph.publisher.counters()["refused"] == 0


def test_the_last_word_is_written_and_what_comes_later_is_not(tmp_path):
    path = tmp_path / "d.jsonl"
    flowgraph, sender = gr.top_block("test"), Sender({"label": "last"})
    publisher = json_publisher(file=str(path))
    flowgraph.msg_connect(sender, "decisions", publisher, "decisions")
    for runs in (1, 2):
        flowgraph.start()
        flowgraph.stop()
        flowgraph.wait()
        assert [line["label"] for line in lines(path)] == runs * ["last"]
        sender.say({"label": "too late"})  # of a stream that is no more


def test_the_end_of_one_sender_is_not_that_of_the_others(tmp_path):
    path = tmp_path / "d.jsonl"
    flowgraph, one, other = gr.top_block("test"), Sender(), Sender()
    publisher = json_publisher(file=str(path))
    for sender in (one, other):
        flowgraph.msg_connect(sender, "decisions", publisher, "decisions")
    flowgraph.start()
    one.say({"label": "one"})
    one.end()
    time.sleep(0.6)  # the scheduler has told
    other.say({"label": "other"})
    other.end()
    assert ends(flowgraph)
    assert [line["label"] for line in lines(path)] == ["one", "other"]


def test_a_stop_while_the_last_windows_of_a_file_are_worked_on_loses_no_decision(
    model_folder, tmp_path, monkeypatch
):
    """The stream has ended by itself; what is left of it takes longer than listeners are quiet."""
    path, passes = tmp_path / "d.jsonl", 3
    flowgraph = gr.top_block("test")
    source = blocks.vector_source_c(5 * passes * L * [1j])
    judge = classifier(
        str(model_folder), device="cpu", precision="float32", overflow="block",
        sample_rate_hz=100 * L, decision_interval_s=0.05, batch_windows=5,
    )  # fmt: skip
    publisher = json_publisher(file=str(path))
    flowgraph.connect(source, judge)
    flowgraph.msg_connect(judge, "decisions", publisher, "decisions")
    recognizer, worker = judge.worker._recognizer, judge.worker
    fast, told, stopped = recognizer.judge, threading.Event(), threading.Event()
    on_system = worker._on_system

    def slow(windows):
        stopped.wait(30)  # none is done before
        time.sleep(2 * QUIET_S)
        return fast(windows)

    def ended(message):
        told.set()
        on_system(message)

    monkeypatch.setattr(recognizer, "judge", slow)
    monkeypatch.setattr(worker, "_on_system", ended)
    flowgraph.start()
    assert told.wait(30)
    stopped.set()
    flowgraph.stop()
    flowgraph.wait()
    assert len(lines(path)) == passes


def test_a_file_goes_on_where_it_ended(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text('{"label": "BPSK"}\n{"label": "QP')  # the power went off
    made = json_publisher(file=str(path))
    decide(made, {"label": "GFSK"})
    made.stop()
    decide(made, {"label": "WBFM"})  # started again
    first, broken, *rest = path.read_text().splitlines()
    assert json.loads(first) == {"label": "BPSK"} and broken == '{"label": "QP'
    assert [json.loads(line)["label"] for line in rest] == ["GFSK", "WBFM"]


def test_files_by_size_lose_no_line(tmp_path):
    path = tmp_path / "d.jsonl"
    made = json_publisher(file=str(path), rotate_mb=0.001)
    for number in range(100):
        decide(made, {"number": number, "padding": 50 * "x"})
    made.stop()
    files = sorted(tmp_path.iterdir(), key=lambda p: lines(p)[0]["number"])
    assert len(files) > 5 and files[-1] == path
    assert all(file.stat().st_size <= 1000 for file in files)
    assert [line["number"] for file in files for line in lines(file)] == list(range(100))


def test_files_by_day(tmp_path):
    path = tmp_path / "d.jsonl"
    file = _LineFile(path, daily=True, size_limit_bytes=0)
    midnight = datetime.datetime(2026, 2, 1, tzinfo=UTC)
    second = datetime.timedelta(seconds=1)
    for number, now in enumerate([midnight - 2 * second, midnight - second, midnight, midnight]):
        file.add(json.dumps({"number": number}).encode(), now)
    file.close()
    assert [x["number"] for x in lines(tmp_path / "d-20260131T235958Z.jsonl")] == [0, 1]
    assert [x["number"] for x in lines(path)] == [2, 3]
    # a station that comes back the next day begins that day's file
    yesterday_s = (midnight + 23 * 3600 * second).timestamp()
    os.utime(path, (yesterday_s, yesterday_s))
    file = _LineFile(path, daily=True, size_limit_bytes=0)
    file.add(b'{"number": 4}', midnight + datetime.timedelta(days=1))
    file.close()
    assert [x["number"] for x in lines(path)] == [4]
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_no_json_is_counted_and_stops_nothing(tmp_path, caplog):
    path = tmp_path / "d.jsonl"
    made = json_publisher(file=str(path))
    made._on_decisions(pmt.intern("hello"))
    decide(made, {"confidence": float("nan")})
    made._on_status(pmt.cons(pmt.PMT_NIL, pmt.make_u8vector(3, 0)))
    decide(made, {"label": "BPSK"})
    made.stop()
    assert [line["label"] for line in lines(path)] == ["BPSK"]
    assert made.counters() == {"messages": 4, "refused": 3, "lines_lost": 0}
    assert "must be a dictionary, not str" in caplog.text


def test_a_full_disk_is_counted_and_the_next_line_tried(tmp_path, caplog):
    path = tmp_path / "d.jsonl"
    made = json_publisher(file=str(path))
    decide(made, {"number": 0})
    made._lines.close()
    with Path("/dev/full").open("ab", buffering=0) as full:
        made._lines._file, made._lines._began = full, datetime.datetime.now(UTC)
        decide(made, {"number": 1})
    assert made.counters()["lines_lost"] == 1
    assert "No space left" in caplog.text
    made._lines.close()
    decide(made, {"number": 2})
    assert [line["number"] for line in lines(path)] == [0, 2]


@pytest.mark.parametrize("can_truncate", [True, False])
def test_half_a_line_on_a_full_disk_spoils_no_other(tmp_path, can_truncate):
    class Disk(io.FileIO):
        full = False

        def write(self, data):
            return super().write(data[: len(data) // 2] if self.full and len(data) > 1 else data)

        def truncate(self, size=None):
            if not can_truncate:
                raise OSError("not now")
            return super().truncate(size)

    path = tmp_path / "d.jsonl"
    made = json_publisher(file=str(path))
    made._lines._file = disk = Disk(path, "a+b")
    made._lines._began = datetime.datetime.now(UTC)
    for number in range(5):
        disk.full = number in (1, 2)
        decide(made, {"number": number})
    assert made.counters()["lines_lost"] == 2
    made.stop()
    kept = [line for line in path.read_text().splitlines() if line.endswith("}")]
    assert [json.loads(line)["number"] for line in kept] == [0, 3, 4]
    assert len(kept) == len(path.read_text().splitlines()) or not can_truncate


def test_a_file_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = json_publisher(file="~/d.jsonl")
    decide(made, {"label": "BPSK"})
    made.stop()
    assert lines(tmp_path / "d.jsonl")[0]["label"] == "BPSK"


def free_address() -> str:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{made.getsockname()[1]}"


def publishing(address):
    """A running flowgraph of a sender and a publisher, and these two."""
    flowgraph, sender = gr.top_block("test"), Sender()
    publisher = json_publisher(address=address)
    flowgraph.msg_connect(sender, "decisions", publisher, "decisions")
    flowgraph.start()
    return flowgraph, sender, publisher


def heard_from(subscriber, sender) -> dict:
    """What a subscriber gets, however long its subscription takes; PUB does not wait for it."""
    until(lambda: subscriber.poll(50) or sender.say({"label": "BPSK"}))
    return json.loads(subscriber.recv_multipart()[1])


def await_subscription(subscriber, publisher, port="status"):
    """Publish until the subscriber hears it, since PUB does not wait for a subscription."""
    nothing = pmt.to_pmt({"kind": "begun", "warm_up": True})  # of which no line is written
    until(lambda: subscriber.poll(50) or publisher._hear(port, nothing))
    while subscriber.poll(200):
        subscriber.recv_multipart()


def test_the_address_is_free_for_the_next_flowgraph(subscriber):
    address = free_address()
    subscriber.connect(address)
    subscriber.subscribe("tsddae/")
    kept = []  # the objects of earlier flowgraphs live on, as in a notebook
    for _ in range(5):
        flowgraph, sender, publisher = publishing(address)
        assert heard_from(subscriber, sender)["label"] == "BPSK"
        kept.append((flowgraph, sender, publisher))
        flowgraph.stop()
        flowgraph.wait()
        while subscriber.poll(100):
            subscriber.recv_multipart()


def test_a_flowgraph_that_is_started_again_publishes_again(subscriber):
    address = free_address()
    subscriber.connect(address)
    subscriber.subscribe("tsddae/")
    flowgraph, sender, _ = publishing(address)
    for _ in range(2):
        heard_from(subscriber, sender)
        flowgraph.stop()
        flowgraph.wait()
        while subscriber.poll(100):
            subscriber.recv_multipart()
        flowgraph.start()
    flowgraph.stop()
    flowgraph.wait()


def test_an_address_that_is_taken_meanwhile_is_said_and_tried_again(subscriber, caplog):
    zmq = pytest.importorskip("zmq", reason="pyzmq is not installed")
    address = free_address()
    flowgraph, sender, publisher = publishing(address)
    flowgraph.stop()
    flowgraph.wait()
    other = zmq.Context.instance().socket(zmq.PUB)
    until(lambda: bound(other, address))
    flowgraph.start()
    sender.say({"label": "BPSK"})
    until(lambda: publisher.counters()["messages"] == 1)
    assert f"cannot listen at address {address!r}" in caplog.text
    other.close(linger=0)
    subscriber.connect(address)
    subscriber.subscribe("tsddae/")
    assert heard_from(subscriber, sender)["label"] == "BPSK"
    flowgraph.stop()
    flowgraph.wait()


def bound(made, address) -> bool:
    import zmq

    try:
        made.bind(address)
    except zmq.ZMQError:
        return False
    return True


def test_bad_arguments(tmp_path):
    with pytest.raises(OSError, match=r"nowhere/d\.jsonl' cannot be written .* make that folder"):
        json_publisher(file=str(tmp_path / "nowhere" / "d.jsonl"))
    with pytest.raises(ValueError, match="rotate_mb is -1"):
        json_publisher(rotate_mb=-1)
    pytest.importorskip("zmq", reason="pyzmq is not installed")
    with pytest.raises(ValueError, match="cannot listen at address 'nonsense'"):
        json_publisher(address="nonsense")
    address = f"ipc://{tmp_path}/taken"
    kept = json_publisher(address=address)
    assert kept is not None
    json_publisher(address=f"ipc://{tmp_path}/other").set_topic("x")


def test_emissions_go_to_the_file_when_they_have_ended(tmp_path, subscriber):
    address, path = f"ipc://{tmp_path}/station", tmp_path / "emissions.jsonl"
    made = json_publisher(file=str(path), address=address)
    subscriber.connect(address)
    subscriber.subscribe(b"tsddae/emissions")
    await_subscription(subscriber, made, port="emissions")
    said = [
        {"kind": "begun", "id": 1}, {"kind": "updated", "id": 1},
        {"kind": "ended", "id": 1, "withdrawn": False, "measured": {"bursts_s": [[0.0, 1.5]]}},
        {"kind": "begun", "id": 2}, {"kind": "ended", "id": 2, "withdrawn": True},
    ]  # fmt: skip
    for content in said:
        made._on_emissions(pmt.to_pmt(content))
    made.stop()
    (line,) = lines(path)
    assert line.pop("published") and line == said[2]
    heard = [json.loads(subscriber.recv_multipart()[1]) for _ in said]
    assert [(h["kind"], h["id"]) for h in heard] == [(s["kind"], s["id"]) for s in said]
