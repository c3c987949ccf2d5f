# SPDX-License-Identifier: GPL-3.0-or-later
"""A dongle on the network, the stock osmosdr source, a filter, the classifier: the whole chain."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import live_radio
from dongle import Dongle

FULL_RATE_HZ = 2.4e6
RATE_HZ = 240e3


def test_a_satellite():
    """BPSK at 1200 Bd lies 25 kHz off the centre of the band; between bursts there is noise.

    The machine may be busy, so the dongle is a slow one, and what a person sees on an idle machine
    (the full rate, no wait at all) is left to benchmarks/live_radio.py. Here nothing may be lost,
    and all is accounted for.
    """
    recording = ROOT / "examples" / "data" / "bpsk-pwsat2.sigmf-meta"
    with Dongle(recording, recording_frequency=437e6) as dongle:
        flowgraph = live_radio.LiveRadio(
            dongle.port,
            center_hz=437e6 - 25e3,
            rate_hz=RATE_HZ,
            signal_hz=25e3,
            decimation=25,
            model="amc-nano",
            decision_interval_s=0.5,
        )
        measured = live_radio.measure(dongle, flowgraph, seconds=7.0)
    assert measured["dongle"]["settings"]["sample_rate_hz"] == RATE_HZ
    assert measured["dongle"]["settings"]["frequency_hz"] == 437e6 - 25e3
    assert measured["samples_lost"] == 0
    assert measured["counters_add_up"]
    counters = measured["counters"]
    assert counters["samples_pending"] == 0
    assert counters["windows_dropped"] < 40  # of 75 a second: what had just come at the end
    assert counters["windows_classified"] + counters["windows_dropped"] == counters["windows_in"]
    labels = Counter(measured["labels"])
    assert labels["BPSK"] >= 3  # two thirds of the recording are bursts
    assert labels["BPSK"] + labels["noise"] >= 0.8 * labels.total()


def test_a_filter_with_a_long_history_does_not_overrun_the_source():
    """osmosdr 0.2.4 fills a buffer of `psize` bytes with whatever the next block has room for."""
    recording = ROOT / "examples" / "data" / "bpsk-pwsat2.sigmf-meta"
    with Dongle(recording, recording_frequency=437e6) as dongle:
        flowgraph = live_radio.LiveRadio(
            dongle.port, center_hz=437e6, rate_hz=FULL_RATE_HZ, signal_hz=0.0, decimation=1200,
            model="amc-nano",
        )  # fmt: skip
        assert len(flowgraph.tune.taps()) > 16384
        flowgraph.start()
        for _ in range(4):
            assert dongle.next_status()["samples_lost"] == 0
        flowgraph.stop()
        flowgraph.wait()
    assert flowgraph.classifier.counters()["samples_in"] > 200
