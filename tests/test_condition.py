# SPDX-License-Identifier: GPL-3.0-or-later
"""One signal of a wide recording, cut out over a file, and recognised."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")

from gr_tsddae import classify, condition
from gr_tsddae.iq.captures import CaptureError, open_capture

RATE_HZ, OFFSET_HZ, SYMBOL_RATE_HZ = 2.4e6, 300e3, 100e3
ASKED = ("--rate", RATE_HZ, "--offset", OFFSET_HZ, "--symbol-rate", SYMBOL_RATE_HZ)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """0.2 s of QPSK beside the centre of a noisy 2.4 MHz, as a dongle has it."""
    random = np.random.default_rng(3)
    samples = int(RATE_HZ / SYMBOL_RATE_HZ)
    symbols = random.choice([1, 1j, -1, -1j], 20_000)
    t = np.arange(-6 * samples, 6 * samples + 1) / samples + 1e-6
    roll = 0.35
    pulse = (np.sin(np.pi * t * (1 - roll)) + 4 * roll * t * np.cos(np.pi * t * (1 + roll))) / (
        np.pi * t * (1 - (4 * roll * t) ** 2)
    )
    pulses = np.zeros(len(symbols) * samples, complex)
    pulses[::samples] = symbols
    iq = np.convolve(pulses, pulse, "same")[: int(0.2 * RATE_HZ)]
    iq *= np.exp(2j * np.pi * OFFSET_HZ / RATE_HZ * np.arange(len(iq)))
    iq += random.standard_normal((len(iq), 2)) @ np.array([0.3, 0.3j])
    path = tmp_path_factory.mktemp("wide") / "wide.cu8"
    pairs = np.stack((iq.real, iq.imag), 1) * 0.15
    np.clip(np.round(pairs * 127.5 + 127.5), 0, 255).astype(np.uint8).tofile(path)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command: (module, *arguments) -> (exit code, stdout, stderr)."""

    def command(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        return module.main(), *capsys.readouterr()

    return command


def test_the_signal_is_cut_out_and_recognised(run, wide, tmp_path):
    out = tmp_path / "made" / "signal"
    code, said, err = run(condition, wide, out, *ASKED, "--center", 100e6)
    assert (code, err) == (0, "")
    assert "signal.sigmf-meta: 0.200 s at 800000 samples/s" in said
    with open_capture(out.with_suffix(".sigmf-meta")) as made:
        assert made.sample_rate_hz == 8 * SYMBOL_RATE_HZ
        assert made.center_frequency_hz == 100e6 + OFFSET_HZ
        assert made.sample_count == pytest.approx(0.2 * made.sample_rate_hz, rel=0.01)
    code, said, _ = run(classify, out.with_suffix(".sigmf-meta"), "--json", "--quiet")
    assert code == 0
    decisions = json.loads(said)
    assert {d["label"] for d in decisions[:-1]} == {"QPSK"}


def test_classify_cuts_it_out_itself(run, wide):
    code, said, err = run(classify, wide, *ASKED, "--json", "--quiet")
    assert (code, err) == (0, "")
    decisions = json.loads(said)
    assert {d["label"] for d in decisions[:-1]} == {"QPSK"}
    assert decisions[0]["sample_rate_hz"] == 8 * SYMBOL_RATE_HZ
    # Without it the same file is something else: that is what the options are for.
    wrong = json.loads(run(classify, wide, "--rate", RATE_HZ, "--json", "--quiet")[1])
    assert "QPSK" not in {d["label"] for d in wrong}


def test_boxes_lie_where_the_signal_is_in_its_recording(run, wide, tmp_path):
    out = tmp_path / "boxes.sigmf-meta"
    code, _, _ = run(classify, wide, *ASKED, "--quiet", "--center", 100e6, "--annotations", out)
    assert code == 0
    with open_capture(out) as written, open_capture(wide, sample_rate_hz=RATE_HZ) as source:
        assert written.sample_count == source.sample_count
        assert written.sample_rate_hz == RATE_HZ
    notes = json.loads(out.read_text())["annotations"]
    first, last = notes[0], notes[-1]
    assert first["core:label"] == "QPSK" and first["core:sample_start"] == 0
    end = last["core:sample_start"] + last["core:sample_count"]
    assert 0.98 * written.sample_count < end <= written.sample_count
    for note in notes:
        middle_hz = (note["core:freq_lower_edge"] + note["core:freq_upper_edge"]) / 2
        width_hz = note["core:freq_upper_edge"] - note["core:freq_lower_edge"]
        assert middle_hz == pytest.approx(100e6 + OFFSET_HZ, abs=0.1 * SYMBOL_RATE_HZ)
        assert SYMBOL_RATE_HZ < width_hz < 1.6 * SYMBOL_RATE_HZ


def test_tunings_and_times_go_along(tmp_path, run):
    iq = np.random.default_rng(1).standard_normal((40_000, 2)).astype(np.float32)
    iq.tofile(tmp_path / "pass.sigmf-data")
    meta = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": 96e3},
        "captures": [
            {
                "core:sample_start": 0,
                "core:frequency": 145.8e6,
                "core:datetime": "2024-05-01T12:00:00.5Z",
            },
            {"core:sample_start": 24_000, "core:frequency": 437.5e6},
        ],
        "annotations": [],
    }
    (tmp_path / "pass.sigmf-meta").write_text(json.dumps(meta))
    path, out = tmp_path / "pass.sigmf-meta", tmp_path / "out.sigmf-meta"
    assert run(condition, path, out, "--symbol-rate", 6e3, "--offset", 1e3)[0] == 0
    with open_capture(out) as made:
        first, second = made.segments
        assert (first.frequency_hz, second.frequency_hz) == (145.801e6, 437.501e6)
        # half the rate; the filters delay what they let through
        assert second.first_sample == pytest.approx(12_000, abs=100)
        assert made.time_at(0) == pytest.approx(1714564800.5, abs=2e-3)
    # An existing recording stays.
    assert "out-2.sigmf-meta" in run(condition, path, out, "--symbol-rate", 6e3)[1]


