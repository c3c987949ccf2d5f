# SPDX-License-Identifier: GPL-3.0-or-later
"""What `pip install .` takes along, where no CMake copies the whole folder; what CMake removes."""

from __future__ import annotations

import shutil
import subprocess
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


def test_every_data_file_is_taken_along():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    taken = {
        path
        for package, globs in patterns.items()
        for pattern in globs
        for path in (ROOT / "python").joinpath(*package.split(".")).glob(pattern)
    }
    package = ROOT / "python" / "gr_tsddae"
    data = {path for suffix in ("yaml", "json") for path in package.rglob(f"*.{suffix}")}
    assert len(data) > 10 and data <= taken


def test_no_two_test_files_share_a_name():
    """pytest imports them by name alone, since there are no packages among them."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_uninstalling_leaves_what_others_put_there(tmp_path):
    package = tmp_path / "prefix" / "site-packages" / "gr_tsddae"
    other = package.parent / "other" / "__init__.py"
    for file in (package / "zoo.py", package / "models" / "amc-old" / "card.yaml", other):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "zoo.pyc").touch()
    manifest = tmp_path / "install_manifest.txt"
    manifest.write_text(f"{package}/zoo.py\n{package}/models/amc-old/card.yaml")
    script = ROOT / "cmake" / "Uninstall.cmake"
    for _ in range(2):  # again, it finds nothing
        subprocess.run(["cmake", f"-DMANIFEST={manifest}", "-P", str(script)], check=True)
    assert list((tmp_path / "prefix" / "site-packages").rglob("*")) == [other.parent, other]
