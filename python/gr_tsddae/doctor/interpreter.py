# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of Python, and of GNU Radio and the numpy under it."""

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from gr_tsddae.doctor.finding import Finding, checkout, reason, setup_command
from gr_tsddae.missing import is_managed, pip_line


def check_interpreter() -> Iterator[Finding]:
    """Tell which Python runs, and whether pip may install into it."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", True, f"{version} at {sys.executable}")
    if is_managed():
        yield Finding(
            "pip", None,
            "the system manages this Python (PEP 668): pip wants two options, or an environment",
            f"{sys.executable} -m venv --system-site-packages ~/tsddae",
        )  # fmt: skip


def _complaint(python: str | Path) -> str:
    """Let a Python import GNU Radio in a process of its own; return what it says if it cannot."""
    try:
        done = subprocess.run(
            [python, "-c", "import gnuradio.gr"],
            capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr or "no reason") if done.returncode else ""


def check_gnuradio() -> Iterator[Finding]:
    """Check GNU Radio, and numpy's major version, which must be the one it was built with."""
    try:
        gr = importlib.import_module("gnuradio.gr")
    except Exception as error:  # numpy 2 under a numpy 1 build raises more than ImportError
        yield _why_not(reason(error))
        return
    version = gr.version()
    ok = version.startswith(("3.10", "v3.10"))
    text = version if ok else f"{version}, and the blocks are built for 3.10"
    yield Finding("GNU Radio", ok, text, "" if ok else "sudo apt-get install gnuradio gnuradio-dev")
    import numpy

    yield Finding("numpy", True, f"{numpy.__version__}, works with this GNU Radio")


def _why_not(said: str) -> Finding:
    # A GNU Radio for numpy 1 raises "initialization failed" under numpy 2, and prints the reason.
    if "_ARRAY_API" in said or "numpy" in _complaint(sys.executable).lower():
        return _other_numpy()
    folder = checkout()
    own = folder / ".venv" / "bin" / "python" if folder else None
    if own and str(own) != sys.executable and not _complaint(own):
        return Finding(
            "GNU Radio", False,
            f"this is the wrong Python: {sys.executable} has no GNU Radio, and {own} has it",
            f"{own} -m gr_tsddae.doctor",
        )  # fmt: skip
    owner = "/usr/bin/python3"
    if not _complaint(owner):
        return Finding(
            "GNU Radio", False,
            f"this is the wrong Python: {sys.executable} has no GNU Radio, and {owner} has it",
            setup_command(f"PYTHON={owner}"),
        )  # fmt: skip
    install = f"sudo apt-get install gnuradio gnuradio-dev && {setup_command()}"
    return Finding("GNU Radio", False, f"it cannot be imported: {said}", install)


def _other_numpy() -> Finding:
    try:
        version = importlib.import_module("numpy").__version__
    except Exception as error:
        version = reason(error)
    wanted = "numpy>=2" if version.startswith("1.") else "numpy<2"
    return Finding(
        "numpy", False,
        f"GNU Radio was built for another major version of numpy than {version}",
        setup_command() if is_managed() else pip_line(wanted),
    )  # fmt: skip
