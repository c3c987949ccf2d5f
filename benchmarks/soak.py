#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test whether a live flowgraph stays healthy with a network far too slow for the stream.

    .venv/bin/python benchmarks/soak.py --minutes 10
    xvfb-run -a .venv/bin/python benchmarks/soak.py --minutes 0.5      without a screen

The speed of the model on this machine is measured first. Then a stream of four times that rate
goes to the classifier (drop policy) and the recognition display. Recorded every half second:
memory, decisions that wait for their reader, the delay of a timer in Qt's event loop, and the fate
of samples. Ends with status 1 when memory or backlog grow, the window is slow to answer, or a
sample is unaccounted for. Writes benchmarks/results/soak.json.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import pmt
from gnuradio import blocks, gr
from PyQt5 import Qt

from gr_tsddae import Recognizer
from gr_tsddae import blocks as tsddae
from gr_tsddae.bench.machine import memory_mib
from gr_tsddae.bench.stream import adds_up
from verdict import conclude

WINDOW_SAMPLES = 128
SAMPLE_INTERVAL_S = 0.5
TICK_S = 0.02  # of the timer that tests the event loop
SETTLED = 0.2  # of the run: memory and backlog are compared with how they were then
MEMORY_LIMIT_MB = 16.0  # growth after that
BACKLOG_LIMIT = 20  # decisions waiting; two seconds of them
LAG_LIMIT_S = 0.5  # 99th percentile; more than that feels broken


class Reader(gr.basic_block):
    """Counts decisions."""

    def __init__(self):
        gr.basic_block.__init__(self, name="reader", in_sig=None, out_sig=None)
        self.decisions = 0
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.on_decision)

    def on_decision(self, message: pmt.pmt_base) -> None:
        self.decisions += 1


class Soak(gr.top_block):
    """Noise at a rate -> classifier (drop) -> display, reader."""

    def __init__(self, *, rate_hz: float, overlap: int, **classifier):
        gr.top_block.__init__(self, "soak")
        rng = np.random.default_rng(1)
        noise = (rng.normal(size=1 << 18) + 1j * rng.normal(size=1 << 18)).astype(np.complex64)
        self.source = blocks.vector_source_c(noise.tolist(), True)
        self.throttle = blocks.throttle(gr.sizeof_gr_complex, rate_hz)
        self.classifier = tsddae.classifier(
            hop_samples=WINDOW_SAMPLES // overlap, overflow="drop_oldest", sample_rate_hz=rate_hz,
            device="cpu", precision="float32", **classifier,
        )  # fmt: skip
        self.display = tsddae.qt_display()
        self.reader = Reader()
        self.connect(self.source, self.throttle, self.classifier)
        for port in ("decisions", "status"):
            self.msg_connect(self.classifier, port, self.display, port)
        self.msg_connect(self.classifier, "decisions", self.reader, "in")

    def backlog(self) -> int:
        """Count the messages waiting at the blocks that read decisions and status."""
        ports = ((self.reader, "in"), (self.display, "decisions"), (self.display, "status"))
        return sum(block.gateway.nmsgs(pmt.intern(port)) for block, port in ports)


def capability_windows_per_s(model: str, seconds: float = 3.0) -> float:
    """Measure the speed of the network alone on this machine."""
    recognizer = Recognizer(model, device="cpu", precision="float32")
    rng = np.random.default_rng(1)
    shape = (recognizer.batch_windows, recognizer.window_samples)
    windows = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    recognizer.window_probabilities(windows)
    count, began_s = 0, time.perf_counter()
    while time.perf_counter() < began_s + seconds:
        recognizer.window_probabilities(windows)
        count += len(windows)
    return count / (time.perf_counter() - began_s)


