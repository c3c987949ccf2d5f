# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example: all of its choosers are turned, and it is ended in every way that it can end.

The programs are those that Companion makes, with their windows. A file or an rtl_tcp server stands
for the radio. The first run of an example turns each slider to its ends and its middle, each
chooser and check box to all values, and is ended by closing the window (by Ctrl-C where there is
none). The stream must go on after each turn. Then it is started again and ended by Ctrl-C, by
SIGTERM, by the end of its file, or after its server has gone. Every sample must be accounted for.

    tools/with_display python tests/grc/example_runs.py --json benchmarks/results/example-runs.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from ast import literal_eval
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))
from radio_example import STATION_HZ, Example, station

from dongle import Dongle
from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json
from gr_tsddae.synth.__main__ import main as synth

NAMES = tuple(sorted(path.stem for path in (ROOT / "examples").glob("*.grc")))
COUNTING = ("tsddae_classifier", "tsddae_survey", "tsddae_denoiser", "tsddae_anomaly_detector")
FATES = ("classified", "surveyed", "gated", "dropped", "flushed", "pending")
FILE_RATE_HZ = 1e6
SERVED_RATE_HZ = 250e3
BY_FILE = ("rtl_sdr_soapy", "usrp", "survey_rtl_sdr_soapy", "survey_usrp")
BY_SERVER = {
    "rtl_sdr": {"frequency_hz": STATION_HZ},
    "survey_rtl_sdr": {"frequency_hz": STATION_HZ},
    "fm_band_walk": {"start_hz": STATION_HZ, "stop_hz": STATION_HZ},
    "headless_station": {"frequency_hz": STATION_HZ},
    "remote_sender": {"frequency_hz": STATION_HZ},
}
HAVE_AN_END = ("file_replay", "rml_replay", "survey_file", "lte_replay")
PATIENCE_S = 300.0

# Runs a compiled example: argv is module, blocks that count, turns, seconds for them, whether the
# window is closed then, and arguments.
AROUND = """
import atexit, importlib, json, signal, sys, threading, time
module, watched = importlib.import_module(sys.argv[1]), json.loads(sys.argv[2])
turns, seconds, closes = json.loads(sys.argv[3]), float(sys.argv[4]), sys.argv[5] == "close"
main_class = getattr(module, sys.argv[1])

class Watched(main_class):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        Watched.top, self.stalls, self.left, self.seen = self, [], list(turns), None
        threading.Thread(target=self.look, daemon=True).start()
        if closes:
            from PyQt5.QtCore import QTimer
            self.turning = QTimer(self)
            self.turning.timeout.connect(self.turn)
            self.turning.setInterval(round(1000 * seconds / max(1, len(turns))))

    def counted(self):
        return {name: getattr(self, name).counters() for name in watched}

    def look(self):
        while watched and min(each["samples_in"] for each in self.counted().values()) < 1024:
            time.sleep(0.1)
        while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # set after the window is shown
            time.sleep(0.1)
        print("runs", flush=True)
        if closes:
            from PyQt5.QtCore import QMetaObject, Qt
            QMetaObject.invokeMethod(self.turning, "start", Qt.QueuedConnection)
        before = None
        while before != (now := self.counted()):  # it stands still when the file has ended
            before = now
            time.sleep(3)
        print("ended", flush=True)

    def turn(self):
        seen = {name: each["samples_in"] for name, each in self.counted().items()}
        if self.seen is not None:
            name, value, before = self.seen
            if any(seen[block] <= before[block] for block in watched):
                self.stalls.append([name, value])
        if not self.left:
            self.turning.stop()
            self.close()
            return
        name, value = self.left.pop(0)
        getattr(self, "set_" + name)(value)
        self.seen = name, value, seen

sys.argv = [sys.argv[0], *sys.argv[6:]]
options = [module.argument_parser().parse_args()] if hasattr(module, "argument_parser") else []

def tell():
    print(json.dumps([Watched.top.stalls, Watched.top.left, Watched.top.counted()]), flush=True)

atexit.register(tell)  # a program without a window leaves in its signal handler
module.main(Watched, *options)
"""


def turns_of(content: dict) -> list[tuple[str, object]]:
    """List what the choosers of a flowgraph are turned to, and back."""
    turns: list[tuple[str, object]] = []
    for block in content["blocks"]:
        name, kind, settings = block["name"], block["id"], block["parameters"]
        if kind == "variable_qtgui_range":
            low, high = (float(settings[which]) for which in ("start", "stop"))
            turns += [(name, low), (name, (low + high) / 2), (name, high)]
        elif kind == "variable_qtgui_chooser":
            turns += [(name, value) for value in literal_eval(settings["options"])]
        elif kind == "variable_qtgui_check_box":
            turns += [(name, True), (name, False)]
    return turns


