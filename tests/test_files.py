# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic writes, by several at once and with what goes wrong; and text in any locale."""

import ast
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import gr_tsddae
from gr_tsddae.files import creating, replacing, write_bytes, write_json, write_text


def test_another_process_writes_the_same_file_meanwhile(tmp_path):
    path = tmp_path / "figure.json"
    other = "import sys, pathlib, gr_tsddae.files as f; f.write_json(pathlib.Path(sys.argv[1]), 1)"
    with replacing(path) as partial:
        partial.write_text("ours")
        assert not path.exists()
        subprocess.run([sys.executable, "-c", other, path], check=True)
        assert json.loads(path.read_text()) == 1
    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_of_one_process_write_the_same_file(tmp_path):
    path, wrong = tmp_path / "status.json", []
    write_json(path, ["x"] * 10_000)

    def write(letter):
        try:
            for _ in range(30):
                write_json(path, [letter] * 10_000)
                (only,) = set(json.loads(path.read_text()))
                assert only in "xabcd"
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_goes_wrong_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "metrics.json"
    write_json(path, [1])
    with pytest.raises(error, match="full"), replacing(path, durable=True) as partial:
        partial.write_text("half")
        raise error("the disk is full")
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_durable_content_is_on_the_disk_before_the_old_one_goes(tmp_path, monkeypatch):
    path, synced = tmp_path / "last.ckpt", []
    path.write_bytes(b"old")
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append((os.fstat(file).st_size, path.read_bytes()))
    )
    write_bytes(path, b"newer", durable=True)
    assert synced == [(5, b"old")]
    assert path.read_bytes() == b"newer"


def test_a_device_is_written_in_place():
    done = subprocess.run(
        [sys.executable, "-c", "import pathlib, gr_tsddae.files as f\n"
         "f.write_text(pathlib.Path('/dev/stdout'), 'héard')"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == "héard".encode()


def test_a_text_that_utf8_cannot_say_is_escaped(tmp_path):
    name = os.fsdecode(b"caf\xe9.npz")  # a file name in Latin-1
    write_json(tmp_path / "metrics.json", {"data": name, "class": "é"})
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8")) == {
        "data": name,
        "class": "é",
    }
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "table.md", name)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_no_half_file_is_left(tmp_path, error):
    with pytest.raises(error), creating(tmp_path / "new" / "x") as partial:
        partial.write_bytes(b"half")
        raise error
    assert not list((tmp_path / "new").iterdir())


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "x").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="not overwritten"), creating(tmp_path / "x"):
        raise AssertionError("the block must not run")
    assert (tmp_path / "x").read_bytes() == b"precious"


def test_disk_without_room(tmp_path):
    with (
        pytest.raises(OSError, match=r"needs 1000000\.00 GB .* make room"),
        creating(tmp_path / "x", 10**15),
    ):
        raise AssertionError("the block must not run")
    assert not list(tmp_path.iterdir())


def leaves_the_encoding_to_the_locale(call: ast.Call) -> bool:
    method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if method else getattr(call.func, "id", "")
    words = {keyword.arg for keyword in call.keywords}
    if "encoding" in words or (method and getattr(call.func.value, "id", "") == "archive"):
        return False  # members of a ZIP archive are bytes
    if name == "open":
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        texts = [
            v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)
        ]
        modes = [text for text in texts if text and set(text) <= set("rwaxbt+")]
        return any("b" not in mode for mode in modes) or not (method or modes)
    return (name == "run" and "text" in words) or (method and name in ("read_text", "write_text"))


def test_every_text_names_its_encoding():
    found = [
        f"{path}:{node.lineno}"
        for path in Path(gr_tsddae.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and leaves_the_encoding_to_the_locale(node)
    ]
    assert found == []
