# SPDX-License-Identifier: GPL-3.0-or-later
"""When `make setup` has something to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BEFORE_S, INSTALLED_S, AFTER_S = 1.7e9, 1.7e9 + 60, 1.7e9 + 120


@pytest.fixture
def tree(tmp_path):
    """A tree that was installed a minute after its last change."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    module = tmp_path / "python" / "gr_tsddae" / "zoo.py"
    installed = tmp_path / ".venv" / ".installed"
    needed = ("pyproject.toml", "tools/setup_packages", "tools/install_torch")
    others = [tmp_path / name for name in needed]
    for file in (*others, module, installed.with_name(".packages"), installed):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (BEFORE_S, BEFORE_S))
    os.utime(installed, (INSTALLED_S, INSTALLED_S))
    return tmp_path


def is_up_to_date(tree: Path) -> bool:
    return subprocess.run(["make", "--question", "setup"], cwd=tree).returncode == 0


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_changed_a_renamed_and_a_removed_file_are_noticed(tree):
    module = tree / "python" / "gr_tsddae" / "zoo.py"
    assert is_up_to_date(tree)
    os.utime(module, (AFTER_S, AFTER_S))
    assert not is_up_to_date(tree)
    os.utime(module, (BEFORE_S, BEFORE_S))
    assert is_up_to_date(tree)
    module.rename(module.with_name("models.py"))  # keeps its time
    assert not is_up_to_date(tree)
    os.utime(module.parent, (BEFORE_S, BEFORE_S))
    assert is_up_to_date(tree)
    module.with_name("models.py").unlink()
    assert not is_up_to_date(tree)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_what_python_compiles_is_no_change(tree):
    package = tree / "python" / "gr_tsddae"
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "zoo.pyc").touch()
    os.utime(package, (BEFORE_S, BEFORE_S))
    assert is_up_to_date(tree)
