# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of the Survey Display: what people read is what the message said."""

from __future__ import annotations

import dataclasses

import pytest

from gr_tsddae.blocks.survey_view import words
from gr_tsddae.blocks.survey_view.emissions import HeardEmission

EMISSION = HeardEmission(
    id=7, start_s=3.5, stop_s=4.0, low_hz=433.9e6, high_hz=433.912e6, snr_db=12.34, label="4-FSK",
    confidence=0.934, symbol_rate_hz=4800.0, candidates=("DMR", "NXDN"), reasons=("4800 Bd",),
    measured={"bursts": 3, "burst_s": 0.03, "duty": 0.25, "ofdm_useful_s": 3.2e-6,
              "deviation_hz": 1944.0, "keying": "frequency", "symbol_rate_lock_db": 20.0},
    time_s=1.79e9, band_center_hz=433.92e6,
)  # fmt: skip
BARE = HeardEmission(
    id=8, start_s=3.5, stop_s=4.0, low_hz=-20e3, high_hz=-8e3, snr_db=5.0, ended=True
)


def test_what_stands_at_a_box():
    assert words.box_texts(EMISSION) == ["4-FSK DMR?  4.8 kBd", "4-FSK DMR?", "4-FSK", "?7"]
    wordy = dataclasses.replace(EMISSION, candidates=("short range device with a chip",))
    assert words.box_texts(wordy)[1] == "4-FSK short range device…?"
    assert words.box_texts(BARE) == ["?  12 kHz", "?8", "?8"]


def test_details_hold_everything_with_units():
    lines = dict(words.details(EMISSION))
    assert lines["centre"] == "433.9060 MHz"
    assert lines["SNR"] == "12.3 dB"
    assert lines["began"] == "14:13:20"
    assert lines["lasts"] == "500 ms"
    assert lines["burst"] == "30 ms"
    assert lines["duty"] == "25%"
    assert lines["OFDM, useful"] == "3.2 µs"
    assert lines["deviation"] == "1.944 kHz"
    assert ("consistent with", "DMR: 4800 Bd") in words.details(EMISSION)
    assert ("", "NXDN") in words.details(EMISSION)
    bare = dict(words.details(BARE))
    assert bare["centre"] == "-14.0 kHz from the centre"
    assert bare["began"] == "3.50 s"
    assert "symbol rate" not in bare and "lasted" in bare


def test_a_tooltip_is_text_whatever_a_message_holds():
    evil = dataclasses.replace(EMISSION, label="<b>&", candidates=("<img src=x>",))
    assert "&lt;b&gt;&amp;" in words.tooltip(evil)
    assert "<img" not in words.tooltip(evil)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12.3 ms"), (3.456, "3.46 s"), (125.0, "2:05 min")]
)
def test_durations(seconds, text):
    assert words.duration(seconds) == text
