# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/add-a-dataset-reader.md, followed to the letter: a file of one's own, then a package."""

import json
import re
import sys
from importlib import import_module

import numpy as np
import pytest
from pages import DOCS, commands, run, write_files

from gr_tsddae import data

PAGE = "add-a-dataset-reader.md"


@pytest.fixture
def folder(tmp_path):
    """The page's files, and a folder of windows in the page's layout."""
    write_files(PAGE, tmp_path)
    windows = tmp_path / "my-windows"
    windows.mkdir()
    iq = np.exp(0.3j * np.arange(12 * 64)).astype(np.complex64).reshape(12, 64)
    iq[3, 5] = np.nan
    np.save(windows / "tone.npy", iq)
    np.save(windows / "noise.npy", iq[::-1])
    np.save(windows / "other.npy", np.zeros((2, 64), np.complex64))
    return tmp_path


def test_the_reader_of_the_page(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(data._REGISTRY, "_places", dict(data._REGISTRY._places))
    monkeypatch.delitem(sys.modules, "npy_folder", raising=False)
    try:
        import_module("npy_folder")
        path = folder / "my-windows"
        assert "npy-folder" in data.kinds() and "npy-folder" not in data.KINDS
        assert data.description("npy-folder").startswith("A folder with one .npy file per class")
        found = data.open_dataset("npy-folder", path, only=["tone"], snr_db="1e1", licence="MIT")
        assert found.classes == ("tone",) and set(found.level_db) == {10} and found.licence == "MIT"
        assert found.skipped == {"not finite": 1} and len(found) == 11
        iq = np.load(path / "tone.npy")
        rows = found.rows(np.array([3]))  # the fourth that is left is the fifth
        assert np.array_equal(rows[0], [iq[4].real, iq[4].imag])
        assert data.open_dataset("npy-folder", path).summary()["skipped"] == {
            "not finite": 2, "all zero": 2,
        }  # fmt: skip
        with pytest.raises(data.DatasetError, match="npy-folder: only is 'tone'; give a list"):
            data.open_dataset("npy-folder", path, only="tone")
        with pytest.raises(data.DatasetError, match="has no option oly; there are: snr_db, only"):
            data.open_dataset("npy-folder", path, oly=["tone"])
    finally:
        sys.modules.pop("npy_folder", None)


@pytest.mark.timeout(600)
def test_used_by_the_commands_of_the_page(folder):
    use, _ = commands(PAGE)
    printed = run(use, folder)
    assert "\nnpy-folder    A folder with one .npy file per class" in printed
    assert "options: snr_db=None, only=(), licence=None" in printed
    assert re.search(r"^levels +SNR 10 dB; 22 windows each$", printed, re.MULTILINE)
    assert json.loads((folder / "replay.sigmf-meta").read_text())["annotations"]


def test_offered_by_the_package_of_the_page(folder):
    pytest.importorskip("setuptools", reason="no setuptools")
    _, install = commands(PAGE)
    assert re.search(r"^dataset +npy-folder, task amc$", run(install, folder), re.MULTILINE)


def test_one_line_makes_it_ours():
    """The page shows a line as those of `_READERS` are."""
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    line = re.search(r'^ +"npy-folder": \("(\w+)", "[^"]+"\),$', page, re.MULTILINE)
    assert line and all(len(entry) == 2 for entry in data._READERS.values())
