# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae survey -`: a stream through a pipe, in a process of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
from waiting import until

from gr_tsddae.survey.__main__ import main
from gr_tsddae.survey.live import Pace
from gr_tsddae.synth.scene import SCENES, make_scene
from gr_tsddae.synth.scene.files import write_scene

RATE_HZ = 250e3


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    scene = make_scene(SCENES["bursts"], seconds=2, rate_hz=RATE_HZ, emitters=3, seed=11)
    return write_scene(scene, tmp_path_factory.mktemp("scene") / "wide")


@pytest.fixture(scope="module")
def samples(recording):
    return recording.with_suffix(".sigmf-data").read_bytes()


@pytest.fixture
def survey():
    """Starts the command on a pipe; it is ended with the test."""
    started = []

    def start(*more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gr_tsddae.survey", "-", "--dtype", "cu8"]
        given = ["--rate", str(RATE_HZ), "--center", "100M", "--model", "none", *more]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen([*command, *given], stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def in_both(emissions):
    """What a stream and a recording must agree on; their order and numbers differ."""
    keys = ("start_s", "stop_s", "low_hz", "high_hz", "symbol_rate_hz", "candidates")
    return sorted([emission[key] for key in keys] for emission in emissions)


def test_a_stream_holds_what_the_same_recording_holds(survey, recording, samples, capsys):
    out, err = survey("--json").communicate(samples, timeout=200)
    live = [json.loads(line) for line in out.splitlines()]
    assert err == b""
    assert main([str(recording), "--center", "100M", "--model", "none", "--json"]) == 0
    filed = json.loads(capsys.readouterr().out)["emissions"]
    assert len(live) >= 2
    assert in_both(live) == in_both(filed)
    assert [emission["id"] for emission in live] == list(range(1, len(live) + 1))


def waiting_bytes(pipe) -> int:
    """Count what was written to a pipe and not read yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_an_emission_is_told_when_it_has_ended_and_ctrl_c_tells_the_rest(survey, samples):
    running = survey()
    noise = bytes([127, 128]) * int(1.5 * RATE_HZ)  # silence ends all
    running.stdin.write(samples + noise)
    running.stdin.flush()
    lines = [running.stdout.readline() for _ in range(2)]  # while the pipe is open
    assert b"centre MHz" in lines[0] and b"1 " in lines[1]
    running.stdin.write(samples[: len(samples) // 2])
    running.stdin.flush()
    until(lambda: not waiting_bytes(running.stdin))
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 0, running.stderr.read()
    rest = running.stdout.read().splitlines()
    # Those of the second time were on when the user ended the stream.
    assert any(float(line.split()[1]) > 3.4 for line in rest if line[:4].strip().isdigit())
    assert running.stderr.read() == b""


def test_what_goes_on_is_told_of_before_it_ends(survey):
    rng = np.random.default_rng(1)
    rate_hz, count = 20e3, 250_000  # 12.5 s
    iq = 20 * np.exp(0.6j * np.arange(count)) + 3 * rng.standard_normal((count, 2)) @ [1, 1j]
    samples = np.rint(np.stack([iq.real, iq.imag], 1) + 127.5).astype(np.uint8).tobytes()
    running = survey("--rate", str(rate_hz), "--json")
    running.stdin.write(samples)
    running.stdin.flush()
    told = json.loads(running.stdout.readline())  # while the pipe is open
    assert (told["kind"], told["id"], told["start_s"]) == ("updated", 1, 0.0)
    out, _ = running.communicate(timeout=100)
    (ended,) = map(json.loads, out.splitlines())
    assert (ended["kind"], ended["id"]) == ("ended", 1)
    assert ended["stop_s"] == pytest.approx(12.5, abs=0.2)


def test_nobody_reads_the_output(survey, samples):
    running = survey("--json")
    running.stdout.close()
    with contextlib.suppress(BrokenPipeError):  # it may end before it has read all
        running.stdin.write(samples)
        running.stdin.close()
    assert running.wait(60) == 1
    assert running.stderr.read() == b""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-"], "give --dtype one of cf32"),
        (["-", "--dtype", "cu8"], "does not say its sample rate: add --rate"),
        (["-", "--dtype", "cu8", "--rate", "1M", "--png", "x.png"], "- is a stream"),
        (["-", "--dtype", "cu8", "--rate", "1M", "--cut-out", "x"], "- is a stream"),
    ],
)
def test_what_a_stream_cannot_give(arguments, words, capsys):
    assert main([*arguments, "--model", "none"]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_a_survey_that_does_not_keep_up_says_so_once(capsys):
    pace = Pace()
    for busy_s in (9.0, 1.0, 9.0):  # the model was waited for; then one slow stretch alone
        pace.add(busy_s, 5.0)
    assert capsys.readouterr().err == ""
    for _ in range(4):
        pace.add(6.0, 5.0)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "5.0 s took 6.0 s" in said
