#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio at 2.4 MS/s, from its network socket to decisions.

    .venv/bin/python benchmarks/live_radio.py RECORDING --truth WBFM --signal-hz 250e3

The recording is served as rtl_tcp serves a dongle. The stock osmosdr source takes it; a filter
brings the signal to 0 Hz and to the model's rate; the classifier drops windows that it has no time
for. Measured: whether the source took its samples at the nominal rate (a source that is held up
loses samples), the fate of every sample, and the decisions. Ends with status 1 when one of them is
wrong. Writes benchmarks/results/live_radio.json.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import osmosdr
import pmt
from gnuradio import filter, gr
from gnuradio.filter import firdes

from dongle import Dongle
from gr_tsddae import blocks as tsddae
from gr_tsddae.bench.stream import adds_up
from gr_tsddae.iq.captures import open_capture
from verdict import conclude

RATE_TOLERANCE = 0.01
SETTLE_S = 2.0
# osmosdr 0.2.4 reads as much as the next block has room for into a buffer of this many bytes and
# does not look whether it fits: its default is too small for a filter with a large decimation.
DEVICE = "numchan=1 rtl_tcp=127.0.0.1:{port},psize=1048576"


class Decisions(gr.basic_block):
    """Keeps the decisions."""

    def __init__(self):
        gr.basic_block.__init__(self, name="decisions", in_sig=None, out_sig=None)
        self.kept: list[dict] = []
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.on_decision)

    def on_decision(self, message: pmt.pmt_base) -> None:
        self.kept.append(pmt.to_python(message))


class LiveRadio(gr.top_block):
    """osmosdr source -> tune, filter, decimate -> classifier.

    Args:
        port: Where the dongle is served.
        center_hz: Frequency the dongle is tuned to.
        rate_hz: Rate of the dongle.
        signal_hz: Offset of the signal in its band.
        decimation: From the dongle's rate to the model's.
        classifier: Further arguments of the classifier block.
    """

    def __init__(
        self, port: int, *, center_hz: float, rate_hz: float, signal_hz: float, decimation: int,
        **classifier,
    ):  # fmt: skip
        gr.top_block.__init__(self, "live radio")
        self.decimation = decimation
        model_rate_hz = rate_hz / decimation
        # Made first: the dongle sends from the moment it is opened.
        self.classifier = tsddae.classifier(
            sample_rate_hz=model_rate_hz, center_frequency_hz=center_hz + signal_hz, **classifier
        )
        taps = firdes.low_pass(1, rate_hz, 0.4 * model_rate_hz, 0.1 * model_rate_hz)
        self.tune = filter.freq_xlating_fir_filter_ccf(decimation, taps, signal_hz, rate_hz)
        self.decisions = Decisions()
        self.source = osmosdr.source(args=DEVICE.format(port=port))
        self.source.set_sample_rate(rate_hz)
        self.source.set_center_freq(center_hz, 0)
        self.source.set_gain_mode(False, 0)
        self.source.set_gain(30, 0)
        self.connect(self.source, self.tune, self.classifier)
        self.msg_connect(self.classifier, "decisions", self.decisions, "in")


