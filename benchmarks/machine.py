# SPDX-License-Identifier: GPL-3.0-or-later
"""What a result was measured on."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import torch

import gr_tsddae

ROOT = Path(__file__).resolve().parent


def results_folder() -> Path:
    folder = ROOT / "results"
    folder.mkdir(exist_ok=True)
    return folder


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


def describe(device: torch.device) -> dict[str, object]:
    """Machine, versions and commit, for the results' JSON."""
    try:
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
            capture_output=True, text=True, check=False,
        ).stdout.strip()  # fmt: skip
    except OSError:  # no git
        commit = ""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "gr_tsddae": gr_tsddae.__version__,
        "commit": commit,
    }