def soak(flowgraph: Soak, application: Qt.QApplication, seconds: float) -> dict[str, list]:
    """Run with the window open, and return the records by name."""
    window = flowgraph.display.qwidget()
    window.resize(900, 600)
    window.show()
    recorded: dict[str, list] = {
        name: [] for name in ("time_s", "memory_mb", "backlog", "lag_s", "decisions")
    }
    began_s = last_tick_s = time.monotonic()
    worst_lag_s = 0.0

    def tick() -> None:
        nonlocal last_tick_s, worst_lag_s
        now_s = time.monotonic()
        worst_lag_s = max(worst_lag_s, now_s - last_tick_s - TICK_S)
        last_tick_s = now_s

    def sample() -> None:
        nonlocal worst_lag_s
        elapsed_s = time.monotonic() - began_s
        recorded["time_s"].append(round(elapsed_s, 2))
        recorded["memory_mb"].append(round(memory_mib(), 1))
        recorded["backlog"].append(flowgraph.backlog())
        recorded["lag_s"].append(round(worst_lag_s, 4))  # the worst since the last sample
        recorded["decisions"].append(flowgraph.reader.decisions)
        worst_lag_s = 0.0
        if elapsed_s > seconds:
            application.quit()

    timers = []
    for interval_s, function in ((TICK_S, tick), (SAMPLE_INTERVAL_S, sample)):
        timer = Qt.QTimer()
        timer.setTimerType(Qt.Qt.PreciseTimer)
        timer.timeout.connect(function)
        timer.start(round(1000 * interval_s))
        timers.append(timer)
    flowgraph.start()
    application.exec_()
    for timer in timers:
        timer.stop()
    flowgraph.stop()
    flowgraph.wait()
    return recorded


def judged(recorded: dict[str, list], counters: dict[str, int]) -> tuple[dict, list[str]]:
    """Compute the results of a run, and list what is wrong with it, in words."""
    settled = int(SETTLED * len(recorded["time_s"]))
    memory, backlog = recorded["memory_mb"][settled:], recorded["backlog"][settled:]
    tenth = max(1, len(memory) // 10)
    figures = {
        "memory_growth_mb": round(float(np.median(memory[-tenth:]) - np.median(memory[:tenth])), 1),
        "memory_max_mb": max(memory),
        "backlog_max": max(backlog),
        "lag_p99_s": float(np.percentile(recorded["lag_s"][settled:], 99)),
        "lag_max_s": max(recorded["lag_s"][settled:]),
        "decisions_per_s": round(recorded["decisions"][-1] / recorded["time_s"][-1], 2),
        "dropped_share": round(counters["samples_dropped"] / max(1, counters["samples_in"]), 4),
        "counters_add_up": adds_up(counters),
    }
    found = []
    if figures["memory_growth_mb"] > MEMORY_LIMIT_MB:
        found.append(f"memory grew by {figures['memory_growth_mb']} MB")
    if figures["backlog_max"] > BACKLOG_LIMIT:
        found.append(f"{figures['backlog_max']} messages waited to be read")
    if figures["lag_p99_s"] > LAG_LIMIT_S:
        found.append(f"the window answered after {figures['lag_p99_s']} s")
    if not figures["counters_add_up"]:
        found.append("the counters do not add up")
    if not figures["decisions_per_s"]:
        found.append("there was no decision")
    if figures["dropped_share"] < 0.3:
        found.append(f"only {figures['dropped_share']:.0%} dropped: this was no overload")
    return figures, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="amc-small")
    parser.add_argument("--overload", type=float, default=4.0, help="times what the network can do")
    parser.add_argument("--overlap", type=int, default=4, help="windows that cover a sample")
    given = parser.parse_args()
    application = Qt.QApplication(sys.argv[:1])
    capable = capability_windows_per_s(given.model)
    rate_hz = given.overload * capable * WINDOW_SAMPLES / given.overlap
    print(f"{given.model} does {capable:.0f} windows/s here; the stream has {rate_hz:.0f} S/s, "
          f"windows overlap {given.overlap} times", flush=True)  # fmt: skip
    flowgraph = Soak(rate_hz=rate_hz, overlap=given.overlap, model=given.model)
    recorded = soak(flowgraph, application, 60 * given.minutes)
    counters = flowgraph.classifier.counters()
    figures, found = judged(recorded, counters)
    result = {
        "model": given.model,
        "minutes": given.minutes,
        "overload": given.overload,
        "overlap": given.overlap,
        "windows_per_s_alone": round(capable),
        "rate_samples_per_s": round(rate_hz),
        **figures,
        "counters": counters,
        "faults": found,
    }
    # A hundred points are enough to see a slope.
    step = max(1, len(recorded["time_s"]) // 100)
    return conclude(
        "soak", result, recorded={name: values[::step] for name, values in recorded.items()}
    )


if __name__ == "__main__":
    sys.exit(main())
