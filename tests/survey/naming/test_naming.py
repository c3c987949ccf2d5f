# SPDX-License-Identifier: GPL-3.0-or-later
"""Which signals an emission is consistent with: what agrees, what contradicts, what is too weak."""

from __future__ import annotations

import dataclasses
import math

import pytest

from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.naming import candidates, class_name, load_signals, named

SIGNALS = load_signals(user_file=False)


def emission(bandwidth_hz, rate_hz=None, label="unknown", at_hz=None, knows=(), **measured):
    return Emission(
        id=1,
        start_s=0.0,
        stop_s=1.0,
        low_hz=-bandwidth_hz / 2,
        high_hz=bandwidth_hz / 2,
        snr_db=20.0,
        bursts=[(0.0, 1.0)],
        symbol_rate_hz=rate_hz,
        measured=measured,
        label=label,
        confidence=0.9,
        probabilities=dict.fromkeys(knows, 0.1),
        band_center_hz=at_hz,
    )


def names(*arguments, **more):
    return [candidate.name for candidate in candidates(emission(*arguments, **more), SIGNALS)]


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (emission(150e3, label="FM", at_hz=98.5e6), "FM broadcast"),
        (emission(9e3, label="FM", at_hz=446.05e6), "PMR446 voice"),
        (emission(5e3, label="AM-DSB", at_hz=124.3e6), "air traffic voice (AM)"),
        (emission(9e3, 9600, "GFSK", 161.975e6), "AIS"),
        (emission(20e3, 18000, "pi/4-DQPSK"), "TETRA"),
        (emission(200e3, 270833, "GFSK", 945e6), "GSM"),
        (emission(2e6, label="pulses", at_hz=1090e6), "ADS-B and Mode S replies"),
        (emission(0.05e3, label="carrier", at_hz=77.5e3), "DCF77 time signal"),
        (emission(1.54e6, label="OFDM", at_hz=222e6, ofdm_useful_s=1e-3), "DAB"),
        (emission(7.6e6, ofdm_useful_s=896e-6, ofdm_prefix_s=224e-6), "DVB-T"),
        (emission(16.5e6, ofdm_useful_s=3.2e-6), "Wi-Fi, OFDM (802.11a/g/n/ac)"),
        (emission(14e3, 10500, "8PSK", 136.975e6), "VDL mode 2"),
        (emission(10e3, 1200, "2-FSK", 153e6, deviation_hz=4400, tones=2), "POCSAG"),
        (emission(7e3, 4800, "GFSK", 403e6, deviation_hz=2400), "Vaisala RS41 radiosonde"),
        (emission(0.06e3, 31.25, "BPSK", 14.0705e6), "PSK31"),
    ],
)
def test_the_first_candidate(found, first):
    assert candidates(found, SIGNALS)[0].name == first


def test_the_reason_is_one_sentence_of_what_agrees():
    best = candidates(emission(12.5e3, 4800, "4-FSK", deviation_hz=1900), SIGNALS)[0]
    assert best.reason == ("4-FSK, 4800 Bd, 12.5 kHz wide, deviation 1.9 kHz: consistent with DMR")


def test_ambiguity_stays():
    found = names(9e3, 4800, label="4-FSK")
    assert {"DMR", "P25 phase 1 (C4FM)", "NXDN, 12.5 kHz channel"} <= set(found)
    assert len(found) <= 5


def test_measurements_alone_must_be_strong():
    assert names(10e3) == [] and names(8e6) == []
    assert "TETRA" in names(20e3, 18000)  # symbol rate and bandwidth
    assert "LTE" in names(9e6, ofdm_useful_s=66.7e-6)  # the timing of OFDM
    assert "AIS" in names(9e3, at_hz=162.025e6)  # the frequency
    assert names(4e3, at_hz=433.9e6) == []  # where a dozen kinds of device are alike


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_hz": 9600},
        {"bandwidth_hz": 60e3},
        {"at_hz": 98e6},
        {"label": "BPSK", "knows": ("BPSK", "4-FSK")},
        {"deviation_hz": 9e3},
        {"tones": 8},
        {"ofdm_useful_s": 66.7e-6},
        {"chirp_hz_per_s": 3e7},
    ],
)
def test_what_a_measurement_contradicts_is_not_named(wrong):
    right = {"bandwidth_hz": 9e3, "rate_hz": 4800, "label": "4-FSK", "at_hz": 440e6}
    assert "DMR" in [c.name for c in candidates(emission(**right), SIGNALS)]
    assert "DMR" not in [c.name for c in candidates(emission(**{**right, **wrong}), SIGNALS)]


