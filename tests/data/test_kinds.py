# SPDX-License-Identifier: GPL-3.0-or-later
"""One table of kinds: what Companion offers, what the page describes, what commands list."""

from pathlib import Path

import pytest
import yaml

from gr_tsddae import data
from gr_tsddae.data import KINDS, DatasetError, open_dataset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def register(monkeypatch):
    """`data.register`, forgotten after the test."""
    monkeypatch.setattr(data._REGISTRY, "_places", dict(data._REGISTRY._places))
    return data.register


def test_companion_offers_each_of_them_and_takes_others():
    block = yaml.safe_load((ROOT / "grc" / "tsddae_rml_source.block.yml").read_text("utf-8"))
    kind = next(each for each in block["parameters"] if each["id"] == "kind")
    assert tuple(kind["options"]) == KINDS and len(kind["option_labels"]) == len(KINDS)
    assert kind["dtype"] == "string"  # an enum would take no other


def test_the_page_describes_each_of_them():
    page = (ROOT / "docs" / "datasets.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(any(f"`{kind}`" in row.split("|")[1] for row in rows) for kind in KINDS)


def test_a_reader_that_is_none_is_refused(register):
    register("mine", lambda kind, path: [])
    register("number", 5)
    with pytest.raises(DatasetError, match="the reader of mine returns list, not a Dataset"):
        open_dataset("mine", "here")
    with pytest.raises(DatasetError, match="the reader of number is 5, which is no function"):
        open_dataset("number", "here")
    with pytest.raises(ValueError, match="there is a dataset kind 'npz' already"):
        register("npz", lambda kind, path: [])


def test_an_unknown_kind_names_the_door():
    with pytest.raises(
        DatasetError, match=r"no dataset kind 'mat'; .*rml2016.10a.*GR_TSDDAE_PLUGINS"
    ):
        open_dataset("mat", "here")
