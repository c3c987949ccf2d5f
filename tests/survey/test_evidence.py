# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured of the keying has its say beside the model."""

import numpy as np
import pytest

from gr_tsddae.survey.evidence import SHOWN, regularity, settled, weighed
from gr_tsddae.survey.naming import CLASSES

FREQUENCY = {"envelope_moment": 1.0, "keying": "frequency"}
NOTHING = {"envelope_moment": 1.0}


@pytest.mark.parametrize(
    ("measured", "kind"),
    [
        ({}, None),
        ({"bursts": 3}, None),
        (NOTHING, "nothing"),
        (FREQUENCY, "frequency"),
        ({"narrower_than_hz": 600.0}, "narrow"),
        ({"envelope_moment": 2.0, "ofdm_useful_s": 1e-3}, "nothing"),
        ({"envelope_moment": 2.0, "ofdm_useful_s": 1e-3, "ofdm_prefix_s": 1e-4}, "prefix"),
        ({"envelope_moment": 1.0, "chirp_hz_per_s": 2e5}, "chirp"),
    ],
)
def test_what_was_measured_has_a_name(measured, kind):
    assert regularity(measured) == kind
    assert kind is None or kind in SHOWN


def test_classes_and_shares_are_possible():
    for shares in SHOWN.values():
        assert set(shares) <= set(CLASSES) and all(0 < share <= 1 for share in shares.values())
    for name in set().union(*SHOWN.values()):
        measured = [shares.get(name, 0) for kind, shares in SHOWN.items() if kind != "narrow"]
        assert sum(measured) <= 1.05, name


def test_a_symbol_rate_in_the_frequency_tells_fsk_from_fm():
    classes, said = ("FM", "2-FSK", "QAM16"), np.array([0.6, 0.3, 0.1])
    keyed, plain = weighed(said, classes, FREQUENCY), weighed(said, classes, NOTHING)
    assert keyed.sum() == plain.sum() == pytest.approx(1)
    assert classes[keyed.argmax()] == "2-FSK" and keyed[1] > 0.8
    assert classes[plain.argmax()] == "FM" and plain[0] > 0.8
    assert np.array_equal(weighed(said, classes, {}), said)


def test_what_is_too_narrow_to_be_measured_is_a_carrier_before_it_is_a_voice():
    found = weighed(np.array([0.4, 0.6]), ("carrier", "AM-DSB"), {"narrower_than_hz": 600.0})
    assert found == pytest.approx([0.4 / 0.52, 0.12 / 0.52])


def test_a_model_that_is_sure_is_not_overruled():
    said = np.array([0.995, 0.005])
    assert weighed(said, ("FM", "2-FSK"), FREQUENCY)[0] > 0.9


def test_classes_of_a_user_stand_as_the_model_says():
    said = np.array([0.6, 0.4])
    assert weighed(said, ("doorbell", "garage"), FREQUENCY) == pytest.approx(said)


def test_a_prefix_overrules_a_model_that_is_sure_of_phase_keying():
    prefix = {"envelope_moment": 1.3, "ofdm_useful_s": 3.2e-6, "ofdm_prefix_s": 8e-7}
    assert weighed(np.array([0.95, 0.05]), ("8PSK", "OFDM"), prefix)[1] > 0.75
    assert weighed(np.array([0.99, 0.01]), ("AM-SSB", "OFDM"), prefix)[0] > 0.9


@pytest.mark.parametrize(
    ("label", "measured", "settles"),
    [
        ("OFDM", {"ofdm_prefix_s": 1e-4}, True),
        ("AM-SSB", {"ofdm_prefix_s": 1e-4}, False),  # a voice shows one at times
        ("OFDM", NOTHING, False),
        ("LoRa", {"chirp_hz_per_s": 2e5}, False),  # sweeps have chirps, too
        ("GFSK", FREQUENCY, False),
        ("OFDM", {}, False),
    ],
)
def test_a_prefix_alone_settles_the_class(label, measured, settles):
    assert settled(label, measured) == settles
