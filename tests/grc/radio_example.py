# SPDX-License-Identifier: GPL-3.0-or-later
"""An example for a radio, run as users run it, with the hardware replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from companion_blocks import blocks_of_companion

if TYPE_CHECKING:
    from dongle import Dongle

ROOT = Path(__file__).resolve().parents[2]
STATION_HZ = 100.1e6
PATIENCE_S = 120  # on a busy machine


def station(rate_hz: float, seconds: float, offset_hz: float = 0.0) -> np.ndarray:
    """A broadcast: speech-like noise, 75 kHz of deviation, 20 dB over the receiver's noise."""
    rng = np.random.default_rng(1)
    count = round(rate_hz * seconds)
    frequency_hz = np.fft.rfftfreq(count, 1 / rate_hz)
    heard = (frequency_hz > 30) & (frequency_hz < 8e3)
    spectrum = np.zeros(len(frequency_hz), complex)
    spectrum[heard] = rng.normal(size=heard.sum()) + 1j * rng.normal(size=heard.sum())
    spectrum /= np.maximum(frequency_hz, 2e3)
    audio = np.fft.irfft(spectrum, count)
    audio *= 1 / 3 / audio.std()
    turns = np.cumsum(75e3 * audio + offset_hz) / rate_hz
    noise = rng.normal(size=count) + 1j * rng.normal(size=count)
    noise *= 0.05 * np.sqrt(rate_hz / 2 / 250e3)
    return (0.5 * (np.exp(2j * np.pi * turns) + noise)).astype(np.complex64)


class Example:
    """An example flowgraph: changed where a test must, compiled, and run."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        self.content = yaml.safe_load((ROOT / "examples" / f"{name}.grc").read_text())
        self.decisions = folder / "decisions.jsonl"
        self.process: subprocess.Popen | None = None

    def block(self, name: str) -> dict:
        (found,) = (block for block in self.content["blocks"] if block["name"] == name)
        return found

    def add(self, name: str, kind: str, **parameters: str) -> None:
        self.content["blocks"].append(
            {"name": name, "id": kind, "parameters": parameters, "states": {"state": "enabled"}}
        )

    def keep_decisions(self) -> None:
        """Write decisions to a file, by a block that is added to the example."""
        self.add("keeper", "tsddae_json_publisher", file=str(self.decisions))
        self.content["connections"].append(["classifier", "decisions", "keeper", "decisions"])

    def replace_radio(self, path: Path) -> None:
        """Put a file and a throttle in the place of the block `radio`."""
        self.content["blocks"].remove(self.block("radio"))
        self.add("air", "blocks_file_source", file=str(path), type="complex", repeat="True")
        self.add("radio", "blocks_throttle", type="complex", samples_per_second="sample_rate_hz")
        self.content["connections"] = [
            wire
            for wire in self.content["connections"]
            if "radio" not in (wire[0], wire[2]) or wire[1].isdigit()
        ]
        self.content["connections"].append(["air", "0", "radio", "0"])

    def write(self) -> Path:
        """Returns the flowgraph as a file."""
        path = self.folder / f"{self.name}.grc"
        path.write_text(yaml.safe_dump(self.content, sort_keys=False))
        return path

    def compile(self) -> Path:
        """Returns the Python program that Companion makes of it."""
        flowgraph, program = blocks_of_companion().load_and_generate_flow_graph(
            str(self.write()), str(self.folder)
        )
        assert flowgraph is not None, f"{self.name} is not valid"
        return Path(program)

    def start(self, **options: object) -> Example:
        arguments = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "QT_QPA_PLATFORM": "offscreen"}
        program = self.compile()
        with (self.folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(program), *arguments], env=environment, cwd=self.folder,
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return self

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def wait_for(self, count: int, wanted=lambda decision: True) -> list[dict]:
        """All decisions, when there are so many that are wanted."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            text = self.decisions.read_text() if self.decisions.exists() else ""
            said = [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]
            if sum(map(wanted, said)) >= count:
                return said
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline_s, f"{said}\n{self.output}"
            time.sleep(0.1)

    def end_without(self, dongle: Dongle) -> None:
        """Take the server away, and send SIGTERM: it ends, and says so if samples are missing."""
        dongle.stop()
        self.process.send_signal(signal.SIGTERM)
        ended = self.process.wait(timeout=PATIENCE_S)  # 0 while there are samples in a queue
        assert ended == int("its receiver does not answer" in self.output), self.output
        assert "Traceback" not in self.output, self.output

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=PATIENCE_S)
            finally:
                self.process.kill()
        assert "Traceback" not in self.output, self.output
