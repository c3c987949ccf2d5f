# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that GNU Radio Companion shows the blocks, and runs flowgraphs that hold them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from gr_tsddae.doctor.finding import PACKAGE, Finding, checkout, setup_command
from gr_tsddae.files import replacing

BLOCK_FILE = "tsddae_classifier.block.yml"
BLOCKS = Path("share", "gnuradio", "grc", "blocks")
KEY = "local_blocks_path"


def block_folders() -> list[Path]:
    """List the folders that GNU Radio Companion reads blocks from."""
    from gnuradio import gr

    preferences = gr.prefs()
    joined = os.pathsep.join(
        [
            os.environ.get("GRC_BLOCKS_PATH", ""),
            preferences.get_string("grc", KEY, ""),
            preferences.get_string("grc", "global_blocks_path", ""),
        ]
    )
    own = Path(os.environ.get("GRC_HIER_PATH", Path.home() / ".grc_gnuradio"))
    return [*(Path(p).expanduser() for p in joined.split(os.pathsep) if p), own]


def settings_file() -> Path:
    """Return the file of the user's settings that this GNU Radio reads."""
    from gnuradio import gr

    return Path(gr.userconf_path()) / "config.conf"


def with_block_folder(settings: str, folder: Path) -> str:
    """Add a folder of blocks to the text of GNU Radio's settings; the rest stays as it is."""
    section = re.search(r"^\[grc\][^\S\n]*\n?", settings, re.M)
    if section is None:
        gap = "\n" if settings and not settings.endswith("\n") else ""
        return f"{settings}{gap}[grc]\n{KEY} = {folder}\n"
    end = re.search(r"^\[", settings[section.end() :], re.M)
    stop = section.end() + end.start() if end else len(settings)
    inside = settings[section.end() : stop]
    line = re.search(rf"^{KEY}[^\S\n]*=[^\S\n]*(.*?)[^\S\n]*$", inside, re.M)
    if line is None:
        inside = f"{KEY} = {folder}\n{inside}"
    else:
        paths = os.pathsep.join(filter(None, [line[1], str(folder)]))
        inside = f"{inside[: line.start()]}{KEY} = {paths}{inside[line.end() :]}"
    start = settings[: section.end()]
    return f"{start if start.endswith(chr(10)) else start + chr(10)}{inside}{settings[stop:]}"


def add_folder(folder: Path) -> str:
    """Tell Companion to look for blocks in a folder; return what was done."""
    file = settings_file()
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file.resolve()) as partial:
        partial.write_text(with_block_folder(before, folder), encoding="utf-8")
    return f"{file} has the line {KEY} = ...{folder}; start Companion anew"


def check_companion() -> Iterator[Finding]:
    """Check that GNU Radio Companion will show the blocks."""
    try:
        folders = block_folders()
    except Exception:
        return  # said already
    prefixes = (Path(sys.prefix), *PACKAGE.parents)
    here = next((p / BLOCKS for p in prefixes if (p / BLOCKS / BLOCK_FILE).exists()), None)
    seen = next((folder for folder in folders if (folder / BLOCK_FILE).exists()), None)
    program = list(_check_program())
    if seen:
        yield Finding("GRC blocks", True, f"Companion sees them in {seen}")
    elif here is None:
        yield Finding("GRC blocks", False, "they are not installed", setup_command())
        return
    elif (own := Path(sys.prefix, "bin", "gnuradio-companion")).exists():
        text = f"{own} shows them, and the Companion of the system's menu does not"
        yield Finding("GRC blocks", None, text, str(own))
    elif not program:  # else they would be shown where they do not run
        yield Finding(
            "GRC blocks", None, f"Companion does not look into {here}, where they are",
            "tsddae doctor --fix", lambda: add_folder(here),
        )  # fmt: skip
    yield from program


def _check_program() -> Iterator[Finding]:
    """Check that the Python of Companion, which runs flowgraphs, has the module."""
    program = shutil.which("gnuradio-companion")
    if program is None:
        yield Finding(
            "Companion", None, "gnuradio-companion is not installed",
            "sudo apt-get install gnuradio gir1.2-gtk-3.0",
        )  # fmt: skip
        return
    with open(program, "rb") as file:
        first = file.readline().decode("utf-8", "replace")
    python = first.removeprefix("#!").split()[:1]
    if not first.startswith("#!") or "env" in os.path.basename(python[0]):
        return  # the Python that is first on the path, which may be this one
    done = subprocess.run(
        [python[0], "-c", "import gnuradio.tsddae"], capture_output=True, check=False, timeout=60
    )
    if done.returncode:
        start = f"{sys.executable} {program}"
        yield Finding(
            "Companion", None,
            f"its Python, {python[0]}, does not have gr_tsddae, so flowgraphs would not run there",
            "make companion" if checkout() else start,
        )  # fmt: skip
