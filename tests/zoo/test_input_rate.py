# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a stream has the rate of a model's training."""

import dataclasses

import pytest

from gr_tsddae import zoo
from gr_tsddae.zoo.input_rate import disagreement, wanted_rate_hz, wants_one_rate


def test_the_rate_that_a_card_wants(card):
    rates_hz = {"symbol_rate_hz": 10e3, "bandwidth_hz": 13e3}
    assert wanted_rate_hz(card, **rates_hz) == 80e3
    air = dataclasses.replace(card, samples_per_symbol=None, bandwidth_multiple=4.0)
    assert wanted_rate_hz(air, **rates_hz) == 52e3
    one = dataclasses.replace(card, samples_per_symbol=None, sample_rate_hz=10e6)
    assert wanted_rate_hz(one, **rates_hz) == 10e6
    assert [wants_one_rate(each) for each in (card, air, one)] == [False, False, True]
    assert not wants_one_rate(dataclasses.replace(card, sample_rate_hz=10e6))
    with pytest.raises(ValueError, match="names no samples_per_symbol"):
        wanted_rate_hz(dataclasses.replace(card, samples_per_symbol=None), **rates_hz)


@pytest.fixture(scope="module")
def card(model_folder):
    return zoo.read_card(model_folder)  # 8 samples per symbol


@pytest.mark.parametrize("sample_rate_hz", [80e3, 100e3, 60e3])
def test_a_quarter_more_or_less_per_symbol_is_no_disagreement(card, sample_rate_hz):
    assert disagreement(card, sample_rate_hz, 10e3) == ""


@pytest.mark.parametrize("sample_rate_hz", [59e3, 101e3, 1e6])
def test_other_samples_per_symbol_name_the_rate_to_resample_to(card, sample_rate_hz):
    said = disagreement(card, sample_rate_hz, 10e3)
    assert f"{sample_rate_hz / 10e3:.4g} samples per symbol" in said
    assert card.name in said and said.endswith("resample to 80000 samples/s")


def test_another_rate_than_the_recordings_of_teaching(card):
    taught = dataclasses.replace(card, samples_per_symbol=None, sample_rate_hz=2.4e6)
    assert disagreement(taught, 2.5e6, None) == ""
    said = disagreement(taught, 2.0e6, 10e3)
    assert "2e+06 samples/s" in said and "trained with 2.4e+06: resample to that rate" in said


@pytest.mark.parametrize("bandwidth_hz", [20e3, 15e3, 26e3])
def test_the_errors_of_bandwidths_in_training_are_no_disagreement(card, bandwidth_hz):
    air = dataclasses.replace(card, samples_per_symbol=None, bandwidth_multiple=4.0)
    assert disagreement(air, 80e3, None, bandwidth_hz) == ""


@pytest.mark.parametrize("bandwidth_hz", [14e3, 31e3, 1e3])
def test_another_multiple_of_the_bandwidth_names_the_rate_to_resample_to(card, bandwidth_hz):
    air = dataclasses.replace(card, samples_per_symbol=None, bandwidth_multiple=4.0)
    said = disagreement(air, 80e3, 10e3, bandwidth_hz)
    assert f"{80e3 / bandwidth_hz:.4g} times the signal's bandwidth" in said
    assert said.endswith(f"resample to {4 * bandwidth_hz:.6g} samples/s")


@pytest.mark.parametrize("rates_hz", [(None, None), (None, 10e3), (1e6, None), (0.0, 10e3)])
def test_nothing_is_said_of_rates_that_are_unknown(card, rates_hz):
    assert disagreement(card, *rates_hz) == ""
    neither = dataclasses.replace(card, samples_per_symbol=None)
    assert disagreement(neither, 1e6, 10e3) == ""
