# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of known content: what is said of them, beside the truth, with counts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gr_tsddae.survey.__main__ import main
from gr_tsddae.survey.truth.recordings import Outcome, counts, lines, read_table
from gr_tsddae.synth.emission import make
from gr_tsddae.synth.emission.parts import at_rate

HEAD = "path,dtype,sample_rate_hz,center_frequency_hz,label,names\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BPSK, noise, and a table of both and of a file that is not there."""
    root = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(2)
    emission = make("BPSK", rng, 0.5, 30e3)
    iq = at_rate(emission.iq, emission.rate_hz, 500e3, 250_000)
    noise = rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq))
    (0.2 * (iq + 0.05 * noise)).astype(np.complex64).tofile(root / "bpsk.cf32")
    (0.01 * noise).astype(np.complex64).tofile(root / "noise.cf32")
    (root / "table.csv").write_text(
        HEAD
        + "bpsk.cf32,cf32,500e3,,BPSK|QPSK,\n"
        + "bpsk.cf32,cf32,500k,100M,8PSK,none of them\n"
        + "bpsk.cf32,cf32,500k,,,\n"
        + "noise.cf32,cf32,500e3,,noise,\n"
        + "noise.cf32,cf32,500e3,,BPSK,\n"
        + "gone.cf32,cf32,500e3,,BPSK,\n"
    )
    return root


def test_each_verdict(folder, capsys):
    assert main(["evaluate", "--recordings", str(folder / "table.csv"), "--json"]) == 0
    said = capsys.readouterr()
    figures = json.loads(said.out)
    verdicts = [each["verdict"] for each in figures["recordings"]]
    assert verdicts == ["right", "wrong", "wrong", "right", "nothing found"]
    assert figures["right"] == 2 and figures["wrong"] == 2 and figures["nothing found"] == 1
    assert figures["wrong above 0.9"] == 2 and figures["count"] == 5
    assert figures["recordings"][0]["label"] == "BPSK"
    assert figures["recordings"][1]["named"] in ("none", "wrong")
    assert "gone.cf32" in said.err


def test_a_fault_is_printed_and_strict_refuses_it(folder, capsys):
    iq = np.ones(20_000, np.complex64).tobytes()
    (folder / "killed.cf32").write_bytes(iq[:-3])
    (folder / "killed.csv").write_text(HEAD + "killed.cf32,cf32,500e3,,noise,\n")
    given = ["evaluate", "--recordings", str(folder / "killed.csv")]
    assert main(given) == 0
    assert "warning: " in capsys.readouterr().err
    assert main([*given, "--strict"]) == 1
    assert "error: " in capsys.readouterr().err


def test_counts():
    outcomes = [
        Outcome("a", "FM", "wrong", 1, "BPSK", 0.95, named="right"),
        Outcome("b", "FM", "wrong", 1, "BPSK", 0.7, named="none"),
        Outcome("c", "FM", "unknown", 1, "unknown", 0.3),
        Outcome("d", "FM", "nothing found"),
    ]
    figures = counts(outcomes)
    assert (figures["wrong"], figures["wrong above 0.9"], figures["unknown"]) == (2, 1, 1)
    assert (figures["right among candidates"], figures["no candidate"]) == (1, 1)


def test_the_table_has_a_line_for_each():
    outcomes = [
        Outcome("x/a.cf32", "FM", "right", 2, "FM", 0.95, 9e3, 20.0, None, ["one", "two", "three"]),
        Outcome("x/d.cf32", "FM", "nothing found"),
    ]
    text = list(lines(outcomes))
    assert "FM 0.95" in text[1] and "one; two" in text[1] and "nothing found" in text[2]
    page = list(lines(outcomes, markdown=True))
    assert len(page) == 4 and all(line.count("|") == 9 for line in page)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\n", "lacks 3 of the columns"),
        (HEAD, "lists no recording"),
        (HEAD + "a,cf32,1e6,,ASK,\n", "line 2: 'ASK' is no class"),
        (HEAD + "a,cf32,fast,,OOK,\n", "line 2: 'fast' is no number"),
        (HEAD + "a,cf32,1e6,,OOK,\n", "add --root DIR"),
    ],
)
def test_a_table_with_a_fault(text, words, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert main(["evaluate", "--recordings", str(path)]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_the_shipped_table_can_be_read():
    from pathlib import Path

    rows = read_table(Path(__file__).parents[2] / "benchmarks" / "recordings.csv")
    assert len(rows) > 50
    assert all(row.labels and not row.path.startswith("/") for row in rows)
