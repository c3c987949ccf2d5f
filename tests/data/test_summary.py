# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae data`."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gr_tsddae.data import KINDS
from gr_tsddae.data.__main__ import main, table


@pytest.fixture
def path(tmp_path):
    rows = np.random.default_rng(1).normal(size=(1500, 2, 128)).astype(np.float32)
    rows[3, 0, 0] = np.nan
    content = {("QPSK", level): rows for level in (-2, 0, 2)} | {("WBFM", 0): rows[:10]}
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps({key: values.copy() for key, values in content.items()}, 2))
    return path


def test_a_table_for_people(path, capsys):
    assert main(["summary", "rml2016.10a", str(path)]) == 0
    lines = {
        line.split("  ")[0]: line.split("  ", 1)[1].split()
        for line in capsys.readouterr().out.splitlines()
        if line
    }
    assert lines["windows"][:4] == ["4,506", "of", "128", "samples,"]
    assert lines["windows"][4] == f"{4506 * 128:,}"
    levels = "SNR -2 to 2 dB, step 2; 1,499 to 1,508 windows each"
    assert " ".join(lines["levels"]) == levels
    assert lines["groups"][0] == "none;" and lines["skipped"] == ["4", "not", "finite"]
    assert lines["licence"] == ["CC-BY-NC-SA-4.0"] and lines["samples/symbol"] == ["8.0"]
    assert lines["QPSK"] == ["4,497", "99.8%"] and lines["WBFM"] == ["9", "0.2%"]


def test_json_for_machines(path, capsys):
    assert main(["summary", "rml2016.10a", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == {"QPSK": 4497, "WBFM": 9} and found["windows"] == 4506
    assert found["levels_db"] == {"-2": 1499, "0": 1508, "2": 1499}
    assert found["skipped"] == {"not finite": 4} and found["samples_per_symbol"] == 8


def test_recordings_without_levels_and_labels():
    text = table(
        {
            "kind": "captures",
            "path": "here",
            "task": "amc",
            "windows": 10,
            "window_samples": 64,
            "samples_per_symbol": None,
            "sample_rate_hz": None,
            "classes": {"a": 7},
            "unlabelled": 3,
            "levels_db": {},
            "level_name": None,
            "groups": 4,
            "skipped": {},
            "licence": "unknown",
        }
    )
    assert "levels          unknown" in text and "groups          4" in text
    assert "(unlabelled)             3   30.0%" in text and "skipped         none" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "holds a list"),
        (["--option", "scan=true"], "'scan=true' is not NAME=VALUE with an option of rml2016.10a"),
    ],
)
def test_one_line_of_error(tmp_path, capsys, options, message):
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps([]))
    assert main(["summary", "rml2016.10a", str(path), *options]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and message in err and err.count("\n") == 1


def test_options_are_yaml(tmp_path, capsys):
    path = tmp_path / "file.npz"
    np.savez(path, X=np.ones((4, 2, 8)))
    assert main(["summary", "npz", str(path), "--json", "--option", "licence='1.0'"]) == 0
    assert json.loads(capsys.readouterr().out)["licence"] == "1.0"
    assert main(["summary", "npz", str(path), "--option", "licence=[1"]) == 1
    assert "not YAML" in capsys.readouterr().err


def test_as_a_command(path):
    def run(*arguments):
        command = [sys.executable, "-m", "gr_tsddae.data", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    kinds = run("kinds")
    assert kinds.returncode == 0
    assert all(f"{kind:<12}  " in kinds.stdout for kind in KINDS)
    missing = run("summary", "rml2016.10a", str(path) + "x")
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1
    assert run("summary", "nonsense", str(path)).returncode == 2


def test_strict_refuses_a_folder_with_a_faulty_recording(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    np.ones(512, np.complex64).tofile(tmp_path / "a" / "good.cf32")
    (tmp_path / "a" / "killed.cf32").write_bytes(bytes(3 + 512 * 8))
    assert main(["summary", "captures", str(tmp_path)]) == 0
    assert main(["summary", "captures", str(tmp_path), "--strict"]) == 1
    assert "killed.cf32" in capsys.readouterr().err.splitlines()[-1]