def measure(dongle: Dongle, flowgraph: LiveRadio, *, seconds: float) -> dict[str, object]:
    """Run for a while; measure rates after the flowgraph has settled."""
    flowgraph.start()
    time.sleep(SETTLE_S)
    told: list[tuple[dict, int]] = []  # the dongle's status, and the samples taken by then
    cpu_s, began_s = _cpu_s(), time.monotonic()
    while time.monotonic() < began_s + seconds or len(told) < 3:
        said = dongle.next_status()
        told.append((said, flowgraph.classifier.counters()["samples_in"] * flowgraph.decimation))
    cpu_s = (_cpu_s() - cpu_s) / (time.monotonic() - began_s)
    flowgraph.stop()
    flowgraph.wait()
    counters = flowgraph.classifier.counters()
    (first, first_in), (last, last_in) = told[0], told[-1]
    elapsed_s = last["now_s"] - first["now_s"]
    in_flight = sorted(said["bytes_sent"] // 2 - taken for said, taken in told)
    return {
        "seconds": round(elapsed_s, 2),
        "rate_hz": last["settings"]["sample_rate_hz"],
        "sent_samples_per_s": round((last["bytes_sent"] - first["bytes_sent"]) / 2 / elapsed_s),
        "taken_samples_per_s": round((last_in - first_in) / elapsed_s),
        "waited_for_the_source_s": round(last["waited_s"] - first["waited_s"], 3),
        "dongle_behind_max_s": round(max(said["behind_s"] for said, _ in told), 3),
        "samples_lost": last["samples_lost"] - first["samples_lost"],
        "in_flight_samples": {
            "first": first["bytes_sent"] // 2 - first_in,
            "last": last["bytes_sent"] // 2 - last_in,
            "median": in_flight[len(in_flight) // 2],
            "max": in_flight[-1],
        },
        "cpu_cores": round(cpu_s, 2),
        "labels": dict(Counter(d["label"] for d in flowgraph.decisions.kept).most_common()),
        "counters_add_up": adds_up(counters),
        "counters": counters,
        "dongle": last,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def faults(measured: dict, *, truth: str | None) -> list[str]:
    """List what is wrong with a run, in words."""
    found = []
    for name in ("sent_samples_per_s", "taken_samples_per_s"):
        ratio = measured[name] / measured["rate_hz"]
        if abs(ratio - 1) > RATE_TOLERANCE:
            found.append(f"{name} is {ratio:.2%} of the nominal rate")
    if measured["waited_for_the_source_s"] > RATE_TOLERANCE * measured["seconds"]:
        found.append(f"the source was held up for {measured['waited_for_the_source_s']} s")
    if not measured["counters_add_up"]:
        found.append("the counters do not add up")
    if measured["samples_lost"]:
        found.append(f"{measured['samples_lost']} samples lost before the source")
    if measured["in_flight_samples"]["max"] > measured["rate_hz"]:
        found.append(f"more than a second is in flight: {measured['in_flight_samples']}")
    labels = measured["labels"]
    named = sum(count for label, count in labels.items() if label != "noise")
    if truth and labels.get(truth, 0) < 0.9 * max(1, named):
        found.append(f"less than 90 % of the decisions that name a signal say {truth}: {labels}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--truth", help="what the recording holds")
    parser.add_argument("--recording-rate", type=float, help="Hz, where it does not say it")
    parser.add_argument("--recording-frequency", type=float, help="Hz, likewise")
    parser.add_argument("--signal-hz", type=float, default=250e3, help="in the dongle's band")
    parser.add_argument("--decimation", type=int, default=10)
    parser.add_argument("--rate", type=float, default=2.4e6)
    parser.add_argument("--model", default="amc-nano")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    with open_capture(
        given.recording, sample_rate_hz=given.recording_rate,
        center_frequency_hz=given.recording_frequency,
    ) as capture:  # fmt: skip
        center_hz = capture.center_frequency_hz or 100e6  # where none is known, any will do
        rate_hz = capture.sample_rate_hz
    with Dongle(given.recording, recording_rate=rate_hz, recording_frequency=center_hz) as dongle:
        flowgraph = LiveRadio(
            dongle.port,
            center_hz=center_hz - given.signal_hz,
            rate_hz=given.rate,
            signal_hz=given.signal_hz,
            decimation=given.decimation,
            model=given.model,
        )
        measured = measure(dongle, flowgraph, seconds=given.seconds)
    result = {
        "recording": given.recording.name,
        "truth": given.truth,
        **measured,
        "faults": faults(measured, truth=given.truth),
    }
    return conclude("live_radio", result)


if __name__ == "__main__":
    sys.exit(main())
