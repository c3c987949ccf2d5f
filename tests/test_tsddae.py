# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae`: one command for all; its completion; programs that find the blocks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gr_tsddae.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]


def test_help_names_all_and_imports_nothing_large():
    code = (
        "import sys; from gr_tsddae.__main__ import main; status = main(['--help']);"
        "sys.exit(status or str({'numpy', 'scipy', 'torch', 'yaml'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    try:
        status = main([name, "--help"])
    except SystemExit as ended:  # argparse
        status = ended.code
    said = capsys.readouterr().out
    assert status == 0
    assert said.startswith(f"usage: tsddae {name}")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["surevy"], "did you mean 'survey'?"),
        (["bench", "steam"], "did you mean 'stream'?"),
        (["xyz"], "there are: survey, classify"),
    ],
)
def test_a_misspelt_command(words, hint, capsys):
    assert main(words) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["nets"], ["doctor"], ["data", "kinds"]])
def test_nobody_reads_the_output(words):
    """As behind `head`: no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gr_tsddae", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_what_is_not_installed_is_named(monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "survey", ("no_such_package", ""))
    assert main(["survey"]) == 2
    assert "tsddae survey needs no_such_package" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("tsddae sur", ["survey"]),
        ("tsddae models amc-n", ["amc-nano"]),
        ("tsddae survey --min", ["--min-snr"]),
        ("tsddae train dist", ["distill"]),
    ],
)
def test_the_tab_key(line, wanted, tmp_path):
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_TYPE": "9"}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    subprocess.run(  # as the shell's function does, which reads descriptor 8
        ["sh", "-c", 'exec "$0" -m gr_tsddae 8>"$1"', sys.executable, answer],
        env=os.environ | asked, timeout=60,
    )  # fmt: skip
    assert answer.read_text().split() == wanted


def test_companion_and_grcc_find_the_blocks(tmp_path):
    """The program of an environment runs GNU Radio's own, and never itself."""
    bin_folder, system = tmp_path / "venv" / "bin", tmp_path / "usr" / "bin"
    for folder in (bin_folder, system):
        folder.mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    text = (ROOT / "programs" / "with_blocks.in").read_text()
    wrapper = bin_folder / "grcc"
    wrapper.write_text(text.replace("@PYTHON_EXECUTABLE@", sys.executable))
    wrapper.chmod(0o755)
    original = system / "grcc"
    original.write_text(
        "import os, sys\n"
        "print(sys.argv[1:], os.environ['GRC_BLOCKS_PATH'], os.environ['PATH'], sep='\\n')\n"
    )
    original.chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{system}"
    environment = os.environ | {"PATH": path, "GRC_BLOCKS_PATH": "/mine"}
    done = subprocess.run([wrapper, "a.grc"], env=environment, capture_output=True, text=True)
    blocks = tmp_path / "venv" / "share" / "gnuradio" / "grc" / "blocks"
    assert done.stdout.splitlines() == [
        "['a.grc']", f"{blocks}{os.pathsep}/mine", f"{bin_folder}{os.pathsep}{path}",
    ]  # fmt: skip
    original.unlink()
    done = subprocess.run([wrapper], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "install GNU Radio" in done.stderr