class Runs:
    """Runs of one example, each in a new home.

    Args:
        name: Of the example.
        air: A recording of a station at FILE_RATE_HZ; beside it lies one to serve, `narrow.cf32`.
    """

    def __init__(self, name: str, air: Path):
        self.name, self.air = name, air
        blocks = Example(name, Path()).content["blocks"]
        self.watched = [
            block["name"] for block in blocks if block["id"] in COUNTING
            and block["states"]["state"] not in ("disabled", "false")
        ]  # fmt: skip
        self.has_window = any(
            block["id"].startswith(("qtgui", "variable_qtgui", "tsddae_qt")) for block in blocks
        ) or "display" in {block["name"] for block in blocks}
        self.turns = turns_of({"blocks": blocks})

    def ways(self) -> list[str]:
        """Name the ways in which it can end."""
        found = ["window"] if self.has_window else []
        found += ["Ctrl-C", "SIGTERM"]
        found += ["server gone"] if self.name in BY_SERVER else []
        return found + (["end of file"] if self.name in HAVE_AN_END else [])

    def run(self, way: str, seconds: float) -> dict:
        """Start it, turn its choosers if `seconds` is given, end it, and tell how it went."""
        with tempfile.TemporaryDirectory(prefix="example-") as home, contextlib.ExitStack() as left:
            folder = Path(home)
            example = Example(self.name, folder)
            options, server = self._prepare(example, folder, left)
            if way == "end of file":
                for block in example.content["blocks"]:
                    if "repeat" in block["parameters"]:
                        block["parameters"]["repeat"] = "False"
            example.compile()
            turns = self.turns if seconds and way == "window" else []
            arguments = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
            with (folder / "output").open("w") as output:
                process = subprocess.Popen(
                    [sys.executable, "-u", "-c", AROUND, self.name, json.dumps(self.watched),
                     json.dumps(turns), str(seconds), "close" if way == "window" else "stay",
                     *arguments],
                    cwd=folder, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                    env=os.environ | {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home},
                )  # fmt: skip
            left.callback(process.kill)
            self._wait_for("runs\n", process, example)
            if way != "window":
                time.sleep(seconds)
            if way == "server gone":
                server.stop()
                time.sleep(1)
            if way == "end of file":  # the window stays, and shows the last of it
                self._wait_for("ended\n", process, example)
                process.send_signal(signal.SIGTERM)
            elif way == "Ctrl-C":
                process.send_signal(signal.SIGINT)
            elif way in ("SIGTERM", "server gone"):
                process.send_signal(signal.SIGTERM)
            begin_s = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
            return self._judged(process, example.output, time.monotonic() - begin_s, way)

    def _prepare(self, example, folder, left) -> tuple[dict, Dongle | None]:
        if self.name == "rml_replay":
            synth(["rml2016a", str(folder / "stand-in.pkl"), "--windows", "20"])
        if self.name in BY_FILE:
            example.replace_radio(self.air)
            return {"sample_rate_hz": FILE_RATE_HZ}, None
        if self.name not in (*BY_SERVER, "zmq_remote"):
            return {}, None
        server = Dongle(
            self.air.with_name("narrow.cf32"), recording_rate=SERVED_RATE_HZ,
            recording_frequency=STATION_HZ,
        )  # fmt: skip
        left.push(server)
        if self.name == "zmq_remote":
            sender, address = Example("remote_sender", folder), f"ipc://{folder}/iq"
            left.callback(sender.stop)
            sender.start(device_args=server.device, frequency_hz=STATION_HZ, address=address)
            return {"address": address}, server
        options = BY_SERVER[self.name] | {"device_args": server.device}
        if self.name in ("headless_station", "remote_sender"):
            options |= {"address": f"ipc://{folder}/out"}
        if self.name == "headless_station":
            options |= {"folder": str(folder)}
        return options, server

    def _wait_for(self, word: str, process: subprocess.Popen, example: Example) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while word not in example.output:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"{self.name}: no {word!r} in:\n{example.output}")
            time.sleep(0.05)

    def _judged(self, process, output: str, seconds: float, way: str) -> dict:
        said = {"seconds_to_end": round(seconds, 1), "status": process.poll()}
        if process.returncode == 1 and "its receiver does not answer" in output:
            return said | {"clean": way == "server gone"}  # the watchdog said so, and left
        said_last = next(line for line in reversed(output.splitlines()) if line.startswith("[["))
        stalls, left, counters = json.loads(said_last)
        exact = all(
            each["samples_in"] == sum(each.get(f"samples_{fate}", 0) for fate in FATES)
            and each["samples_pending"] == 0
            for each in counters.values()
        )
        clean = process.returncode == 0 and "Traceback" not in output and not left
        samples = {name: each["samples_in"] for name, each in counters.items()}
        return said | {"clean": clean, "exact": exact, "stalls": stalls, "samples": samples}


def main() -> None:
    """Run what is asked for, print a line for each run, and write all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], help="all by default")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the first run")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    # Where this runs in the background of a shell, its children would not hear of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found = []
    with tempfile.TemporaryDirectory(prefix="air-") as folder:
        air = Path(folder) / "air.cf32"
        station(FILE_RATE_HZ, 1.0).tofile(air)
        station(SERVED_RATE_HZ, 1.0).tofile(air.with_name("narrow.cf32"))
        for name in arguments.names or NAMES:
            runs = Runs(name, air)
            for number, way in enumerate(runs.ways()):
                try:
                    said = runs.run(way, 0.0 if number else arguments.seconds)
                except (RuntimeError, StopIteration) as error:
                    said = {
                        "clean": False,
                        "error": str(error)[-600:] or "its counters were not told",
                    }
                turned = len(runs.turns) if not number else 0
                found.append({"example": name, "end": way, "turned": turned} | said)
                print(json.dumps(found[-1]), flush=True)
    wrong = [
        each for each in found
        if not each["clean"] or each.get("stalls") or not each.get("exact", True)
    ]  # fmt: skip
    print(f"{len(found)} runs, {len(wrong)} with a fault")
    if arguments.json:
        load = [round(each, 2) for each in os.getloadavg()]
        write_json(arguments.json, {"machine": describe("cpu"), "load": load, "runs": found})
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
