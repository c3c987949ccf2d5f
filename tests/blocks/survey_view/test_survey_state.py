# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Survey Display makes of messages, good and bad, and of a stream that begins anew."""

from __future__ import annotations

import numpy as np

from gr_tsddae.blocks.survey_view.state import SurveyState

EMISSION = {
    "kind": "begun", "id": 1, "start_s": 1.0, "stop_s": 1.5, "low_hz": -5e3, "high_hz": 5e3,
    "snr_db": 12.0,
}  # fmt: skip


def spectrum(start_s: float, **changes):
    about = {
        "start_s": start_s, "stop_s": start_s + 0.05, "low_hz": -1e6, "high_hz": 1e6,
        "center_frequency_hz": None, "time_s": None,
    }  # fmt: skip
    return about | changes, np.full(16, -60.0)


def read(state: SurveyState, port: str, value) -> None:
    state.read(port, lambda: value)


def test_spectra_and_emissions_are_kept():
    state = SurveyState(60.0)
    read(state, "spectrum", spectrum(2.0, center_frequency_hz=100e6, time_s=1.79e9))
    read(state, "emissions", EMISSION)
    assert state.malformed == 0
    assert state.band_center_hz == 100e6
    assert state.utc_offset_s == 1.79e9 - 2.0
    assert state.newest_s == 2.05
    assert list(state.log.emissions) == [1]
    read(state, "emissions", EMISSION | {"kind": "ended", "withdrawn": True})
    assert state.log.emissions == {}


def test_a_stream_that_begins_anew_empties_the_picture():
    state = SurveyState(60.0)
    for n in range(100):
        read(state, "spectrum", spectrum(n / 20))
    read(state, "emissions", EMISSION)
    read(state, "spectrum", spectrum(0.0))
    assert state.waterfall.newest_s == 0.05
    assert state.log.emissions == {}


def test_malformed_messages_are_counted_and_said():
    state = SurveyState(60.0)
    bad = [
        ("emissions", None), ("emissions", {}), ("emissions", EMISSION | {"snr_db": "much"}),
        ("spectrum", 3), ("spectrum", ({}, np.ones(3))), ("status", "fine"),
        ("spectrum", (spectrum(0.0)[0], np.ones((2, 3)))), ("spectrum", (spectrum(0.0)[0], [])),
        ("spectrum", spectrum(float("nan"))), ("spectrum", spectrum(0.0, low_hz=2e6)),
    ]  # fmt: skip
    for number, (port, value) in enumerate(bad, 1):
        read(state, port, value)
        assert state.malformed == number
    assert state.waterfall.empty and not state.log.emissions
    text, warns = state.foot()
    assert warns and f"{len(bad)} unreadable" in text
    read(state, "spectrum", spectrum(0.0))
    assert not state.waterfall.empty


def test_the_foot_says_how_the_survey_is_doing():
    state = SurveyState(60.0)
    assert state.foot() == ("waiting for a survey", False)
    status = {"sample_rate_hz": 2.4e6, "model": "air", "samples_dropped": 0, "lag_s": 0.12}
    read(state, "status", status)
    assert state.foot() == ("2.4 MS/s  ·  model air  ·  dropped 0  ·  behind by 0.12 s", False)
    read(state, "status", status | {"samples_dropped": 5000})
    text, warns = state.foot()
    assert warns and "dropping: 5 k samples so far" in text
    read(state, "status", status | {"samples_dropped": 5000, "warning": "the stream clips"})
    assert state.foot(skipped=3) == (
        "⚠ the stream clips   ⚠ 3 messages came too fast to show", True,
    )  # fmt: skip
