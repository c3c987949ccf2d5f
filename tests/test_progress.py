# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress: a bar on a terminal, plain lines elsewhere, nothing for work that is soon done."""

from __future__ import annotations

import sys

from gr_tsddae import progress
from gr_tsddae.progress import Progress


def test_short_work_without_a_terminal_says_nothing(capsys):
    assert list(Progress("counting", "step", over=range(100))) == list(range(100))
    assert capsys.readouterr().err == ""


def test_long_work_without_a_terminal_writes_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with Progress("training", "step", 300, begun=100) as bar:
        bar.set_postfix_str("loss 0.5", refresh=False)
        bar.update(50)
    said = capsys.readouterr().err
    first, *_ = said.splitlines()
    assert first.startswith("training: 50 %, 150 of 300 steps, ")
    assert " step/s, " in first and first.endswith(" left, loss 0.5")
    assert "\r" not in said


def test_without_an_end_there_is_a_rate(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with Progress("surveying", "sample") as bar:
        bar.update(2_400_000)
    assert capsys.readouterr().err.startswith("surveying: 2.40M samples, ")


def test_a_terminal_has_a_bar_which_goes_away(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("measuring", "window", 10) as bar:
        bar.update(5)
        bar.refresh()
    shown = capsys.readouterr().err.split("\r")
    assert any(
        text.startswith("measuring:  50 % |") and "5 of 10 windows" in text for text in shown
    )
    assert shown[-2].strip() == ""  # wiped


def test_quiet_is_quiet(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    assert sum(Progress("counting", "step", over=range(3), quiet=True)) == 3
    assert capsys.readouterr().err == ""
