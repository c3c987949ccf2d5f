# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a stream into batches of windows, against ten lines of numpy and in flowgraphs."""

from __future__ import annotations

import gc
import inspect
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import until

pytest.importorskip("gnuradio.gr", reason="GNU Radio 3.10 is not installed for this Python")

import pmt
from gnuradio import blocks, gr

import gr_tsddae.blocks
from gr_tsddae.bindings import DEFAULT_GATE_DBFS, window_batcher, window_ring

INF = float("inf")
POLICIES = ("block", "drop_oldest", "drop_newest")


def assert_adds_up(counters: dict[str, int]) -> None:
    """Every sample and every window is in exactly one place."""
    for unit, places in (
        ("samples", ("classified", "gated", "dropped", "flushed", "pending")),
        ("windows", ("classified", "gated", "dropped", "pending")),
    ):
        total = sum(counters[f"{unit}_{place}"] for place in places)
        assert counters[f"{unit}_in"] == total, counters


def drain(ring: window_ring | window_batcher) -> tuple[np.ndarray, np.ndarray]:
    """All that can be taken now: windows (n, L) and their records (n)."""
    samples, info = [np.empty((0, ring.window_samples), np.complex64)], []
    while (batch := ring.take(0)) is not None:
        samples.append(np.array(batch))
        info.append(np.array(batch.info))
        batch.release()
    return np.concatenate(samples), np.concatenate(info) if info else np.empty(0)


def starts(ring: window_ring | window_batcher) -> list[int]:
    """The numbers of the first samples of all windows that can be taken now."""
    return [int(record["first_sample"]) for record in drain(ring)[1]]


# --- cutting, against an oracle -------------------------------------------------------------------


def oracle(x, edges, length, hop, gate_dbfs):
    """Starts of the windows that pass, and how many samples are classified, gated, flushed."""
    passed, owned, owner = [], {True: 0, False: 0}, np.zeros(len(x), bool)
    for begin, end in pairwise([0, *edges, len(x)]):
        for start in range(begin, end - length + 1, hop):
            window = slice(start, start + length)
            power = np.mean(np.abs(x[window].astype(complex)) ** 2)
            passes = bool(np.isfinite(power) and power >= 10 ** (gate_dbfs / 10))
            passed += [start] * passes
            owned[passes] += np.sum(~owner[window])
            owner[window] = True
    return passed, owned[True], owned[False], np.sum(~owner)


def mark(ring: window_ring, news: tuple[str, float], state: dict[str, float]) -> bool:
    """Tell the ring what a tag would; return whether that cuts, and keep the news in `state`."""
    kind, value = news
    if kind == "gap":
        ring.mark_discontinuity()
        return True
    # The clock starts at the time `full` + `frac` of sample `at`.
    at = ring.position()
    samples, rate = at - state.get("at", 0), state.get("rate", state.get("measured", np.nan))
    if kind in ("time", "clock"):
        full, frac = (value, 0.25) if kind == "time" else (state.get("full", 9.0), 0.5)
        if kind == "clock" and rate > 0 and "full" in state:  # so many samples beside the clock
            frac = state["frac"] + (samples + value) / rate
        ring.mark_time(int(full), frac)  # its fraction may be 1 s or more, or negative
        if "full" in state:
            seconds = (full - state["full"]) + (frac - state["frac"])
            state["measured"] = samples / seconds if seconds else np.nan
            if rate > 0 and abs(seconds - samples / rate) <= max(0.5e-6, 1.5 / rate):
                return False
        state.update(full=full, frac=frac, at=at)
        return True
    (ring.mark_freq if kind == "freq" else ring.mark_rate)(value)
    changed = state.get(kind) != value
    if kind == "rate" and changed and "rate" in state and "full" in state:
        whole, state["frac"] = divmod(state["frac"] + samples / rate, 1)
        state["full"], state["at"] = state["full"] + whole, at
    state[kind] = value
    return changed


NEWS = st.one_of(
    st.tuples(st.sampled_from(["freq", "rate"]), st.sampled_from([1e3, 2.5e6])),
    st.tuples(st.just("time"), st.sampled_from([3.0, 1e9])),
    st.tuples(st.just("clock"), st.sampled_from([0.0, 1.0, -1.4, 2.0, -5.0])),
    st.just(("gap", 0.0)),
)


