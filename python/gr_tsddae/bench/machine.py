# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the machine that a figure was measured on, and what this process takes of it."""

import contextlib
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


def describe(device: torch.device | str | None = None) -> dict[str, object]:
    """Describe machine, versions and commit, for the JSON of a result."""
    cuda = torch.cuda.is_available()
    named = {} if device is None else {"device": "cpu"}
    if device is not None and torch.device(device).type == "cuda":
        named = {"device": torch.cuda.get_device_name(device)}
    return named | {
        "processor": processor(),
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


def device_name(device: torch.device) -> str:
    """Name a device for people: the GPU, or the processor and the threads torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor()}, {torch.get_num_threads()} threads"


def processor() -> str:
    """Name the processor; its architecture where the system tells no more."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def available_cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0))


def memory_mib() -> float:
    """Measure the memory this process holds (resident set), in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def process_age_s() -> float:
    """Measure the time since this process was started, in seconds."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # field 22 of proc(5), since boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """Name the commit of the checkout this runs in; empty outside a checkout or without git."""
    try:
        asked = subprocess.run(
            ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
    except OSError:
        return ""
    return asked.stdout.strip()
