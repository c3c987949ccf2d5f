# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that several processes write at once."""

import json
import os

import pytest

from gr_tsddae.files import replacing, write_json


def test_another_process_writes_the_same_file_meanwhile(tmp_path, monkeypatch):
    path = tmp_path / "figure.json"
    with replacing(path) as partial:
        partial.write_text("ours")
        assert not path.exists()
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            write_json(path, {"theirs": "é"})
        assert json.loads(path.read_text()) == {"theirs": "é"}
    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]


def test_what_goes_wrong_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, [1])
    with pytest.raises(OSError, match="full"), replacing(path) as partial:
        partial.write_text("half")
        raise OSError("the disk is full")
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]
