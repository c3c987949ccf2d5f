# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission as a dictionary, and back."""

import json

import pytest

from gr_tsddae.survey.emission import Emission

MEASURED = Emission(
    id=7, start_s=1.5, stop_s=4.25, low_hz=-3000.0, high_hz=9000.0, snr_db=12.5,
    bursts=[(1.5, 2.0), (4.0, 4.25)], symbol_rate_hz=4800.0, measured={"deviation_hz": 1944.0},
    label="4-FSK", confidence=0.75, probabilities={"4-FSK": 0.75, "FM": 0.25},
    candidates=["DMR"], reasons=["4-FSK, 4800 Bd: consistent with DMR"], band_center_hz=145e6,
)  # fmt: skip


def test_what_json_has_becomes_the_same_emission():
    values = json.loads(json.dumps(MEASURED.as_dict()))
    assert values["low_hz"] == 145e6 - 3000
    assert Emission.from_dict(values, 145e6) == MEASURED


def test_what_is_absent_is_unknown():
    emission = Emission.from_dict({"id": 1, "low_hz": -10, "high_hz": 30}, None)
    assert (emission.center_hz, emission.bandwidth_hz, emission.label) == (10, 40, "unknown")
    assert emission.measured == {} and emission.probabilities == {}


def test_a_box_needs_its_edges():
    with pytest.raises(KeyError, match="high_hz"):
        Emission.from_dict({"id": 1, "low_hz": -10}, None)
