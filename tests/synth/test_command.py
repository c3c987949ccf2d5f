# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae synth`: what it writes, twice the same, and what it says when it cannot."""

import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.synth import __main__ as command
from gr_tsddae.synth import recordings


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["synth", *map(str, arguments)])
    return command.main()


def load(path):
    return pickle.loads(path.read_bytes(), encoding="latin1")


def test_rml2016a(tmp_path, monkeypatch):
    out = tmp_path / "a.pkl"
    assert run(monkeypatch, "rml2016a", out, "--windows", 3, "--snrs", -20, 18, 2) == 0
    held = load(out)
    assert len(held) == 11 * 20
    digital = {"8PSK", "BPSK", "CPFSK", "GFSK", "PAM4", "QAM16", "QAM64", "QPSK"}
    assert {name for name, _ in held} == digital | {"AM-DSB", "AM-SSB", "WBFM"}
    assert {snr for _, snr in held} == set(range(-20, 20, 2))
    for rows in held.values():
        assert rows.shape == (3, 2, 128)
        np.testing.assert_allclose(np.hypot(rows[:, 0], rows[:, 1]).sum(1), 1, rtol=1e-5)


def test_rml2016a_as_released_has_noise_for_am_ssb(tmp_path, monkeypatch):
    run(monkeypatch, "rml2016a", tmp_path / "a", "--windows", 40, "--snrs", 18, 18, 2)
    held = load(tmp_path / "a")
    for name, white in (("AM-SSB", True), ("QPSK", False)):
        iq = held[name, 18][:, 0] + 1j * held[name, 18][:, 1]
        density = (np.abs(np.fft.fft(iq)) ** 2).mean(0)
        assert (density.max() < 3 * density.mean()) == white, name


def test_other_rml2016(tmp_path, monkeypatch):
    few = ("--windows", 20, "--snrs", 0, 4, 4)
    assert run(monkeypatch, "rml2016b", tmp_path / "b.dat", *few, "--recipe", "clean") == 0
    held = load(tmp_path / "b.dat")
    assert len(held) == 10 * 2 and ("AM-SSB", 0) not in held
    assert {len(rows) for rows in held.values()} == {20}
    assert run(monkeypatch, "rml2016c", tmp_path / "c.pkl", *few) == 0
    counts = {len(rows) for rows in load(tmp_path / "c.pkl").values()}
    assert 10 <= min(counts) < max(counts) <= 20 and len(counts) > 3


