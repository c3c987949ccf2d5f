# SPDX-License-Identifier: GPL-3.0-or-later
"""What the survey measured of taught recordings tells emissions like them from others."""

import numpy as np
import pytest

from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.evidence import weighed
from gr_tsddae.survey.naming.taught import UNLIKE, facts_of, likelihoods

PREFIX = {"envelope_moment": 2.0, "ofdm_useful_s": 1 / 15e3, "ofdm_prefix_s": 5e-6}


def emission(width_hz=1e4, measured=None, rate_hz=None):
    return Emission(
        id=1, start_s=0.0, stop_s=1.0, low_hz=-width_hz / 2, high_hz=width_hz / 2, snr_db=20.0,
        bursts=[(0.0, 1.0)], symbol_rate_hz=rate_hz, measured=measured or {},
    )  # fmt: skip


def test_facts_are_what_was_measured():
    assert facts_of(emission()) == {"bandwidth_hz": 1e4}
    keyed = emission(rate_hz=4800.0, measured={"envelope_moment": 1.0, "keying": "frequency"})
    assert facts_of(keyed) == {
        "bandwidth_hz": 1e4, "rate_hz": 4800.0, "regularity": "frequency"
    }  # fmt: skip
    assert facts_of(emission(measured=PREFIX)) == {
        "bandwidth_hz": 1e4, "rate_hz": 15e3, "regularity": "prefix"
    }  # fmt: skip


def test_what_is_as_wide_and_as_fast_as_a_taught_recording_is_likely_that_class():
    narrow = [facts_of(emission(1e4, rate_hz=4800.0))]
    wide = [facts_of(emission(1e5, rate_hz=50e3)), facts_of(emission(1.1e5, rate_hz=50e3))]
    taught = {"narrow": narrow, "wide": wide, "noise": []}
    found = likelihoods(emission(1.05e5, rate_hz=50.2e3), taught)
    assert found["wide"] > 100 and found["narrow"] == pytest.approx(UNLIKE**2, rel=0.01)
    assert found["noise"] < 0.1
    # A little away costs little; a measurement that is missing costs nothing.
    assert likelihoods(emission(1.3e5), taught)["wide"] > 4
    assert likelihoods(emission(1e4), {"narrow": [{"bandwidth_hz": 1e4}]})["narrow"] > 4


def test_a_regularity_that_recordings_showed_is_likelier_than_one_that_none_showed():
    shown = facts_of(emission(measured=PREFIX))
    found = likelihoods(emission(measured=PREFIX), {"a": [shown] * 3, "b": [{}, {}, {}]})
    bands = likelihoods(emission(), {"a": [shown] * 3, "b": [{}, {}, {}]})
    assert found["a"] > bands["a"] * 15 * found["b"]


def test_a_taught_class_is_weighed_beside_those_of_the_base():
    classes, said = ("2-FSK", "doorbell"), np.array([0.7, 0.3])
    keyed = {"envelope_moment": 1.0, "keying": "frequency"}
    mine = facts_of(emission(rate_hz=4800.0, measured=keyed))
    for rate_hz, wanted in ((4800.0, "doorbell"), (700.0, "2-FSK")):
        heard = emission(rate_hz=rate_hz, measured=keyed)
        likely = likelihoods(heard, {"doorbell": [mine]})
        found = weighed(said, classes, heard.measured, likely)
        assert classes[found.argmax()] == wanted and found.sum() == pytest.approx(1)
    narrow = likelihoods(emission(300.0), {"doorbell": [mine]})  # nothing else was measured
    assert weighed(said, classes, {}, narrow)[0] > 0.9