@settings(max_examples=400, deadline=None)
@given(
    length=st.integers(1, 12),
    hop=st.integers(1, 30),
    batch_windows=st.integers(1, 4),
    levels=st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.0, np.nan, np.inf]), max_size=30),
    spread=st.integers(1, 7),
    chunks=st.lists(st.tuples(st.integers(0, 40), st.lists(NEWS, max_size=2)), max_size=20),
    gate_dbfs=st.sampled_from([-INF, -25.0, -3.3]),
)
def test_any_chunking_any_hop_any_tags(
    length, hop, batch_windows, levels, spread, chunks, gate_dbfs
):
    x = np.repeat(np.array(levels, np.complex64), spread)
    x = (x + 1j * np.arange(len(x)) * 1e-4).astype(np.complex64)  # tells samples apart
    ring = window_ring(length, hop, batch_windows, 256, "block", gate_dbfs)
    state: dict[str, float] = {}
    edges, expected_state, at = [], [], 0
    for chunk, news in [*chunks, (len(x), [])]:
        cuts = [mark(ring, item, state) for item in news]
        if any(cuts):
            edges.append(at)
        end = min(len(x), at + chunk)
        assert ring.push(at, x[at:end]) == end - at
        expected_state += [dict(state)] * (end - at)
        at = end
        assert ring.position() == ring.counters()["samples_in"] == at
        assert_adds_up(ring.counters())
    ring.close()

    starts, classified, gated, flushed = oracle(x, edges, length, hop, gate_dbfs)
    samples, info = drain(ring)
    assert [int(record["first_sample"]) for record in info] == starts
    for window, record, start in zip(samples, info, starts, strict=True):
        np.testing.assert_array_equal(window, x[start : start + length])
        power = np.mean(np.abs(window.astype(complex)) ** 2)
        assert np.isclose(10 ** (record["power_dbfs"] / 10), power, rtol=2e-6)  # in float32
        known = expected_state[start]
        np.testing.assert_equal(record["rx_freq_hz"], known.get("freq", np.nan))
        np.testing.assert_equal(record["rx_rate_hz"], known.get("rate", np.nan))
        assert record["has_time"] == ("full" in known)
        if "full" in known:
            assert record["rx_time_full_s"] == known["full"]
            assert record["rx_time_frac_s"] == pytest.approx(known["frac"], abs=1e-9)
            assert record["rx_time_sample"] == known["at"]
    counters = ring.counters()
    assert_adds_up(counters)
    assert counters["samples_classified"] == classified
    assert counters["samples_gated"] == gated
    assert counters["samples_flushed"] == flushed
    assert counters["samples_pending"] == counters["windows_pending"] == 0
    assert ring.finished()


# --- batches and policies, against a model --------------------------------------------------------


class Model:
    """Lists of window numbers instead of storage."""

    def __init__(self, batch_windows: int, capacity: int, policy: str):
        self.batch_windows, self.capacity, self.policy = batch_windows, capacity, policy
        self.open, self.ready, self.taken = [], [], []
        self.classified = self.dropped = 0

    def push(self, window: int) -> None:
        in_use = len(self.ready) + len(self.taken)
        if not self.open and in_use == self.capacity:
            if self.policy == "drop_newest" or not self.ready:
                self.dropped += 1
                return
            self.dropped += len(self.ready.pop(0))
        self.open.append(window)
        if len(self.open) == self.batch_windows:
            self.ready.append(self.open)
            self.open = []

    def discard(self) -> int:
        given_up = sum(map(len, self.ready)) + len(self.open)
        self.dropped += given_up
        self.open, self.ready = [], []
        return given_up