def test_rml2018_is_sorted_by_class_then_snr(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    out = tmp_path / "x.hdf5"
    assert run(monkeypatch, "rml2018", out, "--windows", 2, "--snrs", -20, 30, 50) == 0
    with h5py.File(out) as file:
        assert file["X"].shape == (24 * 2 * 2, 1024, 2)
        assert np.isfinite(file["X"][()]).all()
        np.testing.assert_array_equal(file["Y"][()].argmax(1), np.repeat(np.arange(24), 4))
        np.testing.assert_array_equal(file["Z"][:8, 0], [-20, -20, 30, 30] * 2)


def test_techrec(tmp_path, monkeypatch):
    assert run(monkeypatch, "techrec", tmp_path / "t", "--seconds", 0.003, "--runs", 2) == 0
    names = sorted(p.name for p in (tmp_path / "t").iterdir())
    assert len(names) == 6
    for name in names:
        assert re.fullmatch(r"(lte10Msps|dvbt|wf)_g\d+_synth_f\d+MHz_r[12]\.bin", name)
        iq = np.fromfile(tmp_path / "t" / name, "<c8")
        assert len(iq) == 30_000 and np.isfinite(iq).all()
        assert 0.5 < np.sqrt(np.mean(np.abs(iq) ** 2)) / recordings.TECHREC_RMS < 1.5


def test_icarus_npz(tmp_path, monkeypatch):
    assert run(monkeypatch, "icarus", tmp_path / "i.npz", "--windows", 4) == 0
    with np.load(tmp_path / "i.npz", allow_pickle=False) as file:
        x, y, sir, group = (file[name] for name in ("X", "y", "sir", "group"))
    assert (x.shape, x.dtype) == ((24, 2, 1024), np.float32)
    assert y.dtype.kind == "U" and sir.dtype == np.int64
    assert group.tolist() == np.repeat(np.arange(6), 4).tolist()
    held = list(zip(y.tolist(), sir.tolist(), strict=True))
    assert {pair: held.count(pair) for pair in held} == {
        (label, sir_db): 4 for label in ("normal", "anomaly") for sir_db in (0, 5, 10)
    }


def test_icarus_sigmf(tmp_path, monkeypatch):
    assert run(monkeypatch, "icarus", tmp_path / "i", "--sigmf", "--windows", 4) == 0
    assert run(monkeypatch, "icarus", tmp_path / "i.npz", "--windows", 4) == 0
    metas = sorted((tmp_path / "i").glob("*.sigmf-meta"), key=lambda p: p.stem[-4:])
    assert len(metas) == 6 and len(list((tmp_path / "i").iterdir())) == 12
    with np.load(tmp_path / "i.npz") as file:
        rows = file["X"].reshape(6, 4, 2, 1024)
        labels, sirs = file["y"][::4], file["sir"][::4]
    for meta, block, label, sir in zip(metas, rows, labels, sirs, strict=True):
        with open_capture(meta) as capture:
            assert capture.sample_rate_hz == 7.68e6
            (note,) = capture.annotations
            assert (note.first_sample, note.sample_count) == (0, 4096)
            assert note.label == label
            iq = capture.read(0, 4096)
        assert f'"core:comment": "SIR {sir} dB"' in meta.read_text()
        np.testing.assert_array_equal(iq.real, block[:, 0].ravel())
        np.testing.assert_array_equal(iq.imag, block[:, 1].ravel())


@pytest.mark.parametrize(
    "arguments", [("rml2016c", "--windows", 2, "--snrs", 0, 0, 2), ("icarus", "--windows", 1)]
)
def test_seed_decides_everything(tmp_path, monkeypatch, arguments):
    kind, *options = arguments
    for name, seed in (("a.npz", 1), ("b.npz", 1), ("c.npz", 2)):
        assert run(monkeypatch, kind, tmp_path / name, *options, "--seed", seed) == 0
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.npz", "b.npz", "c.npz"))
    assert a == b != c


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rml2016a", "x", "--snrs", 5, 0, 1), "LOW may not exceed HIGH"),
        (("rml2016a", "x", "--snrs", 0, 5, 0), "STEP is at least 1"),
        (("techrec", "x", "--seconds", 0), "--seconds is 0.0: a recording lasts up to 10 s"),
        (("techrec", "x", "--seconds", "nan"), "--seconds is nan"),
        (("rml2018", "x", "--windows", 10**9), "make room, or ask for fewer windows"),
        (("rml2016a", "here"), "not overwritten"),
        (("techrec", "full"), "not an empty folder"),
        (("rml2016a", "here/x"), "here"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "here").write_bytes(b"precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other.bin").touch()
    kind, out, *options = arguments
    assert run(monkeypatch, kind, tmp_path / out, *options) == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "here"]
    assert (tmp_path / "here").read_bytes() == b"precious"


def test_too_few_windows(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "rml2018", tmp_path / "x", "--windows", 0)
    assert "0 is too few" in capsys.readouterr().err


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "gr_tsddae.synth", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_disk_that_fills_up(tmp_path):
    """A limit on the file's size fails writes as a full disk does."""
    process = start(
        *("rml2016a", tmp_path / "x", "--windows", 30, "--snrs", 0, 10, 2),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
    )
    error = process.communicate()[1]
    assert process.returncode == 1
    assert [line[:6] for line in error.splitlines()] == ["error:"], error
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_no_half_file(tmp_path):
    process = start("rml2016b", tmp_path / "x", env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1]
    assert process.returncode == 130
    assert error.strip() == "stopped; no half file was left"
    assert not list(tmp_path.iterdir())
