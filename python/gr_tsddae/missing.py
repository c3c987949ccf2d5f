# SPDX-License-Identifier: GPL-3.0-or-later
"""What to run where a package is missing, for the Python that runs."""

import sys
import sysconfig
from pathlib import Path

OLDEST_TORCH = (2, 4)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_NETWORKS = ("torch", "safetensors")


def is_managed() -> bool:
    """Tell whether a distribution manages this Python, so that pip refuses it (PEP 668)."""
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return sys.prefix == sys.base_prefix and marker.exists()


def pip_line(*packages: str) -> str:
    """Return the command that installs packages from PyPI for this Python.

    The Python of a distribution refuses pip (PEP 668), unless it is told to install into the
    user's own folder, where flowgraphs and Companion find packages without any variable.
    """
    options = ["--user", "--break-system-packages"] if is_managed() else []
    quoted = [f"'{each}'" if set("<>[") & set(each) else each for each in packages]
    return " ".join([sys.executable, "-m", "pip", "install", *options, *quoted])


def torch_line() -> str:
    """Return what installs all that networks need."""
    # PyPI's builds bring gigabytes of CUDA; "2.9.1+cpu" of the other index is newer than "2.9.1".
    cpu = [] if Path("/proc/driver/nvidia/version").exists() else ["--extra-index-url", CPU_INDEX]
    line = pip_line("torch>={}.{}".format(*OLDEST_TORCH), "safetensors", *cpu)
    if sys.executable != "/usr/bin/python3":
        return line
    return f"sudo apt install python3-torch python3-safetensors (from Debian 13 on), or {line}"


def explained(error: ImportError) -> ImportError:
    """Return the error; where it is about torch or safetensors, one that says how to get both."""
    if error.name not in _NETWORKS:
        return error
    return ImportError(
        f"networks need {error.name}, which {sys.executable} does not have; run: {torch_line()}"
    )


def check_torch(version: str) -> None:
    """Refuse a torch that networks do not run on.

    Raises:
        ImportError: If it is too old.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH:
        raise ImportError(f"torch {version} is too old for networks; run: {torch_line()}")
