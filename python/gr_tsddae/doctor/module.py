# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of this module itself: its compiled part, other copies of it, its models."""

import filecmp
import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from gr_tsddae.doctor.finding import PACKAGE, Finding, checkout, reason, setup_command
from gr_tsddae.missing import pip_line, torch_line


def check_core() -> Iterator[Finding]:
    """Check the compiled module, and the alias package."""
    try:
        importlib.import_module("gr_tsddae.bindings")
    except Exception as error:  # as of GNU Radio itself, which it loads
        yield Finding("C++ core", False, reason(error), setup_command())
        return
    yield Finding("C++ core", True, "loads")
    try:
        importlib.import_module("gnuradio.tsddae")
    except Exception as error:
        yield Finding("gnuradio.tsddae", False, reason(error), setup_command())
    else:
        yield Finding("gnuradio.tsddae", True, "`from gnuradio import tsddae` works")


def check_copies() -> Iterator[Finding]:
    """Check that no other copy of the package lies where Python, or a person, looks for it."""
    places = [Path(entry, "gr_tsddae") for entry in sys.path if entry]
    if folder := checkout():
        places.append(folder / "python" / "gr_tsddae")
    used = _version(PACKAGE)
    yield Finding("gr_tsddae", True, f"{used} at {PACKAGE}")
    for other in dict.fromkeys(place.resolve() for place in places):
        version = _version(other)
        if other == PACKAGE or version is None:
            continue
        if version != used:
            text = f"{other} is another version, {version}; Python takes {used} from {PACKAGE}"
            yield Finding("gr_tsddae", False, text, setup_command())
        elif changed := _differing(other):
            text = f"{other} has another {changed} than {PACKAGE}, which Python takes"
            yield Finding("gr_tsddae", None, text, setup_command())


def _version(package: Path) -> str | None:
    try:
        text = (package / "__init__.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r'^__version__ = "(.+)"', text, re.M)
    return found[1] if found else "unknown"


def _differing(other: Path) -> str:
    """Find a source file that differs between this package and another copy."""
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE)
        twin = other / name
        if not twin.exists() or not filecmp.cmp(file, twin, shallow=False):
            return str(name)
    return ""


def check_models() -> Iterator[Finding]:
    """Open every model that can be found."""
    try:
        from gr_tsddae import zoo
    except ImportError as error:
        yield Finding("models", False, reason(error), pip_line("PyYAML", "safetensors"))
        return
    for folder in filter(None, os.environ.get(zoo.PATH_VARIABLE, "").split(os.pathsep)):
        if not Path(folder).expanduser().is_dir():
            text = f"{zoo.PATH_VARIABLE} names {folder}, which is no folder"
            yield Finding("models", False, text, f"unset {zoo.PATH_VARIABLE}")
    found = zoo.names()
    if not found:
        yield Finding("models", False, "none is found", setup_command())
    for name in found:
        try:
            card = zoo.load(name).card
        except ImportError as error:
            text = f"{name}: {reason(error)}"
            yield Finding("models", False, text, torch_line())
        except zoo.ModelError as error:
            yield Finding("models", False, str(error), _restore(name))
        else:
            text = f"{name}: {card.network}, {len(card.classes)} classes, "
            yield Finding("models", True, f"{text}windows of {card.window_samples}")


def _restore(name: str) -> str:
    """Return the command that brings a shipped model back, or removes one of the user's."""
    from gr_tsddae import zoo

    folder, sources = zoo.find(name), checkout()
    if sources and (sources / "models" / name).is_dir():
        return f"git -C {sources} checkout models && {setup_command()}"
    return f"mv {folder} {folder}.damaged"
