# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check of the installation found, and the command that mends it."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gr_tsddae

PACKAGE = Path(gr_tsddae.__file__).resolve().parent


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: The thing checked.
        ok: True, False, or None when it is fine but worth knowing.
        text: What was found, in one sentence.
        remedy: The command that mends it; always there when `ok` is False.
        fix: Does what the remedy says, where the doctor can, and returns what was done.
    """

    what: str
    ok: bool | None
    text: str
    remedy: str = ""
    fix: Callable[[], str] | None = None


def reason(error: BaseException) -> str:
    """Say in one line why something cannot be imported."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def version_of(module_name: str) -> str:
    """Import a module and return its version."""
    return str(getattr(importlib.import_module(module_name), "__version__", "installed"))


def checkout() -> Path | None:
    """Find the folder with the sources that this package, or the working directory, belongs to."""
    for folder in (Path.cwd(), *PACKAGE.parents, *Path(sys.prefix).resolve().parents):
        if (folder / "tools" / "setup_packages").is_file() and (folder / "Makefile").is_file():
            return folder
    return None


def setup_command(*variables: str) -> str:
    """Return the command that installs what is missing, and the module anew."""
    folder = checkout()
    if folder is None and PACKAGE.is_relative_to("/usr/lib"):  # Debian's package
        return "sudo apt-get install --reinstall gr-tsddae libgnuradio-tsddae0.1"
    where = "" if folder in (None, Path.cwd()) else f"-C {folder} "
    return " ".join(["make", f"{where}setup", *variables])