def contents(batch) -> list[int]:
    """Window numbers, as its samples and its records say."""
    numbers = (np.asarray(batch.info)["first_sample"] // 2).tolist()
    assert np.asarray(batch).real.tolist() == [[number, number] for number in numbers]
    return numbers


@settings(max_examples=300, deadline=None)
@given(
    batch_windows=st.integers(1, 3),
    capacity=st.integers(2, 4),
    policy=st.sampled_from(["drop_oldest", "drop_newest"]),
    deeds=st.lists(
        st.sampled_from(["push"] * 6 + ["take", "take", "release", "give up", "forget", "discard"]),
        max_size=80,
    ),
)
def test_policies_against_a_model(batch_windows, capacity, policy, deeds):
    ring = window_ring(2, 2, batch_windows, capacity, policy, -INF)  # window 0 is silent
    model = Model(batch_windows, capacity, policy)
    held, pushed = [], 0
    for deed in deeds:
        if deed == "push":
            ring.push(2 * pushed, np.full(2, pushed, np.complex64))
            model.push(pushed)
            pushed += 1
        elif deed == "take":
            batch = ring.take(0)
            assert (batch is not None) == bool(model.ready)
            if batch is not None:
                held.append(batch)
                model.taken.append(model.ready.pop(0))
            del batch  # or this name would keep the batch from being forgotten
        elif deed == "discard":
            assert ring.discard_pending() == model.discard()
        elif held:
            windows = model.taken.pop(0)
            if deed == "release":
                ring.release(held.pop(0))
                model.classified += len(windows)
            else:
                if deed == "give up":
                    held[0].release(classified=False)
                del held[0]
                model.dropped += len(windows)
        assert [contents(batch) for batch in held] == model.taken  # untouched by newer windows
        counters = ring.counters()
        assert_adds_up(counters)
        assert counters["windows_classified"] == model.classified
        assert counters["windows_dropped"] == model.dropped
        assert counters["batches_ready"] == len(model.ready)
        assert counters["batches_taken"] == len(model.taken)


# --- handles and views ----------------------------------------------------------------------------


def full_ring(**options) -> window_ring:
    ring = window_ring(4, 4, 2, 2, **options)
    ring.push(0, np.arange(16, dtype=np.complex64))
    return ring


def test_views_are_not_copies_and_keep_the_batch():
    ring = full_ring(policy="drop_newest")
    batch = ring.take(0)
    first, second = np.asarray(batch), np.asarray(batch)
    info = np.asarray(batch.info)
    assert first.shape == (2, 4) and first.dtype == np.complex64 and len(batch) == 2
    first[0, 0] = 99
    assert second[0, 0] == 99
    assert first.ctypes.data % 64 == 0
    del batch, second
    gc.collect()
    ring.push(16, np.full(16, -1, np.complex64))  # would go there, were the storage free
    assert first[0, 1] == 1 and info["first_sample"].tolist() == [0, 4]
    assert ring.counters()["batches_taken"] == 1
    del ring
    gc.collect()
    assert first[1, 3] == 7  # storage outlives the ring as long as somebody looks
    del first, info


def test_a_forgotten_batch_is_dropped_and_its_storage_comes_back():
    ring = full_ring(policy="drop_newest")
    for _ in range(10):
        view = np.asarray(ring.take(0))
        del view
        gc.collect()
        assert ring.counters()["batches_taken"] == 0
        ring.push(ring.position(), np.ones(8, np.complex64))
    assert ring.counters()["windows_dropped"] == 20


def test_a_released_batch_is_no_array_any_more():
    ring, other = full_ring(), full_ring()
    batch = ring.take(0)
    with pytest.raises(RuntimeError, match="another ring's"):
        other.release(batch)
    info = batch.info
    assert batch.age_s >= 0
    ring.release(batch)
    assert batch.released
    for again in (batch.release, lambda: ring.release(batch), lambda: batch.age_s):
        with pytest.raises(RuntimeError, match="released before"):
            again()
    for gone in (batch, info):
        for look in (np.asarray, memoryview):
            with pytest.raises(BufferError, match=r"belongs? to the ring again"):
                look(gone)
    assert ring.counters()["windows_classified"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_samples": 0}, "window_samples is 0, but must be between 1 and"),
        ({"hop_samples": 0}, "hop_samples is 0, but must be between 1 and .*: use the window"),
        ({"hop_samples": -8}, "hop_samples is -8"),
        ({"batch_windows": 0}, "batch_windows is 0"),
        ({"capacity_batches": 1}, "capacity_batches is 1, but must be between 2"),
        ({"policy": "wait"}, "'wait' is unknown: use 'block'"),
        ({"gate_dbfs": float("nan")}, "gate_dbfs is NaN"),
        ({"max_wait_s": -1.0}, "max_wait_s is -1.0.*but must be 0 or more"),
        ({"batch_windows": 10**6, "window_samples": 10**6}, "limit is 8192 MiB: use smaller"),
        ({"batch_windows": 2**25, "window_samples": 1}, "9216 MiB, but the limit is 8192 MiB"),
        ({"capacity_batches": 2**27, "window_samples": 1}, "but the limit is 8192 MiB"),
    ],
)
@pytest.mark.parametrize("kind", [window_ring, window_batcher])
def test_bad_arguments_are_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"window_samples": 128, "hop_samples": 128} | options)


