#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Survey block on a live stream: delay, load, losses and memory.

    .venv/bin/python benchmarks/survey_live.py --minutes 10
    .venv/bin/python benchmarks/survey_live.py --minutes 5 --dongle --retune-s 20
    .venv/bin/python benchmarks/survey_live.py --minutes 1 --flat-out

A synthetic scene of eight emitters is played over and over at its own rate. With --dongle the scene
is served as rtl_tcp serves a dongle, the stock osmosdr source takes it, and the receiver is
retuned. With --flat-out the stream waits for the survey, as fast as that is: then the CPU time for
a second of the stream counts, also on a computer that has other work. Measured: the time from the
arrival of an emission's first sample to its first message and to its first label (the slowest are
listed), the CPU time of the survey's threads and of the process, lost samples, and the memory that
the process has resident after 30 s and at the end. The benchmark itself keeps a fixed amount, and a
line per emission. Ends with status 1 when a sample is unaccounted for or memory grows. Writes
benchmarks/results/survey_live.json, or survey_live_dongle.json or survey_live_flat_out.json.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pmt
from gnuradio import blocks, gr

from dongle import Dongle
from gr_tsddae import blocks as tsddae
from gr_tsddae.bench.machine import memory_mib
from gr_tsddae.survey import DEFAULT_MODEL
from gr_tsddae.synth.scene import SCENES, make_scene
from gr_tsddae.synth.scene.files import write_scene
from verdict import conclude

CENTER_HZ = 433.92e6
RETUNE_HZ = 200e3  # up, and then down again
SCENE_S = 10.0
EMITTERS = 8
TICK_S = 0.25
SETTLED_S = 30.0  # after which everything is loaded: memory is compared with how it was then
MEMORY_LIMIT_MB = 32.0
CLOCK_SAMPLES = 4096  # in which a moment is noted, and of how many of these
CLOCK_KEPT = 1 << 16
SLOWEST = 5  # first labels that are listed
CPU_SHARES = ("cpu_share", "cpu_share_recognition")
PARTS = ("surveyed", "gated", "dropped", "flushed", "pending")


class Clock(gr.sync_block):
    """A sink that notes when samples arrive; it forgets the oldest."""

    def __init__(self):
        gr.sync_block.__init__(self, "clock", [np.complex64], None)
        self.times, self.count = np.zeros(CLOCK_KEPT), 0

    def work(self, input_items, output_items):
        count = (self.nitems_read(0) + len(input_items[0])) // CLOCK_SAMPLES
        self.times[np.arange(self.count, count) % CLOCK_KEPT] = time.monotonic()
        self.count = count
        return len(input_items[0])

    def arrival(self, sample: int) -> float | None:
        """Moment at which a sample had arrived; None when it has not, or that is forgotten."""
        at = sample // CLOCK_SAMPLES
        return (
            float(self.times[at % CLOCK_KEPT])
            if self.count - CLOCK_KEPT < at < self.count
            else None
        )


@dataclass
class Seen:
    """When an emission arrived, was told of and was labelled, and as what."""

    told_at: float
    arrived_at: float | None = None
    labelled_at: float | None = None
    what: str = ""


class Listener(gr.basic_block):
    """Keeps the moments of the first message and of the first label for each emission."""

    def __init__(self, clock: Clock):
        gr.basic_block.__init__(self, name="listener", in_sig=None, out_sig=None)
        self.clock = clock
        self.seen: dict[int, Seen] = {}
        self.status: dict = {}  # the latest
        self.statuses = 0
        self.shares = Counter()
        for port in ("emissions", "status"):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), getattr(self, f"on_{port}"))

    def on_emissions(self, message: pmt.pmt_base) -> None:
        now, said = time.monotonic(), pmt.to_python(message)
        seen = self.seen.setdefault(said["id"], Seen(now))
        # An emission may turn out to have begun earlier than was told at first.
        seen.arrived_at = self.clock.arrival(said["first_sample"]) or seen.arrived_at
        if said["probabilities"] and seen.labelled_at is None:
            seen.labelled_at = now
            seen.what = (
                f"{said['label']}, {said['center_hz'] / 1e6:.3f} MHz, "
                f"{said['bandwidth_hz'] / 1e3:.1f} kHz, {said['snr_db']:.1f} dB, "
                f"{said['start_s']:.3f} s to {said['stop_s']:.3f} s"
            )

    def on_status(self, message: pmt.pmt_base) -> None:
        self.status = pmt.to_python(message)
        self.statuses += 1
        self.shares.update({name: self.status[name] for name in CPU_SHARES})


