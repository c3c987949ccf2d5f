# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae models`: what it lists, describes and checks; where a user's own models lie."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gr_tsddae import zoo
from gr_tsddae.condition import parser as condition_parser
from gr_tsddae.zoo.__main__ import main

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "amc-nano"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A model of the user's own, in the folder of XDG."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert zoo.user_folder() == tmp_path / "gr-tsddae" / "models"
    folder = zoo.user_folder() / "mine"
    shutil.copytree(SHIPPED, folder)
    return folder


def test_the_list_has_shipped_and_own_models(mine, capsys):
    assert main([]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert re.search(
        r"amc +12 +128 +8 samples/symbol +63 %; 95 % at 24 dB .* shipped", rows["amc-nano"]
    )
    assert rows["mine"].endswith(str(zoo.user_folder()))
    assert "4 x bandwidth" in rows["air-small"]
    assert re.search(r"denoising +- +128", rows["denoise-mini"])


def test_a_model_of_the_users_own_is_found_everywhere(mine):
    assert zoo.find("mine") == mine
    assert "mine" in condition_parser().format_help()


def test_without_xdg_it_is_below_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    for wrong in ("", "relative/path"):  # which the specification says to ignore
        monkeypatch.setenv("XDG_DATA_HOME", wrong)
        assert zoo.user_folder() == Path("/home/someone/.local/share/gr-tsddae/models")


def test_a_description_says_what_the_card_says(capsys):
    assert main(["amc-nano", "air-small"]) == 0
    nano, air = capsys.readouterr().out.split("\n\n")
    assert "12 classes: 8PSK, AM-DSB" in nano and "also a signal that it was never taught" in nano
    assert "The sample rate must be 8 samples/symbol." in nano
    assert "78 % at 0 dB" in nano
    assert "`unknown`" in air and "4 x bandwidth" in air


def test_checks_find_damage_and_a_card_that_cannot_be_read(mine, capsys):
    assert main(["--check", "mine", "amc-nano"]) == 0
    weights = mine / zoo.WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1])
    assert main(["--check"]) == 1
    said = capsys.readouterr()
    assert re.search(r"^PROBLEM mine: .*sha256", said.out, re.MULTILINE)
    assert re.search(r"^ok      amc-nano", said.out, re.MULTILINE)
    assert "1 of" in said.err
    (mine / zoo.CARD_FILE).write_text("name: 3")
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "mine cannot be used: " in said and "amc-small" in said


def test_an_unknown_name(capsys):
    assert main(["amc-nanno"]) == 1
    assert (
        "no model 'amc-nanno' (did you mean 'amc-nano'?): it is neither" in capsys.readouterr().err
    )
