# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissions as text for people."""

from __future__ import annotations

import dataclasses

import pytest

from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.output.table import COLUMNS, describe, lines

BURSTS = {"bursts": 12, "burst_s": 0.0275, "duty": 0.46, "period_s": 0.06, "period_jitter": 0.01}
DMR = Emission(
    id=1,
    start_s=0.25,
    stop_s=1.0,
    low_hz=-6250.0,
    high_hz=6250.0,
    snr_db=17.2,
    bursts=[(0.25, 1.0)],
    symbol_rate_hz=4800.02,
    measured={"deviation_hz": 1944.0, **BURSTS},
    label="4-FSK",
    confidence=0.97,
    candidates=["DMR", "a name so long that a line must end somewhere within it", "c", "d", "e"],
    reasons=["4-FSK, 4800 Bd, 12.5 kHz wide: consistent with DMR", *"bcde"],
    band_center_hz=433.45e6,
)


def test_a_table_says_what_was_measured_and_what_it_may_be():
    text = "\n".join(lines([DMR]))
    for words in ("433.450000", "12.5 kHz", "17.2", "4800 Bd", "4-FSK 0.97", "every 60 ms"):
        assert words in text
    flat = " ".join(text.split())
    assert "consistent with DMR; or with a name" in flat and flat.endswith("; or 2 more")


def test_pulses_of_one_burst_have_no_number():
    pulses = dataclasses.replace(DMR, measured={"burst_s": 0.0275})
    assert ", bursts of 27.5 ms" in describe(pulses)


@pytest.mark.parametrize("rate_hz", [None, 31.25, 1152000.0, 25_000_000.0])
def test_no_line_is_too_wide(rate_hz):
    wide = dataclasses.replace(
        DMR, id=9999, stop_s=86399.9999, symbol_rate_hz=rate_hz, band_center_hz=10489.75e6,
        label="pi/4-DQPSK", high_hz=99.5e6,
    )  # fmt: skip
    assert max(map(len, lines([DMR, wide]))) <= COLUMNS


def test_frequencies_from_the_centre_have_a_sign():
    text = list(lines([dataclasses.replace(DMR, band_center_hz=None, low_hz=0.0)]))
    assert "offset MHz" in text[0] and "+0.003125" in text[1] and "--center" in text[-1]


def test_nothing_found_is_said():
    assert list(lines([])) == ["no emission found"]


def test_a_description_is_one_line():
    assert describe(DMR).startswith("12.5 kHz wide, SNR 17 dB, 4800 Bd, deviation 1.94 kHz, 12 ")
    assert "confidence 0.97. 4-FSK, 4800 Bd" in describe(DMR) and "\n" not in describe(DMR)
