# SPDX-License-Identifier: GPL-3.0-or-later
"""What `pip install .` takes along, where no CMake copies the whole folder."""

from __future__ import annotations

from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
ROOT = Path(__file__).resolve().parents[1]


def test_every_package_is_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    python = ROOT / "python"
    found = {
        ".".join(path.parent.relative_to(python).parts)
        for path in (python / "gr_tsddae").rglob("__init__.py")
    }
    assert set(listed) == found | {"gr_tsddae.models"}


def test_no_two_test_files_share_a_name():
    """pytest imports them by name alone, since there are no packages among them."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