@pytest.mark.parametrize("kind", [window_ring, window_batcher])
def test_digital_silence_is_gated_by_default(kind):
    """No receiver is so quiet; and -inf gates nothing."""
    assert kind(4, 4).gate_dbfs() == DEFAULT_GATE_DBFS == -200
    for gate, gated in ({}, 1), ({"gate_dbfs": -INF}, 0):
        ring = window_ring(4, 4, **gate)
        ring.push(0, np.zeros(4, np.complex64))
        ring.push(4, np.full(4, 1e-9, np.complex64))
        assert ring.counters()["windows_gated"] == gated


@pytest.mark.parametrize("name", ["anomaly_detector", "classifier", "denoiser", "embedding"])
def test_every_block_and_companion_have_one_default_gate(name):
    in_python = inspect.signature(getattr(gr_tsddae.blocks, name).__init__).parameters
    assert in_python["gate_dbfs"].default == DEFAULT_GATE_DBFS
    text = (Path(__file__).parents[2] / "grc" / f"tsddae_{name}.block.yml").read_text()
    (gate,) = (p for p in yaml.safe_load(text)["parameters"] if p["id"] == "gate_dbfs")
    assert float(gate["default"]) == DEFAULT_GATE_DBFS


def test_only_complex64_is_pushed():
    ring = full_ring()
    for wrong in (np.zeros(4), np.zeros(4, complex), np.zeros((2, 2), np.complex64),
                  np.zeros(8, np.complex64)[::2]):  # fmt: skip
        with pytest.raises(ValueError, match="contiguous complex64"):
            ring.push(16, wrong)
    with pytest.raises(ValueError, match="timeout_s is -1"):
        ring.take(-1)
    with pytest.raises(ValueError, match="gate_dbfs is NaN"):
        ring.set_gate_dbfs(float("nan"))
    with pytest.raises(ValueError, match="timeout_s is nan"):
        ring.take(float("nan"))


def test_take_waits_without_the_gil():
    ring = window_ring(4, 4)
    got = []
    consumer = threading.Thread(target=lambda: got.append(ring.take(3600)))
    consumer.start()
    time.sleep(0.2)
    assert not got
    ring.close()
    consumer.join()
    assert got == [None]


