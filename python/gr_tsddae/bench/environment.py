# SPDX-License-Identifier: GPL-3.0-or-later
"""What a figure was measured on, and what the process takes of it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path

import numpy as np
import torch

import gr_tsddae

PACKAGE = Path(gr_tsddae.__file__).resolve().parent


def environment() -> dict[str, object]:
    """Machine, versions and commit, for the JSON of a result."""
    cuda = torch.cuda.is_available()
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "gpu": torch.cuda.get_device_name() if cuda else "",
        "torch_threads": torch.get_num_threads(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "openvino": _version_of("openvino"),
        "numpy": np.__version__,
        "gr_tsddae": gr_tsddae.__version__,
        "commit": _commit(),
    }


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def memory_mib() -> float:
    """What the process holds of the machine's memory (resident set)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def process_age_s() -> float:
    """Since this process was started."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # field 22 of proc(5), since boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


def _commit() -> str:
    """Of the checkout this runs in; empty when the package does not lie in one, or without git."""
    try:
        asked = subprocess.run(
            ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
    except OSError:
        return ""
    return asked.stdout.strip()
