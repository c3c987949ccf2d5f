# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the seconds go until the first label, by stage.

    python benchmarks/startup.py                 # warm: files are in the memory of the system
    python benchmarks/startup.py --cold          # the system has forgotten the files it can forget
    python benchmarks/startup.py --json FILE

Each run is a process of its own, which does step by step what `tsddae classify`, `tsddae survey`
and a flowgraph with the Classifier do until they have a label. CPU seconds are of all threads;
other programs hardly change them. Seconds by the clock mean something on an idle machine alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data"
COMMANDS = {
    "classify": ["classify", str(DATA / "bpsk-kr01.sigmf-meta"), "--quiet"],
    "survey": ["survey", str(DATA / "fsk-radiosondes.sigmf-meta"), "--quiet"],
}


class Stages:
    """Seconds of the CPU and of the clock at the end of each stage of this process."""

    def __init__(self, begun_s: float):
        self._cpu_s, self._clock_s = 0.0, begun_s
        self.spent: dict[str, tuple[float, float]] = {}

    def end(self, name: str) -> None:
        cpu_s, clock_s = time.process_time(), time.time()
        self.spent[name] = cpu_s - self._cpu_s, clock_s - self._clock_s
        self._cpu_s, self._clock_s = cpu_s, clock_s


def classify(stages: Stages) -> None:
    import numpy  # noqa: F401

    stages.end("numpy")
    import scipy.special  # noqa: F401

    stages.end("SciPy")
    import torch  # noqa: F401

    stages.end("torch")
    from gr_tsddae.classify import recognise_capture
    from gr_tsddae.inference.recognizer import Recognizer
    from gr_tsddae.iq.captures import open_capture

    stages.end("gr_tsddae")
    recognizer = Recognizer("amc-nano")
    stages.end("model")
    with open_capture(COMMANDS["classify"][1]) as capture:
        assert recognise_capture(capture, recognizer)[0]
    stages.end("samples to labels")


def survey(stages: Stages) -> None:
    import numpy  # noqa: F401

    stages.end("numpy")
    import scipy.ndimage
    import scipy.signal  # noqa: F401

    stages.end("SciPy")
    import torch  # noqa: F401

    stages.end("torch")
    from gr_tsddae.inference.recognizer import Recognizer
    from gr_tsddae.iq.captures import open_capture
    from gr_tsddae.survey.recognition import isolator, recognise
    from gr_tsddae.survey.stream import survey_capture

    stages.end("gr_tsddae")
    recognizer = Recognizer("air-small")
    stages.end("model")
    with open_capture(COMMANDS["survey"][1]) as capture:
        emissions = survey_capture(capture)
        stages.end("samples to emissions")
        recognise(emissions[0], recognizer, isolator(capture), capture.sample_rate_hz, 0.6)
    stages.end("first label")


def flowgraph(stages: Stages) -> None:
    import numpy  # noqa: F401

    stages.end("numpy")
    import scipy.special  # noqa: F401

    stages.end("SciPy")
    import torch  # noqa: F401

    stages.end("torch")
    import pmt
    from gnuradio import blocks, gr

    stages.end("GNU Radio")
    from gr_tsddae.blocks import classifier

    stages.end("gr_tsddae")
    block = classifier(sample_rate_hz=48e3, overflow="block")
    samples = str(DATA / "bpsk-kr01.sigmf-data")
    source = blocks.file_source(gr.sizeof_short, samples, repeat=True)
    to_complex = blocks.interleaved_short_to_complex()
    heard = blocks.message_debug()
    top = gr.top_block()
    top.connect(source, to_complex, block)
    top.msg_connect(block, pmt.intern("decisions"), heard, pmt.intern("store"))
    stages.end("model and blocks")
    top.start()
    while not heard.num_messages():
        time.sleep(0.005)
    stages.end("samples to labels")
    print(json.dumps(stages.spent), flush=True)
    os._exit(0)  # the rest of the recording is of no interest


RUNS = {"classify": classify, "survey": survey, "flowgraph": flowgraph}


def forget_files() -> None:
    """Ask the system to drop its copies of the environment's files; what others use, it keeps."""
    for root in {sys.prefix, "/usr/lib/python3", *map(str, Path("/usr/lib").glob("*-linux-gnu"))}:
        for path in Path(root).rglob("*"):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measured(name: str) -> dict[str, tuple[float, float]]:
    words = [sys.executable, __file__, "--child", name, "--begun", repr(time.time())]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def whole(words: list[str]) -> float:
    """CPU seconds of a command, to its end."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "gr_tsddae", *words], capture_output=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before[2] - before[3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of each; medians are shown")
    parser.add_argument("--cold", action="store_true", help="forget the environment's files first")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--begun", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        stages = Stages(asked.begun)
        stages.end("interpreter")
        RUNS[asked.child](stages)
        print(json.dumps(stages.spent))
        return
    result: dict[str, dict[str, list[float]]] = {}
    for name in RUNS:
        found = []
        for _ in range(asked.runs):
            if asked.cold:
                forget_files()
            found.append(measured(name))
        result[name] = {
            stage: [round(statistics.median(run[stage][i] for run in found), 2) for i in (0, 1)]
            for stage in found[0]
        }
        print(f"{name}: CPU s, clock s")
        for stage, (cpu_s, clock_s) in result[name].items():
            print(f"  {stage:<22}{cpu_s:>6.2f}{clock_s:>8.2f}")
        totals = [round(sum(values), 2) for values in zip(*result[name].values(), strict=True)]
        print(f"  {'in all':<22}{totals[0]:>6.2f}{totals[1]:>8.2f}")
        if name in COMMANDS:
            print(f"  the command, to its end: {whole(COMMANDS[name]):.2f} CPU s")
    if asked.json:
        asked.json.write_text(json.dumps({"cold": asked.cold, "cpu_and_clock_s": result}, indent=1))


if __name__ == "__main__":
    main()
