# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which an example ends: nothing keeps running, and every sample is accounted for.

The programs are those that grcc makes. A few lines around them close the window, or print the
classifier's counters at the end.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
pytest.importorskip("pyqtgraph", reason="pyqtgraph is not installed")
from radio_example import PATIENCE_S, STATION_HZ, Example, station

from gr_tsddae.synth.__main__ import main as synth

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from dongle import Dongle

AROUND = """
import importlib, json, sys, threading, time

module, watched, closes_at = importlib.import_module(sys.argv[1]), sys.argv[2], int(sys.argv[3])

class Watched(getattr(module, sys.argv[1])):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        Watched.top = self
        threading.Thread(target=self.look, daemon=True).start()

    def look(self):
        said = False
        while True:
            time.sleep(0.05)
            counters = getattr(self, watched).counters()
            looked_at = sum(counters.get(f"samples_{how}", 0) for how in ("classified", "surveyed"))
            if looked_at >= 1024 and not said:
                said = True
                print("runs", flush=True)
            if closes_at and looked_at and counters["samples_in"] >= closes_at:
                from PyQt5.QtCore import QMetaObject, Qt
                QMetaObject.invokeMethod(self, "close", Qt.QueuedConnection)
                return

sys.argv = [sys.argv[0], *sys.argv[4:]]
options = [module.argument_parser().parse_args()] if hasattr(module, "argument_parser") else []
module.main(Watched, *options)
print(json.dumps(getattr(Watched.top, watched).counters()), flush=True)
"""


class Ends(Example):
    """An example with a few lines around it."""

    def run(self, watched: str, closes_at: int = 0, **options: object) -> None:
        self.compile()
        arguments = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
        command = [sys.executable, "-u", "-c", AROUND, self.name, watched, str(closes_at)]
        # Where pytest runs in the background of a shell, its children would not hear of Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with (self.folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                [*command, *arguments], cwd=self.folder, stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def wait_until_it_runs(self) -> None:
        deadline_s = time.monotonic() + 3 * PATIENCE_S
        while "runs\n" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline_s, self.output
            time.sleep(0.05)

    def counters(self) -> dict[str, int]:
        """When it has ended, and nothing has gone wrong."""
        assert self.process.wait(timeout=3 * PATIENCE_S) == 0, self.output
        assert "Traceback" not in self.output
        return json.loads(self.output.splitlines()[-1])


@pytest.fixture
def replay(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where the size of windows is kept
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    made = Ends("file_replay", tmp_path)
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()


def assert_exact(counters: dict[str, int]) -> None:
    fates = ("classified", "surveyed", "gated", "dropped", "flushed", "pending")
    assert counters["samples_in"] == sum(counters.get(f"samples_{fate}", 0) for fate in fates)
    assert counters["samples_pending"] == 0


def test_a_closed_window_ends_it(replay):
    replay.run("tsddae_classifier_0", closes_at=9600)
    assert_exact(counters := replay.counters())
    assert counters["samples_in"] >= 9600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_it(replay, number):
    replay.run("tsddae_classifier_0")
    replay.wait_until_it_runs()
    replay.process.send_signal(number)
    assert_exact(replay.counters())


def test_at_the_end_of_the_file_all_of_it_was_looked_at(replay):
    source = replay.block("blocks_file_source_0")["parameters"]
    source["repeat"], source["length"] = "False", "20000"
    replay.block("tsddae_classifier_0")["parameters"]["overflow"] = "block"  # the file can wait
    replay.run("tsddae_classifier_0", closes_at=20000)
    assert_exact(counters := replay.counters())
    assert counters["samples_in"] == 20000
    assert counters["samples_classified"] > 19_000 and counters["samples_dropped"] == 0


# grcc writes the same lines for all: what differs is how blocks stop. So one end for each.
@pytest.mark.parametrize(
    ("name", "watched", "end"),
    [
        ("loopback", "tsddae_classifier_0", "window"),
        ("lte_replay", "classifier", "Ctrl-C"),
        ("survey_file", "survey", "SIGTERM"),
        ("record_teach_reload", "tsddae_classifier_0", "window"),
        ("survey_teach", "survey", "Ctrl-C"),
        ("denoise", "tsddae_denoiser_0", "SIGTERM"),
        ("anomaly", "tsddae_anomaly_detector_0", "window"),
        ("rml_replay", "tsddae_classifier_0", "Ctrl-C"),
        ("rtl_sdr_soapy", "classifier", "SIGTERM"),
        ("usrp", "classifier", "window"),
        ("survey_rtl_sdr_soapy", "survey", "Ctrl-C"),
        ("survey_usrp", "survey", "SIGTERM"),
    ],
)
def test_every_example_ends(name, watched, end, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    running, options = Ends(name, tmp_path), {}
    if name == "rml_replay":
        assert synth(["rml2016a", str(tmp_path / "stand-in.pkl"), "--windows", "20"]) == 0
    elif "usrp" in name or "soapy" in name:
        options = {"sample_rate_hz": 1e6}
        station(1e6, 0.4).tofile(tmp_path / "air.cf32")
        running.replace_radio(tmp_path / "air.cf32")
    try:
        running.run(watched, closes_at=1024 if end == "window" else 0, **options)
        if end != "window":
            running.wait_until_it_runs()
            running.process.send_signal(signal.SIGINT if end == "Ctrl-C" else signal.SIGTERM)
        assert_exact(running.counters())
    finally:
        running.process.kill()


@pytest.mark.parametrize(
    ("name", "watched", "options"),
    [
        ("rtl_sdr", "classifier", {"frequency_hz": STATION_HZ}),
        ("survey_rtl_sdr", "survey", {"frequency_hz": STATION_HZ, "model": "none"}),
        ("fm_band_walk", "classifier", {"start_hz": STATION_HZ, "stop_hz": STATION_HZ}),
        ("headless_station", "classifier", {"frequency_hz": STATION_HZ}),
    ],
)
def test_it_ends_though_its_rtl_tcp_server_has_gone(name, watched, options, tmp_path, monkeypatch):
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    recording = tmp_path / "station.cf32"
    station(250e3, 0.5).tofile(recording)
    running = Ends(name, tmp_path)
    if name == "headless_station":  # other ports than those of whoever has one running
        options = options | {"folder": tmp_path, "address": f"ipc://{tmp_path}/decisions"}
    try:
        with Dongle(recording, recording_rate=250e3, recording_frequency=STATION_HZ) as dongle:
            running.run(watched, device_args=dongle.device, **options)
            running.wait_until_it_runs()
        running.process.send_signal(signal.SIGTERM)
        ended = running.process.wait(timeout=PATIENCE_S)  # 0 while there are samples in a queue
        assert ended == int("its receiver does not answer" in running.output), running.output
        assert "Traceback" not in running.output
    finally:
        running.process.kill()
