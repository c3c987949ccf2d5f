# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that are read without the library of SigMF have the types and limits that it knows."""

import json

import pytest

from gr_tsddae.iq.sigmf import metadata
from gr_tsddae.iq.sigmf.fields import SCHEMA

schema = pytest.importorskip("sigmf.schema")
FACTS = ("type", "minimum", "exclusiveMinimum", "maximum")


def fields(section, of):
    found = of["properties"][section]
    return found.get("items", found)["properties"]


@pytest.mark.parametrize("section", ["global", "captures", "annotations"])
def test_types_and_limits_are_those_of_the_library(section):
    known = fields(section, schema.get_schema())
    for name, rule in fields(section, SCHEMA).items():
        assert {key: rule.get(key) for key in FACTS} == {key: known[name].get(key) for key in FACTS}


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("global", "core:sample_rate", -1),
        ("captures", "core:frequency", "433 MHz"),
        ("captures", "core:datetime", 12),
        ("annotations", "core:label", 5),
        ("annotations", "core:freq_lower_edge", True),
        ("annotations", "core:sample_count", -3),
    ],
)
def test_the_same_faults_are_found_without_the_library(section, field, value, monkeypatch):
    entry = {"core:sample_start": 0}
    written = {"global": {"core:datatype": "cf32_le"}, "captures": [entry], "annotations": [entry]}
    if section == "global":
        written[section][field] = value
    else:
        written[section] = [entry | {field: value}]
    text = json.dumps(written).encode()
    expected = metadata.parse(text, "x")
    assert len(expected[1]) == 1 and field in expected[1][0]
    monkeypatch.setattr(metadata, "_schema", lambda: SCHEMA)
    assert metadata.parse(text, "x") == expected