class Live(gr.top_block):
    """Source -> Survey, clock; the survey's messages -> listener."""

    def __init__(
        self, rate_hz: float, model: str, *, port: int | None, path: Path, flat_out: bool = False
    ):
        gr.top_block.__init__(self, "live survey")
        self.survey = tsddae.survey(
            model=model, sample_rate_hz=rate_hz, center_frequency_hz=CENTER_HZ,
            overflow="block" if flat_out else "drop_oldest",
        )  # fmt: skip
        self.radio = None
        if port is None:
            self.file = blocks.file_source(gr.sizeof_gr_complex, str(path), True)
            self.source = (
                blocks.copy(gr.sizeof_gr_complex)
                if flat_out
                else blocks.throttle(gr.sizeof_gr_complex, rate_hz)
            )
            self.connect(self.file, self.source)
        else:
            import osmosdr

            self.radio = self.source = osmosdr.source(
                args=f"numchan=1 rtl_tcp=127.0.0.1:{port},psize=1048576"
            )
            self.radio.set_sample_rate(rate_hz)
            self.radio.set_center_freq(CENTER_HZ, 0)
            self.radio.set_gain_mode(False, 0)
            self.radio.set_gain(30, 0)
        self.clock = Clock()
        self.listener = Listener(self.clock)
        self.connect(self.source, self.survey)
        self.connect(self.source, self.clock)
        for name in ("emissions", "status"):
            self.msg_connect(self.survey, name, self.listener, name)

    def tune(self, hz: float) -> None:
        """Retune the receiver; it sends no tags, so the survey is told."""
        self.radio.set_center_freq(hz, 0)
        self.survey.set_center_frequency_hz(hz)


def run(flowgraph: Live, seconds: float, retune_s: float) -> dict[str, list[float]]:
    """Run for a while, and return the memory and the backlog over time."""
    recorded: dict[str, list[float]] = {"memory_mb": [], "lag_s": []}
    flowgraph.start()
    began = time.monotonic()
    due, up = began + retune_s, False
    while (now := time.monotonic()) < began + seconds:
        time.sleep(TICK_S)
        recorded["memory_mb"].append(memory_mib())
        recorded["lag_s"].append(flowgraph.listener.status.get("lag_s", 0.0))
        if flowgraph.radio is not None and retune_s and now >= due:
            due, up = now + retune_s, not up
            flowgraph.tune(CENTER_HZ + RETUNE_HZ * up)
    flowgraph.stop()
    flowgraph.wait()
    return recorded


def delays(flowgraph: Live, moment: str) -> dict[str, float | int | list[str]]:
    """Delays from the arrival of emissions' first samples to a moment: percentiles, the slowest."""
    found = sorted(
        (
            (getattr(seen, moment) - seen.arrived_at, f"{number}: {seen.what}")
            for number, seen in flowgraph.listener.seen.items()
            if getattr(seen, moment) is not None and seen.arrived_at is not None
        ),
        reverse=True,
    )
    if not found:
        return {"count": 0}
    p50, p99 = np.percentile([delay_s for delay_s, _ in found], (50, 99))
    return {
        "count": len(found),
        "p50_s": round(p50, 3),
        "p99_s": round(p99, 3),
        "slowest": [f"{delay_s:.3f} s, {what}" for delay_s, what in found[:SLOWEST]],
    }


