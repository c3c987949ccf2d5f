# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of docs/, followed to the letter: their files are written, their commands are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def write_files(page: str, folder: Path) -> dict[str, Path]:
    """Write the fenced blocks whose first line is a comment with a file's name; by that name."""
    blocks = re.findall(r"^```\w+\n# (\S+\.\w+)\n(.*?)^```", _text(page), re.DOTALL | re.MULTILINE)
    for name, content in blocks:
        (folder / name).write_text(content, encoding="utf-8")
    return {name: folder / name for name, _ in blocks}


def commands(page: str) -> list[str]:
    """The fenced blocks that are for a shell."""
    return re.findall(r"^```sh\n(.*?)^```", _text(page), re.DOTALL | re.MULTILINE)


def run(command: str, folder: Path, **environment: str) -> str:
    """Run lines in a shell that has this Python, and give what they print.

    `pip install` needs no network, and installs into the folder `site`, which Python searches.
    """
    command = command.replace("pip install", "pip install --no-build-isolation")
    (folder / "bin").mkdir(exist_ok=True)
    for name, module in (("python", ""), ("tsddae", "-m gr_tsddae ")):
        program = folder / "bin" / name
        if not program.exists():
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
            program.chmod(0o755)
    found = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": f"{folder / 'site'}:{os.environ.get('PYTHONPATH', '')}",
            "PIP_TARGET": str(folder / "site"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            **environment,
        },
    )
    assert found.returncode == 0, f"{command}\n{found.stdout}\n{found.stderr}"
    return found.stdout


def _text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")