def test_a_model_has_no_say_on_classes_it_does_not_know():
    assert "DMR" in names(9e3, 4800, label="QPSK", knows=("BPSK", "QPSK"))
    assert "DMR" not in names(9e3, 4800, label="QPSK", knows=("BPSK", "QPSK", "4-FSK"))


def test_a_legitimate_mistake_of_the_recogniser_counts_less():
    right, mistaken = (
        candidates(emission(9e3, 9600, label), SIGNALS)[0] for label in ("GFSK", "2-FSK")
    )
    assert right.name == "AIS"
    assert right.points > mistaken.points


def test_noise_is_no_label_of_something_found():
    assert names(9e3, 9600, label="noise", at_hz=161.975e6, knows=("noise", "GFSK"))[0] == "AIS"


def test_frequency_keying_may_be_taken_for_fm():
    found = candidates(emission(9e3, 4800, "FM", knows=("FM", "4-FSK")), SIGNALS)
    assert found[0].reason.startswith("taken for narrow FM, 4800 Bd") and found[0].name == "DMR"


def test_a_rare_signal_comes_behind_its_like():
    assert names(96e3, label="FM", at_hz=98e6)[0] == "FM broadcast"
    assert names(95e3, label="OFDM", at_hz=98e6)[0] == "DRM+"


def test_keying_that_differs_counts_against_a_signal():
    linear = candidates(emission(9e3, 4800, "4-FSK"), SIGNALS)[0]
    on_off = candidates(emission(9e3, 4800, "4-FSK", keying="on-off"), SIGNALS)[0]
    assert on_off.points < linear.points
    assert "weather sensor (OOK)" not in names(9e3, 2000, at_hz=433.9e6, keying="frequency")


def test_chirps_tell_the_spreading_factor():
    for factor in range(7, 13):
        found = emission(120e3, at_hz=868.1e6, chirp_hz_per_s=-(125e3**2) / 2**factor)
        reasons = [c.reason for c in candidates(found, SIGNALS) if c.name == "LoRa"]
        assert reasons and f"SF {factor}," in reasons[0]


def test_fm_is_narrow_or_wide():
    assert class_name(emission(9e3, label="FM")) == "narrow FM"
    assert class_name(emission(150e3, label="WBFM")) == "wide FM"
    assert class_name(emission(9e3, label="GFSK")) == "GFSK"
    assert names(9e3, label="FM")[0] == "voice or data on narrow FM"
    assert names(150e3, label="FM")[0] == "sound on wide FM"


def test_an_emission_at_the_edge_of_the_band_may_be_wider():
    part = emission(1.8e6, ofdm_useful_s=896e-6)
    assert "DVB-T" not in [c.name for c in candidates(part, SIGNALS)]
    reasons = {c.name: c.reason for c in candidates(part, SIGNALS, sample_rate_hz=1.92e6)}
    assert "at least 1.8 MHz wide" in reasons["DVB-T"]


def test_a_frequency_of_nought_is_none():
    assert names(9e3, 9600, label="GFSK", at_hz=0.0) == names(9e3, 9600, label="GFSK")


def test_named_gives_names_and_reasons():
    found = named(emission(9e3, 9600, "GFSK", 161.975e6), SIGNALS)
    assert found.candidates[0] == "AIS" and found.reasons[0].endswith("consistent with AIS")
    assert len(found.candidates) == len(found.reasons)
    assert found.as_dict()["candidates"] == found.candidates
    assert named(emission(10e3), SIGNALS).candidates == []


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_each_signal_is_consistent_with_itself(signal):
    """An emission made of what an entry says is named after it, or ties with its like."""
    where = next(iter((signal.frequencies_mhz or {"": ((0.0, 0.0),)}).values()))[0]
    rates = signal.symbol_rates_hz
    found = emission(
        1e3 * math.sqrt(math.prod(signal.bandwidth_khz)),
        rate_hz=sum(rates[0]) / 2 if rates else None,
        label=signal.classes[0],
        at_hz=sum(where) / 2 * 1e6 or None,
    )
    measured = {}
    if signal.deviation_hz:
        measured["deviation_hz"] = sum(signal.deviation_hz) / 2
    if signal.ofdm_useful_us:
        measured["ofdm_useful_s"] = signal.ofdm_useful_us[0] * 1e-6
    if "LoRa" in signal.also:
        measured["chirp_hz_per_s"] = 1e5
    found = dataclasses.replace(found, measured=measured)
    best = candidates(found, [signal])
    assert [each.name for each in best] == [signal.name]
    assert best[0].points >= candidates(found, SIGNALS)[0].points - 2.0