LOOKS = {
    "counters": lambda ring, batch: ring.counters(),
    "closed": lambda ring, batch: ring.closed(),
    "finished": lambda ring, batch: ring.finished(),
    "position": lambda ring, batch: ring.position(),
    "gate_dbfs": lambda ring, batch: ring.gate_dbfs(),
    "set_gate_dbfs": lambda ring, batch: ring.set_gate_dbfs(-100.0),
    "pace": lambda ring, batch: ring.pace(),
    "set_pace": lambda ring, batch: ring.set_pace(1, 0.5),
    "age_s": lambda ring, batch: batch.age_s,
    "released": lambda ring, batch: batch.released,
    "samples": lambda ring, batch: np.asarray(batch),
    "info": lambda ring, batch: np.asarray(batch.info),
    "release": lambda ring, batch: ring.release(batch),
    "discard_pending": lambda ring, batch: ring.discard_pending(),
    "close": lambda ring, batch: ring.close(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_who_waits_for_the_ring_holds_up_no_other_python_thread(look):
    """The ring is locked while a long span is pushed; other threads run although one waits."""
    ring = window_ring(4, 4, policy="drop_newest")
    ring.push(0, np.ones(4, np.complex64))
    batch, long_span = ring.take(0), np.ones(2**24, np.complex64)
    events: list[str] = []

    def push():
        ring.push(4, long_span)
        events.append("pushed")

    def wait():
        events.append("waiting")
        look(ring, batch)
        events.append("waited")

    ticks = 0
    for thread in (
        pusher := threading.Thread(target=push),
        waiter := threading.Thread(target=wait),
    ):
        thread.start()
        time.sleep(0.005)
    while "waited" not in events and "pushed" not in events:
        time.sleep(0.001)
        ticks += "waiting" in events and "waited" not in events and "pushed" not in events
    pusher.join()
    waiter.join()
    assert ticks > 5, events


def test_max_wait_hands_out_a_batch_that_is_not_full():
    ring = window_ring(4, 4, 100, max_wait_s=0.01)
    ring.push(0, np.ones(12, np.complex64))
    assert len(ring.take(30)) == 3


# --- flowgraphs -----------------------------------------------------------------------------------


def tag(offset: int, key: str, value) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def rx_time(full_s: int, frac_s: float):
    return pmt.make_tuple(pmt.from_uint64(full_s), pmt.from_double(frac_s))


def thread_count() -> int:
    """Those of the scheduler too."""
    return len(os.listdir("/proc/self/task"))


class Consumer(gr.basic_block):
    """Message-only, as the blocks are that classify: lives and ends with its batcher."""

    def __init__(self, batcher: window_batcher):
        gr.basic_block.__init__(self, "consumer", in_sig=None, out_sig=None)
        self.message_port_register_in(pmt.intern("drain"))
        self.set_msg_handler(pmt.intern("drain"), self.on_drain)
        self.batcher, self.calls, self.starts, self.ends = batcher, [], [], []

    def on_drain(self, message):
        raise AssertionError("nothing ever comes here")

    def start(self):
        self.calls.append("start")
        self.batcher.reopen()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return True

    def run(self):
        while True:
            batch = self.batcher.take(1.0)
            if batch is not None:
                self.starts += np.asarray(batch.info)["first_sample"].tolist()
                self.ends += np.asarray(batch)[:, [0, -1]].real.astype(int).tolist()
                batch.release()
            elif self.batcher.finished():
                return

    def stop(self):
        self.thread.join()
        self.calls.append("stop")
        return True


class Flowgraph(gr.top_block):
    """source -> batcher, and a consumer if wanted."""

    def __init__(self, source, consumer=True, **options):
        gr.top_block.__init__(self)
        self.source = source
        self.batcher = window_batcher(**options)
        self.connect(self.source, self.batcher)
        self.consumer = None
        if consumer:
            self.consumer = Consumer(self.batcher)
            self.msg_connect(self.batcher, "drain", self.consumer, "drain")


@pytest.mark.parametrize("hop_samples", [48, 64, 200])
def test_a_stream_that_ends(hop_samples):
    x = np.arange(100_003).astype(np.complex64)
    top = Flowgraph(
        blocks.vector_source_c(x), window_samples=64, hop_samples=hop_samples, batch_windows=7
    )
    for run in range(1, 4):
        top.source.rewind()
        top.consumer.starts.clear()
        top.consumer.ends.clear()
        top.run()
        assert top.consumer.calls == ["start", "stop"] * run
        assert top.batcher.stream_ended() and top.batcher.finished()
        assert top.consumer.starts == list(range(0, len(x) - 63, hop_samples))
        assert top.consumer.ends == [[start, start + 63] for start in top.consumer.starts]
        counters = top.batcher.counters()
        assert_adds_up(counters)
        assert counters["samples_in"] == run * len(x)
        assert counters["samples_pending"] == counters["samples_dropped"] == 0


def test_tags_cut_the_stream_and_describe_its_windows():
    tags = [
        tag(0, "rx_time", rx_time(100, 0.25)),
        tag(0, "rx_freq", pmt.from_double(433e6)),
        tag(0, "rx_rate", pmt.from_double(1e6)),
        tag(33, "rx_freq", pmt.from_double(433e6)),  # says nothing new, as an integer neither
        tag(35, "rx_freq", pmt.from_long(433_000_000)),
        tag(36, "rx_freq", pmt.from_uint64(433_000_000)),
        tag(37, "rx_freq", pmt.from_complex(433e6)),
        tag(37, "rx_rate", pmt.from_uint64(1_000_000)),
        tag(45, "rx_time", rx_time(100, 0.75)),  # after an overflow
        tag(45, "rx_freq", pmt.from_double(433e6)),
        tag(71, "rx_freq", pmt.from_double(868e6)),
        tag(75, "rx_time", pmt.from_double(1.0)),  # malformed
        tag(76, "rx_freq", pmt.intern("868 MHz")),
        tag(77, "rx_rate", pmt.PMT_NIL),
        tag(78, "rx_time", pmt.make_tuple(pmt.from_uint64(100), pmt.from_double(float("nan")))),
        tag(79, "packet_len", pmt.from_long(3)),
    ]
    x = np.arange(100).astype(np.complex64)
    top = Flowgraph(
        blocks.vector_source_c(x, False, 1, tags),
        consumer=False,
        window_samples=10,
        hop_samples=10,
        capacity_batches=50,
    )
    top.run()
    samples, info = drain(top.batcher)
    expected = [0, 10, 20, 30, 45, 55, 71, 81]
    assert info["first_sample"].tolist() == expected
    np.testing.assert_array_equal(samples, [x[s : s + 10] for s in expected])
    assert info["rx_freq_hz"].tolist() == [433e6] * 6 + [868e6] * 2
    assert info["rx_rate_hz"].tolist() == [1e6] * 8
    assert info["has_time"].all() and set(info["rx_time_full_s"]) == {100}
    assert info["rx_time_frac_s"].tolist() == [0.25] * 4 + [0.75] * 4
    assert info["rx_time_sample"].tolist() == [0] * 4 + [45] * 4
    assert top.batcher.counters()["samples_flushed"] == 5 + 6 + 9


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("consumer", [False, True])
def test_start_and_stop_many_times(policy, consumer):
    threads = thread_count()
    top = Flowgraph(
        blocks.vector_source_c([1] * 1024, True),
        consumer=consumer,
        window_samples=128,
        hop_samples=100,
        batch_windows=16,
        policy=policy,
    )
    for run in range(50):
        top.start()
        time.sleep(0.001 * (run % 4))  # also in the middle of a batch, and at once
        assert_adds_up(top.batcher.counters())
        top.stop()
        top.wait()
        assert top.batcher.closed() and not top.batcher.stream_ended()
        assert_adds_up(top.batcher.counters())
    if consumer:
        assert top.consumer.calls == ["start", "stop"] * 50
        assert top.batcher.counters()["samples_pending"] == 0
    # The kernel lists a joined thread for a moment; fewer, if an earlier test's were still leaving.
    until(lambda: thread_count() <= threads)


def test_the_counters_add_up_while_all_is_moving():
    for policy in POLICIES:
        top = Flowgraph(
            blocks.null_source(gr.sizeof_gr_complex),
            window_samples=64,
            hop_samples=17,
            batch_windows=5,
            policy=policy,
        )
        top.start()
        looks, counters = 0, top.batcher.counters()
        while looks < 300 or not (counters["windows_gated"] and counters["windows_classified"]):
            looks += 1
            counters = top.batcher.counters()
            assert_adds_up(counters)
            top.batcher.set_gate_dbfs(-INF if looks // 10 % 2 else -60.0)  # silence: all or nothing
        top.stop()
        top.wait()
        assert_adds_up(top.batcher.counters())


def test_dropping_never_holds_up_the_stream():
    for policy in ("drop_oldest", "drop_newest"):
        x = np.ones(200_000, np.complex64)
        top = Flowgraph(
            blocks.vector_source_c(x),
            consumer=False,
            window_samples=100,
            hop_samples=100,
            batch_windows=10,
            policy=policy,
        )
        top.run()
        counters = top.batcher.counters()
        assert counters["samples_dropped"] == len(x) - 4 * 10 * 100
        assert top.batcher.stream_ended()
        assert top.batcher.discard_pending() == 40
        assert top.batcher.finished()


def test_a_flowgraph_is_reconfigured_while_it_waits():
    """lock() and unlock() end a wait of work() in the middle of its samples; none is lost."""
    top = Flowgraph(
        blocks.vector_source_c([1] * 1024, True), False,
        window_samples=64, hop_samples=48, batch_windows=4, capacity_batches=3,
    )  # fmt: skip
    top.start()
    windows = 0
    for _ in range(20):
        for _ in range(5):
            if (batch := top.batcher.take(60)) is not None:
                windows += len(batch)
                batch.release()
        top.lock()
        top.unlock()
    top.stop()
    top.wait()
    windows += len(starts(top.batcher))
    counters = top.batcher.counters()
    assert counters["windows_classified"] == windows > 100
    assert counters["samples_pending"] == 0
    assert_adds_up(counters)


def test_another_start_counts_from_zero_and_forgets_tags():
    tags = [tag(3, "rx_time", rx_time(1, 0.0)), tag(15, "rx_freq", pmt.from_double(1e8))]
    top = Flowgraph(
        blocks.vector_source_c([1] * 25, False, 1, tags), False,
        window_samples=10, hop_samples=10, capacity_batches=8,
    )  # fmt: skip
    for _ in range(2):
        top.source.rewind()
        top.run()
    info = drain(top.batcher)[1]
    assert info["first_sample"].tolist() == [3, 15] * 2
    assert info["rx_time_sample"].tolist() == [3] * 4
    np.testing.assert_array_equal(info["rx_freq_hz"], [np.nan, 1e8] * 2)
    assert top.batcher.counters()["samples_in"] == 50


def test_a_stream_that_stood_still_tells_for_how_long():
    top = Flowgraph(blocks.vector_source_c([1] * 100_000), False, window_samples=64, hop_samples=64)
    assert top.batcher.longest_stall_s() == 0
    top.start()
    time.sleep(0.1)  # nobody takes: work() waits
    while not top.batcher.finished():
        top.batcher.take(0.1)
    top.wait()
    assert top.batcher.longest_stall_s() >= 0.05


def test_a_consumer_may_end_the_flowgraph():
    top = Flowgraph(
        blocks.vector_source_c([1] * 1024, True), False, window_samples=64, hop_samples=64
    )
    top.start()
    assert len(top.batcher.take(30)) == 1
    top.batcher.close()
    top.wait()
    assert not top.batcher.stream_ended()


# --- the receiver's clock -------------------------------------------------------------------------


def starts_with_times(
    times_s: list[tuple[int, float]], every: int, *, rate_hz: float | None, first_s: int = 0
) -> list[int]:
    """First samples of the windows (L = 128) of a ring that hears a time every so many samples.

    Args:
        times_s: whole seconds and their fraction, one for each stretch of `every` samples.
    """
    ring = window_ring(128, 128, 1, 256)
    if rate_hz is not None:
        ring.mark_rate(rate_hz)
    for full_s, frac_s in times_s:
        ring.mark_time(first_s + full_s, frac_s)
        ring.push(ring.position(), np.ones(every, np.complex64))
    ring.close()
    return starts(ring)


def test_times_that_agree_with_the_clock_do_not_cut():
    """A receiver that tells its time every 100 samples: windows of 128 come all the same."""
    times = [(0, n * 100 / 1e6) for n in range(30)]
    assert starts_with_times(times, 100, rate_hz=1e6) == list(range(0, 3000 - 127, 128))


def test_an_agreeing_time_leaves_what_is_known_of_the_windows():
    ring = window_ring(128, 128, 1, 64)
    ring.mark_rate(1e6)
    for n in range(20):
        ring.mark_time(7, 0.25 + n * 1e-4)
        ring.push(ring.position(), np.ones(100, np.complex64))
    info = drain(ring)[1]
    assert set(info["rx_time_sample"]) == {0}
    assert set(info["rx_time_full_s"]) == {7} and set(info["rx_time_frac_s"]) == {0.25}


@pytest.mark.parametrize("rate_hz", [1e3, 1e6, 61.44e6])
def test_times_rounded_to_a_double_or_to_a_sample_agree(rate_hz):
    rng = np.random.default_rng(2)
    now_s = 1_790_000_000
    doubles = [float(now_s + n * 100 / rate_hz) for n in range(200)]  # steps of 0.24 us
    times = [(int(t) - now_s, t % 1) for t in doubles]
    every = list(range(0, 200 * 100 - 127, 128))
    assert starts_with_times(times, 100, rate_hz=rate_hz, first_s=now_s) == every
    rounded = np.arange(200) * 100 + rng.uniform(-0.5, 0.5, 200)  # behind a decimator
    times = [(int(t), float(t % 1)) for t in rounded / rate_hz + 5]
    assert starts_with_times(times, 100, rate_hz=rate_hz) == every


@pytest.mark.parametrize("lost_samples", [2, 300, -50, 10**9])
def test_a_time_that_jumps_cuts_there(lost_samples):
    times = [(5, n * 1e-4 + (n >= 10) * lost_samples / 1e6) for n in range(20)]
    before, behind = range(0, 1000 - 127, 128), range(1000, 2000 - 127, 128)
    assert starts_with_times(times, 100, rate_hz=1e6) == [*before, *behind]


def test_a_clock_that_runs_slowly_away_is_followed():
    """100 ppm beside the rate it tells: every 15000 samples it starts anew, and is never wrong."""
    rate_hz, ppm = 1e6, 100e-6
    ring = window_ring(128, 128, 1, 1024)
    ring.mark_rate(rate_hz)
    for n in range(1000):
        ring.mark_time(0, n * 1e-4 * (1 + ppm))
        ring.push(ring.position(), np.ones(100, np.complex64))
    info = drain(ring)[1]
    assert len(info) > 770  # of 781 without a cut
    since = info["first_sample"] - info["rx_time_sample"]
    told_s = info["rx_time_full_s"] + info["rx_time_frac_s"] + since / rate_hz
    true_s = info["first_sample"] / rate_hz * (1 + ppm)
    assert np.abs(told_s - true_s).max() < 1.6 / rate_hz


def test_without_a_rate_the_clock_is_measured():
    """The second time cuts, since nothing says what it should be; so does one behind a gap."""
    times = [(5, n * 1e-4 + (n >= 10) * 0.5) for n in range(20)]
    assert starts_with_times(times, 100, rate_hz=None) == [
        *range(100, 1000 - 127, 128),
        *range(1100, 2000 - 127, 128),
    ]


def test_the_time_goes_on_where_the_rate_changes():
    ring = window_ring(128, 128, 1, 64)
    ring.mark_time(7, 0.75)
    ring.mark_rate(1e3)
    ring.push(0, np.ones(500, np.complex64))
    ring.mark_rate(2e3)
    ring.push(500, np.ones(128, np.complex64))
    last = drain(ring)[1][-1]
    assert last["first_sample"] == last["rx_time_sample"] == 500
    assert (last["rx_time_full_s"], last["rx_time_frac_s"]) == (8, 0.25)


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(1, 3000), st.integers(-3, 3)), max_size=30),
    rate_hz=st.sampled_from([250e3, 1e6]),
)
def test_no_window_spans_a_gap_and_nothing_else_cuts(pieces, rate_hz):
    """Against the truth: 40 samples, or twice, three times as many, are lost or come twice."""
    ring = window_ring(64, 64, 1, 2048)
    ring.mark_rate(rate_hz)
    received, segments = 0, []  # samples since the start, with those that were lost
    for count, lost in pieces:
        if lost or not segments:
            segments.append(ring.position())
        received += 40 * lost
        ring.mark_time(50 + received // int(rate_hz), received % int(rate_hz) / rate_hz)
        ring.push(ring.position(), np.ones(count, np.complex64))
        received += count
    segments.append(ring.position())
    expected = [n for edges in pairwise(segments) for n in range(edges[0], edges[1] - 63, 64)]
    assert starts(ring) == expected


def test_a_tag_of_time_every_hundred_samples_in_a_flowgraph():
    tags = [tag(0, "rx_rate", pmt.from_double(1e6))]
    tags += [tag(n, "rx_time", rx_time(100, n / 1e6)) for n in range(0, 2000, 100)]
    top = Flowgraph(
        blocks.vector_source_c(np.ones(2000, np.complex64), False, 1, tags),
        consumer=False,
        window_samples=128,
        hop_samples=128,
        capacity_batches=50,
    )
    top.run()
    assert starts(top.batcher) == list(range(0, 2000 - 127, 128))


# --- the packages around it -----------------------------------------------------------------------


def test_the_gnuradio_name_is_the_same_block():
    from gnuradio import tsddae

    assert tsddae.window_batcher is window_batcher
    assert "window_batcher" in dir(tsddae)


def test_without_gnuradio_the_error_says_what_to_install():
    code = "import sys; sys.modules['gnuradio'] = None; import gr_tsddae.bindings"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "the blocks need GNU Radio 3.10. Install it" in done.stderr
