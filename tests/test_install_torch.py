# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of torch `make setup` installs: never CUDA where no GPU is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "install_torch"
DRIVER = Path("/proc/driver/nvidia/version")


@pytest.fixture
def install(tmp_path):
    """Runs the script with a Python whose pip only has what it is told: (exit status, calls)."""
    calls = tmp_path / "calls"
    python = tmp_path / "python"

    def run(*builds: str, gpu: bool = False, **environment: str):
        has = "".join(f'*"{build}") exit 0 ;; ' for build in builds)
        python.write_text(f'#!/bin/bash\necho "$*" >> {calls}\ncase "$*" in {has} esac; exit 1\n')
        smi = tmp_path / "nvidia-smi"
        smi.write_text(f"#!/bin/bash\nexit {0 if gpu else 9}\n")
        for file in (python, smi):
            file.chmod(0o755)
        env = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin", "TORCH": ""} | environment
        done = subprocess.run(
            [SCRIPT, python, "-c", "limits.txt"], env=env, capture_output=True, text=True
        )
        return done, calls.read_text().splitlines()

    return run


without_gpu = pytest.mark.skipif(DRIVER.exists(), reason="this machine has an NVIDIA driver")


@without_gpu
def test_a_mirror_with_cpu_builds_is_enough(install):
    done, (call,) = install("+cpu")
    assert done.returncode == 0
    assert "--extra-index-url" not in call and "-c limits.txt" in call


@without_gpu
def test_plain_pypi_has_none_so_the_index_of_cpu_builds_is_asked(install):
    done, (first, second) = install("whl/cpu torch==2.13.0+cpu")
    assert done.returncode == 0
    assert first.endswith("torch==2.13.0+cpu") and "--extra-index-url" in second


@without_gpu
def test_cuda_is_never_taken_unasked(install):
    done, calls = install("torch==2.13.0", "torch")
    assert done.returncode == 1
    assert all(call.endswith("+cpu") for call in calls)
    assert "make setup TORCH=torch" in done.stderr


@without_gpu
@pytest.mark.parametrize(("version", "is_named"), [("2.6.0+dfsg-7", True), ("1.13.1", False)])
def test_the_torch_of_the_system_is_named_where_it_is_new_enough(
    install, tmp_path, version, is_named
):
    (tmp_path / "apt-cache").write_text(f"#!/bin/sh\necho 'Package: x\nVersion: {version}'\n")
    (tmp_path / "apt-cache").chmod(0o755)
    done, _ = install()
    assert done.returncode == 1
    assert ("apt install python3-torch python3-safetensors" in done.stderr) == is_named


def test_a_gpu_gets_the_build_with_cuda(install):
    done, (call,) = install("torch==2.13.0", gpu=True)
    assert done.returncode == 0 and call.endswith("torch==2.13.0") and "--extra" not in call


def test_what_the_user_names_is_taken_as_it_is(install):
    done, (call,) = install("torch==2.9.1", TORCH="torch==2.9.1")
    assert done.returncode == 0 and call.endswith(" torch==2.9.1")