def measured(flowgraph: Live, recorded: dict[str, list[float]], cores: float) -> dict:
    """The results of a run."""
    counters, listener = flowgraph.survey.counters(), flowgraph.listener
    status, memory_mb = listener.status, recorded["memory_mb"]
    # The middle of some seconds: memory goes up and down with what is on the air.
    some = round(min(SETTLED_S, len(memory_mb) * TICK_S / 2) / TICK_S)
    settled_mb, last_mb = (
        float(np.median(part)) for part in (memory_mb[some // 2 : some], memory_mb[-some // 2 :])
    )
    return {
        "to_the_first_message": delays(flowgraph, "told_at"),
        "to_the_first_label": delays(flowgraph, "labelled_at"),
        **{name: round(listener.shares[name] / listener.statuses, 3) for name in CPU_SHARES},
        "cpu_cores_of_the_process": round(cores, 2),
        **{
            name: status[name]
            for name in (
                "updates_skipped",
                "recognitions",
                "recognitions_skipped",
                "errors",
                "last_error",
            )
        },
        "lag_max_s": round(max(recorded["lag_s"]), 3),
        "dropped_share": counters["samples_dropped"] / max(1, counters["samples_in"]),
        "memory_settled_mb": round(settled_mb, 1),
        "memory_at_the_end_mb": round(last_mb, 1),
        "memory_growth_mb": round(last_mb - settled_mb, 1),
        "counters_add_up": counters["samples_in"] == sum(counters[f"samples_{p}"] for p in PARTS),
        "counters": counters,
    }


def faults(result: dict) -> list[str]:
    """List what is wrong with a run, in words."""
    found = []
    if not result["counters_add_up"]:
        found.append("the counters do not add up")
    if result["memory_growth_mb"] > MEMORY_LIMIT_MB:
        found.append(f"memory grew by {result['memory_growth_mb']} MB")
    if result["errors"]:
        found.append(f"{result['errors']} errors, the last: {result['last_error']}")
    if not result["to_the_first_message"]["count"]:
        found.append("no emission was found")
    return found


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Run once, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=2.4e6)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--recipe", default="mixed", choices=sorted(SCENES))
    parser.add_argument("--seed", type=int, default=5000)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--dongle", action="store_true", help="by rtl_tcp and osmosdr")
    source.add_argument("--flat-out", action="store_true", help="the stream waits for the survey")
    parser.add_argument("--retune-s", type=float, default=0.0, help="with --dongle; 0: never")
    given = parser.parse_args()
    scene = make_scene(
        SCENES[given.recipe], seconds=SCENE_S, rate_hz=given.rate, emitters=EMITTERS,
        seed=given.seed,
    )  # fmt: skip
    seconds = 60 * given.minutes
    load = os.getloadavg()[0]  # of others: the figures mean little above 0.2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene"
        if given.dongle:
            recording = write_scene(scene, path)
            del scene
            with Dongle(
                recording, recording_rate=given.rate, recording_frequency=CENTER_HZ
            ) as dongle:
                flowgraph = Live(given.rate, given.model, port=dongle.port, path=path)
                cpu_s = _cpu_s()
                recorded = run(flowgraph, seconds, given.retune_s)
        else:
            scene.iq.astype(np.complex64).tofile(path)
            del scene
            flowgraph = Live(given.rate, given.model, port=None, path=path, flat_out=given.flat_out)
            cpu_s = _cpu_s()
            recorded = run(flowgraph, seconds, 0.0)
        cores = (_cpu_s() - cpu_s) / seconds
    result = {
        **{name: getattr(given, name) for name in ("model", "rate", "recipe", "seed", "minutes")},
        "retune_s": given.retune_s,
        "load_before": round(load, 2),
        **measured(flowgraph, recorded, cores),
    }
    surveyed_s = result["counters"]["samples_surveyed"] / given.rate
    result["surveyed_s"] = round(surveyed_s, 1)
    result["cpu_s_per_s"] = round(cores * seconds / max(surveyed_s, 1e-9), 3)
    result["faults"] = faults(result)
    kind = "_dongle" if given.dongle else "_flat_out" if given.flat_out else ""
    return conclude(f"survey_live{kind}", result)


if __name__ == "__main__":
    sys.exit(main())
