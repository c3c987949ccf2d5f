# SPDX-License-Identifier: GPL-3.0-or-later
"""What users read where a package is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gr_tsddae import missing

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples" / "data" / "bpsk-kr01.sigmf-meta"


def run_without(package: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python in which a package cannot be imported."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = [{str(RECORDING)!r}]; {code}"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120
    )


@pytest.mark.parametrize("module", ["classify", "survey"])
def test_commands_say_how_to_get_torch(module):
    code = f"import runpy; runpy.run_module('gr_tsddae.{module}', run_name='__main__')"
    done = run_without("torch", code)
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "networks need torch" in error and "pip install" in error
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("block", ["classifier", "anomaly_detector"])
def test_blocks_say_how_to_get_torch(block):
    pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
    done = run_without("torch", f"from gnuradio import tsddae; tsddae.{block}()")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: networks need torch") and "pip install" in last


def test_only_what_networks_need_is_explained():
    error = missing.explained(ImportError("no", name="safetensors"))
    assert "networks need safetensors" in str(error) and "pip install" in str(error)
    other = ImportError("no", name="openvino")
    assert missing.explained(other) is other


def test_reads_sigmf_without_its_library():
    """Debian has no package of it."""
    code = "from gr_tsddae.iq.captures import open_capture; print(open_capture(sys.argv[1]).format)"
    assert run_without("sigmf", code).stdout == "sigmf cf32\n"


def test_the_python_of_a_distribution_gets_packages_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setattr(missing.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert missing.pip_line("sigmf>=1.3") == f"{sys.executable} -m pip install 'sigmf>=1.3'"
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    assert "install --user --break-system-packages 'sigmf>=1.3'" in missing.pip_line("sigmf>=1.3")
    monkeypatch.setattr(sys, "prefix", "/home/user/venv")
    assert "--user" not in missing.pip_line("sigmf>=1.3")


@pytest.mark.parametrize("version", ["1.13.1", "2.3.0a0+debian"])
def test_a_torch_that_is_too_old_is_named(version):
    with pytest.raises(ImportError, match=rf"torch {version.replace('+', '.')} is too old.*2\.4"):
        missing.check_torch(version)
    missing.check_torch("2.10.0+cpu")
