# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which an example ends: nothing keeps running, and every sample is accounted for.

The examples for radios end so in test_radio_examples.py.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
pytest.importorskip("pyqtgraph", reason="pyqtgraph is not installed")
from ending_example import Ends, assert_exact
from radio_example import STATION_HZ, station

from gr_tsddae.synth.__main__ import main as synth

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from dongle import Dongle


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Makes an example, and kills it."""
    monkeypatch.setenv("HOME", str(tmp_path))  # where the size of windows is kept
    made = []

    def make(name: str) -> Ends:
        made.append(Ends(name, tmp_path))
        return made[-1]

    yield make
    for one in made:
        if one.process:
            one.process.kill()


def test_at_the_end_of_the_file_all_of_it_was_looked_at(example):
    replay = example("file_replay")
    source = replay.block("blocks_file_source_0")["parameters"]
    source["repeat"], source["length"] = "False", "20000"
    replay.block("tsddae_classifier_0")["parameters"]["overflow"] = "block"  # the file can wait
    replay.run("tsddae_classifier_0", closes_at=20000)
    assert_exact(counters := replay.counters())
    assert counters["samples_in"] == 20000
    assert counters["samples_classified"] > 19_000 and counters["samples_dropped"] == 0


# Companion writes the same lines for all: what differs is how blocks stop. So one end for each.
@pytest.mark.parametrize(
    ("name", "watched", "end"),
    [
        ("file_replay", "tsddae_classifier_0", "Ctrl-C"),
        ("file_replay", "tsddae_classifier_0", "SIGTERM"),
        ("loopback", "tsddae_classifier_0", "window"),
        ("lte_replay", "classifier", "Ctrl-C"),
        ("survey_file", "survey", "SIGTERM"),
        ("record_teach_reload", "tsddae_classifier_0", "window"),
        ("survey_teach", "survey", "Ctrl-C"),
        ("denoise", "tsddae_denoiser_0", "SIGTERM"),
        ("anomaly", "tsddae_anomaly_detector_0", "window"),
        ("rml_replay", "tsddae_classifier_0", "Ctrl-C"),
    ],
)
def test_every_example_ends(name, watched, end, example, tmp_path):
    running = example(name)
    if name == "rml_replay":
        assert synth(["rml2016a", str(tmp_path / "stand-in.pkl"), "--windows", "20"]) == 0
    running.run(watched, closes_at=1024 if end == "window" else 0)
    if end == "window":
        assert_exact(running.counters())
    else:
        running.wait_until_it_runs()
        running.end_by(signal.SIGINT if end == "Ctrl-C" else signal.SIGTERM)


def test_a_station_without_a_window_ends_though_its_rtl_tcp_server_has_gone(example, tmp_path):
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    recording = tmp_path / "station.cf32"
    station(250e3, 0.5).tofile(recording)
    running = example("headless_station")
    with Dongle(recording, recording_rate=250e3, recording_frequency=STATION_HZ) as dongle:
        running.run(
            "classifier", device_args=dongle.device, frequency_hz=STATION_HZ, folder=tmp_path,
            address=f"ipc://{tmp_path}/decisions",  # whoever has one running has the default
        )  # fmt: skip
        running.wait_until_it_runs()
        running.end_without(dongle)
