# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on this very installation, and on broken ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gr_tsddae import doctor, examples


def run_doctor(**environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "gr_tsddae.doctor"],
        env=os.environ | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_good_installation_is_well():
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
    done = run_doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("Python", "GNU Radio", "numpy", "torch", "C++ core", "windows", "GRC blocks",
                 "models"):  # fmt: skip
        assert what in done.stdout


def test_it_says_how_companion_finds_blocks_that_lie_elsewhere(tmp_path):
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    done = run_doctor(GRC_BLOCKS_PATH=str(tmp_path), HOME=str(tmp_path))
    assert "GRC blocks" in done.stdout
    assert "make companion" in done.stdout or "make setup" in done.stdout


def test_it_says_whether_the_faster_engine_is_there(monkeypatch):
    def missing(package):
        raise doctor.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(doctor.importlib.metadata, "version", missing)
    finding = doctor.check_openvino()
    assert finding.ok is None, "nothing is wrong without it"
    assert "pip install openvino" in finding.text


def test_it_says_what_brings_the_windows(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(doctor.importlib, "import_module", missing)
    (finding,) = doctor.check_windows()
    assert finding.ok is None, "a station without a screen does without"
    assert "apt-get install python3-pyqt5 python3-qtpy python3-pyqtgraph" in finding.text


def test_a_damaged_model_is_named(model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path / "worn")
    (tmp_path / "worn" / "model.safetensors").write_bytes(b"\0" * 100)
    done = run_doctor(GR_TSDDAE_MODELS=str(tmp_path))
    assert done.returncode == 1
    assert "PROBLEM models" in done.stdout
    assert "worn" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_missing_gnuradio_is_a_problem_not_a_crash(monkeypatch):
    monkeypatch.setitem(sys.modules, "gnuradio", None)
    monkeypatch.setitem(sys.modules, "gnuradio.gr", None)
    (finding,) = doctor.check_gnuradio()
    assert finding.ok is False
    assert finding.remedy


def test_a_gnuradio_built_for_another_numpy_is_a_problem_not_a_crash(tmp_path):
    """Importing it then raises what it likes."""
    (tmp_path / "gnuradio").mkdir()
    (tmp_path / "gnuradio" / "__init__.py").touch()
    (tmp_path / "gnuradio" / "gr.py").write_text("raise AttributeError('_ARRAY_API not found')")
    done = run_doctor(PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    assert done.returncode == 1
    assert "_ARRAY_API" in done.stdout
    assert "PROBLEM" in done.stdout.splitlines()[-1] or "problem" in done.stdout
    assert "Traceback" not in done.stderr


def test_every_problem_has_a_remedy():
    for check in doctor.CHECKS:
        for finding in check():
            assert finding.ok is not False or finding.remedy


def test_shipped_recordings_are_found():
    assert Path(examples.recording("bpsk-kr01")).stat().st_size > 0
    with pytest.raises(FileNotFoundError, match="no recording 'no-such'"):
        examples.recording("no-such")
