# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on this very installation, and on broken ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import gr_tsddae
from gr_tsddae import doctor, examples, missing
from gr_tsddae.doctor import companion, interpreter, module, packages

PYTHON = Path(gr_tsddae.__file__).parents[1]


def run_check(name: str, **environment: str) -> str:
    """Run one check in a process of its own; return what it finds, a line each."""
    module, check = name.split(":")
    code = (
        f"from gr_tsddae.doctor.{module} import {check}\n"
        f"for found in {check}():\n"
        f"    print(found.ok, found.text, found.remedy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def ahead(*folders: Path) -> str:
    """PYTHONPATH with folders before all others."""
    return os.pathsep.join([*map(str, folders), *filter(None, sys.path)])


def failing(monkeypatch, name, error):
    """Let one module fail to import in this process."""
    real = packages.importlib.import_module

    def import_module(asked):
        if asked == name:
            raise error
        return real(asked)

    monkeypatch.setattr(packages.importlib, "import_module", import_module)


def test_a_good_installation_is_well(capsys):
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
    assert doctor.main([]) == 0
    said = capsys.readouterr().out
    for what in ("Python", "GNU Radio", "numpy", "torch", "gr_tsddae", "C++ core", "windows",
                 "receivers", "models"):  # fmt: skip
        assert f"{what}: " in said
    assert "Companion" in said
    assert said.endswith("all is well\n")


# GNU Radio Companion


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Blocks in a prefix that Companion does not know, and a home without settings."""
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    blocks = tmp_path / "prefix" / companion.BLOCKS
    blocks.mkdir(parents=True)
    (blocks / companion.BLOCK_FILE).touch()
    monkeypatch.setattr(companion.sys, "prefix", str(tmp_path / "prefix"))
    settings = tmp_path / "settings" / "config.conf"
    monkeypatch.setattr(companion, "settings_file", lambda: settings)
    monkeypatch.setattr(companion, "block_folders", lambda: [tmp_path / "other"])
    return blocks, settings


def test_it_adds_the_folder_of_blocks_when_it_is_told_to(elsewhere, monkeypatch):
    blocks, settings = elsewhere
    monkeypatch.setattr(companion, "_check_program", lambda: [])
    (found,) = companion.check_companion()
    assert found.ok is None and str(blocks) in found.text and "--fix" in found.remedy
    assert not settings.exists(), "nothing is written unasked"
    found.fix()
    assert settings.read_text() == f"[grc]\nlocal_blocks_path = {blocks}\n"


def test_companion_of_this_gnuradio_sees_blocks_that_the_doctor_added(tmp_path):
    pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
    clean = {"HOME": str(tmp_path), "GRC_BLOCKS_PATH": ""}
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    (blocks / companion.BLOCK_FILE).touch()
    add = "import pathlib; from gr_tsddae.doctor.companion import add_folder as add; "
    add += f"add(pathlib.Path({str(blocks)!r}))"
    subprocess.run([sys.executable, "-c", add], env=os.environ | clean, check=True, timeout=120)
    assert "Companion sees them in" in run_check("companion:check_companion", **clean)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[grc]\nlocal_blocks_path = /b\n"),
        ("[log]\nlevel = info", "[log]\nlevel = info\n[grc]\nlocal_blocks_path = /b\n"),
        ("# mine\n[grc]\nxterm = x\n", "# mine\n[grc]\nlocal_blocks_path = /b\nxterm = x\n"),
        (
            "[grc]\nlocal_blocks_path = /a  \n[qtgui]\nstyle = x\n",
            "[grc]\nlocal_blocks_path = /a:/b\n[qtgui]\nstyle = x\n",
        ),
        ("[grc]\nlocal_blocks_path =\n", "[grc]\nlocal_blocks_path = /b\n"),
        ("[a]\nlocal_blocks_path = /x\n[grc]", "[a]\nlocal_blocks_path = /x\n[grc]\n"
         "local_blocks_path = /b\n"),
    ],
)  # fmt: skip
def test_other_settings_stay_as_they_are(before, after):
    assert companion.with_block_folder(before, Path("/b")) == after


def test_a_python_of_companion_without_the_module(elsewhere, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "gnuradio-companion"
    program.parent.mkdir()
    python = tmp_path / "bin" / "python-without"
    python.write_text("#!/bin/sh\nexit 1\n")
    program.write_text(f"#!{python}\n")
    for file in (python, program):
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    (found,) = companion.check_companion()
    assert found.ok is None and str(python) in found.text
    assert found.fix is None, "blocks would be shown that do not run"


# Python, GNU Radio and numpy


def test_a_missing_gnuradio_is_a_problem_not_a_crash(monkeypatch):
    monkeypatch.setitem(sys.modules, "gnuradio", None)
    monkeypatch.setitem(sys.modules, "gnuradio.gr", None)
    monkeypatch.setattr(interpreter, "_complaint", lambda python: "No module named 'gnuradio'")
    (found,) = interpreter.check_gnuradio()
    assert found.ok is False and "apt-get install gnuradio" in found.remedy


def test_the_wrong_python_is_told_the_right_one(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gnuradio.gr", None)
    monkeypatch.setattr(interpreter, "checkout", lambda: None)
    monkeypatch.setattr(
        interpreter, "_complaint", lambda python: "" if python == "/usr/bin/python3" else "none"
    )
    (found,) = interpreter.check_gnuradio()
    assert "wrong Python" in found.text and found.remedy.endswith("PYTHON=/usr/bin/python3")


@pytest.mark.parametrize(
    "content",
    [
        "raise AttributeError('_ARRAY_API not found')",
        # What 3.10.5 really does under numpy 2
        "import sys; print('compiled using NumPy 1.x', file=sys.stderr)\n"
        "raise ImportError('initialization failed')",
    ],
)
def test_a_gnuradio_built_for_another_numpy(tmp_path, content):
    (tmp_path / "gnuradio").mkdir()
    (tmp_path / "gnuradio" / "__init__.py").touch()
    (tmp_path / "gnuradio" / "gr.py").write_text(content)
    said = run_check("interpreter:check_gnuradio", PYTHONPATH=ahead(tmp_path))
    assert "False GNU Radio was built for another major version of numpy" in said
    assert "pip install 'numpy" in said or "make setup" in said


def test_pip_is_not_all_for_a_python_of_the_system(monkeypatch, tmp_path):
    """PEP 668: Debian 12 and later, Ubuntu 23.04 and later."""
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(missing.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    _, found = interpreter.check_interpreter()
    assert found.ok is None and "PEP 668" in found.text
    assert "-m venv --system-site-packages" in found.remedy


# What comes from elsewhere


def test_a_missing_torch(monkeypatch):
    failing(monkeypatch, "torch", ImportError("No module named 'torch'"))
    (found,) = packages.check_torch()
    assert found.ok is False and "pip install" in found.remedy and "torch" in found.remedy


@pytest.mark.parametrize(
    ("cuda", "driver", "ok", "words"),
    [
        ("12.8", False, None, "--index-url https://download.pytorch.org/whl/cpu"),
        ("12.8", True, False, "nvidia-smi"),
        (None, True, False, "--force-reinstall torch"),
        (None, False, None, ""),
    ],
)
def test_a_torch_that_does_not_fit_the_machine(monkeypatch, tmp_path, cuda, driver, ok, words):
    torch = types.SimpleNamespace(
        __version__="2.9.0",
        version=types.SimpleNamespace(cuda=cuda, hip=None),
        cuda=types.SimpleNamespace(is_available=lambda: False),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(packages, "DRIVER", str(tmp_path if driver else tmp_path / "none"))
    gpu = list(packages.check_torch())[1]
    assert gpu.ok is ok and gpu.remedy.endswith(words)


def test_the_faster_engine_is_missing(monkeypatch):
    def missing(package):
        raise packages.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(packages.importlib.metadata, "version", missing)
    found = packages.check_openvino()
    assert found.ok is None, "nothing is wrong without it"
    assert "install openvino" in found.remedy


@pytest.mark.parametrize("name", ["qtpy", "qtpy.QtWidgets", "pyqtgraph"])
def test_windows_need_three_packages(monkeypatch, name):
    pytest.importorskip("qtpy.QtWidgets")
    pytest.importorskip("pyqtgraph")
    failing(monkeypatch, name, ImportError(f"No module named {name!r}"))
    (found,) = packages.check_windows()
    assert found.ok is None, "a station without a screen does without"
    assert found.remedy.endswith(packages.WINDOW_PACKAGES[name])


def test_a_driver_of_receivers_that_is_missing_or_broken(monkeypatch):
    broken = {"gr_tsddae_no_such": ("gr-osmosdr", "gr-osmosdr"), "json": ("JSON", "")}
    monkeypatch.setattr(packages, "RADIOS", broken)
    missing, there = packages.check_radios()
    assert missing.ok is None and "No module named 'gr_tsddae_no_such'" in missing.text
    assert missing.remedy.endswith("install gr-osmosdr")
    assert there.ok is True and there.text == "JSON"


# The module itself


def test_an_old_copy_beside_a_checkout(tmp_path):
    old = tmp_path / "gr_tsddae"
    old.mkdir()
    (old / "__init__.py").write_text('__version__ = "0.0.1"\n')
    said = run_check("module:check_copies", PYTHONPATH=ahead(PYTHON, tmp_path))
    assert f"False {old} is another version, 0.0.1" in said


def test_a_copy_of_the_same_version_with_other_content(tmp_path, monkeypatch):
    (tmp_path / "gr_tsddae").mkdir()
    shutil.copy(module.PACKAGE / "__init__.py", tmp_path / "gr_tsddae")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(module, "checkout", lambda: None)
    _, found = module.check_copies()
    assert found.ok is None and ".py than" in found.text


def test_a_damaged_model_is_named(model_folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(model_folder, tmp_path / "worn")
    (tmp_path / "worn" / "model.safetensors").write_bytes(b"\0" * 100)
    monkeypatch.setenv("GR_TSDDAE_MODELS", str(tmp_path))
    monkeypatch.setattr(doctor, "CHECKS", (module.check_models,))
    assert doctor.main([]) == 1
    said = capsys.readouterr().out
    assert "PROBLEM models" in said and f"mend it with: mv {tmp_path}/worn" in said
    assert said.endswith("1 problem(s)\n")


def test_a_folder_of_models_that_is_gone(monkeypatch, tmp_path):
    monkeypatch.setenv("GR_TSDDAE_MODELS", str(tmp_path / "gone"))
    found = next(found for found in module.check_models() if found.ok is False)
    assert "which is no folder" in found.text and found.remedy == "unset GR_TSDDAE_MODELS"


def test_shipped_recordings_are_found():
    assert Path(examples.recording("bpsk-kr01")).stat().st_size > 0
    with pytest.raises(FileNotFoundError, match="no recording 'no-such'"):
        examples.recording("no-such")