def test_what_cannot_be_done_is_said(run, wide, tmp_path):
    out = tmp_path / "out"
    for asked, said in (
        (("--symbol-rate", 1e5), "--rate"),
        (("--symbol-rate", 3e6, "--rate", RATE_HZ), "receive at a higher rate"),
        (("--symbol-rate", 1e5, "--rate", RATE_HZ, "--offset", 2e6), "--offset is 2e+06"),
    ):
        code, _, err = run(condition, wide, out, *asked)
        assert code == 1 and err.startswith("error:") and said in err, err
        assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
    code, _, err = run(classify, wide, "--offset", 3e5)
    assert code == 1 and "--symbol-rate" in err


def test_a_model_of_bandwidths_gets_a_multiple_of_them(run, wide, tmp_path, bandwidth_model):
    out = tmp_path / "signal.sigmf-meta"
    asked = ("--rate", RATE_HZ, "--offset", OFFSET_HZ, "--model", bandwidth_model.name)
    code, said, err = run(condition, wide, out, *asked, "--bandwidth", 120e3)
    assert (code, err) == (0, "") and "at 480000 samples/s" in said
    with open_capture(out) as made:
        power = np.square(np.abs(np.fft.fft(made.read(2000, 80_000))))
    hz = np.abs(np.fft.fftfreq(80_000, 1 / 480e3))
    assert power[hz < 60e3].sum() > 0.9 * power.sum()  # the signal is in the middle
    floor = power[(hz > 80e3) & (hz < 110e3)].mean()  # twice the bandwidth passes, and no more
    assert power[hz > 140e3].mean() < floor / 1000
    code, said, err = run(classify, wide, *asked, "--bandwidth", 120e3, "--json", "--quiet")
    assert (code, err) == (0, "")
    assert json.loads(said)[0]["sample_rate_hz"] == 480e3


def test_the_option_that_a_model_does_not_want_is_named(run, wide, tmp_path, bandwidth_model):
    air, out = ("--rate", RATE_HZ, "--model", bandwidth_model.name), tmp_path / "out"
    for command, asked, said in (
        ((condition, wide, out), (*air, "--symbol-rate", 1e5), "give --bandwidth instead"),
        ((condition, wide, out), air, "give --bandwidth, which"),
        ((condition, wide, out), (*air, "--bandwidth", 3e6), "receive at a higher rate"),
        ((condition, wide, out), ("--rate", RATE_HZ), "8 samples per symbol: give --symbol-rate"),
        ((classify, wide), (*air, "--symbol-rate", 1e5), "give --bandwidth instead"),
        ((classify, wide), ("--rate", RATE_HZ, "--bandwidth", 1e5), "give --symbol-rate"),
    ):
        code, _, err = run(*command, *asked)
        assert code == 1 and err.startswith("error:") and said in err, err
    assert not list(tmp_path.iterdir())


def test_a_recording_that_ends_too_soon_is_no_result(tmp_path, monkeypatch):
    np.ones(50_000, np.complex64).tofile(tmp_path / "short.cf32")
    with open_capture(tmp_path / "short.cf32", sample_rate_hz=1e5) as capture:
        read = capture.read

        def fails(first, count):
            if first > 10_000:
                raise CaptureError("gone")
            return read(first, count)

        monkeypatch.setattr(capture, "read", fails)
        with pytest.raises(OSError, match="in part only: gone"):
            condition.condition_capture(capture, tmp_path / "out", symbol_rate_hz=1e4)
    assert [path.name for path in tmp_path.iterdir()] == ["short.cf32"], "no part of it is left"


def test_ctrl_c_leaves_no_part_that_looks_whole(tmp_path):
    """GNU Radio's own way of taking it stops as if all were well, or hangs when it comes early."""
    with (tmp_path / "long.cu8").open("wb") as file:
        file.truncate(1 << 34)  # without taking that much of the disk
    asked = ["--rate", "2.4e6", "--symbol-rate", "50e3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gr_tsddae.condition", "long.cu8", "out", *asked],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "out.sigmf-data").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["long.cu8"]
