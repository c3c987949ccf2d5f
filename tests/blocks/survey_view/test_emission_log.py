# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of emissions: checked, kept by number, forgotten in time."""

from __future__ import annotations

import math

import pytest

from gr_tsddae.blocks.survey_view.emissions import (
    SILENT_S,
    EmissionLog,
    checked_emission,
    lasts,
)


def message(number: int = 1, kind: str = "begun", **changes):
    return {
        "kind": kind, "id": number, "start_s": 1.0, "stop_s": 2.0, "low_hz": 433.9e6,
        "high_hz": 433.91e6, "center_hz": 433.905e6, "bandwidth_hz": 10e3, "snr_db": 12.0,
        "label": "4-FSK", "confidence": 0.9, "probabilities": {}, "symbol_rate_hz": 4800.0,
        "candidates": ["DMR", "NXDN"], "reasons": ["4800 Bd", "12.5 kHz"],
        "measured": {"tones": 4}, "time_s": 1.79e9, "center_frequency_hz": 433.92e6,
        "model": "air",
    } | changes  # fmt: skip


def test_what_a_message_says():
    emission = checked_emission(message())
    assert emission.center_hz == pytest.approx(433.905e6)
    assert emission.offset_hz == pytest.approx(-15e3)
    assert emission.bandwidth_hz == pytest.approx(10e3)
    assert emission.candidates == ("DMR", "NXDN")
    assert emission.known and not emission.ended
    relative = message(center_frequency_hz=None, low_hz=-5e3, high_hz=5e3, time_s=12.0)
    bare = checked_emission(relative | {"symbol_rate_hz": None, "candidates": None})
    assert bare.offset_hz == 0
    assert bare.symbol_rate_hz is None
    assert bare.time_s is None, "a receiver's clock that was never set"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "moved"}, {"id": "x"}, {"snr_db": math.nan}, {"low_hz": 1e20}, {"start_s": None},
        {"stop_s": 0.5}, {"high_hz": 0.0}, {"measured": 3}, {"confidence": True},
        {"symbol_rate_hz": "fast"},
    ],
)  # fmt: skip
def test_malformed_messages_are_refused(changes):
    with pytest.raises((ValueError, TypeError)):
        checked_emission(message(**changes))
    lacking = message()
    del lacking["low_hz"]
    with pytest.raises(KeyError):
        checked_emission(lacking)


def test_news_tell_what_changed_and_what_went():
    log = EmissionLog()
    log.take(checked_emission(message(1)))
    log.take(checked_emission(message(2)))
    assert log.news() == ({1, 2}, set())
    log.take(checked_emission(message(2, "updated", stop_s=3.0)))
    assert log.news() == ({2}, set())
    assert log.emissions[2].stop_s == 3.0
    log.withdraw(2)
    log.withdraw(7)
    assert log.news() == (set(), {2})
    log.clear()
    assert log.news() == (set(), {1})
    assert log.emissions == {}


def test_the_log_forgets_what_ended_first_and_keeps_what_lasts():
    log = EmissionLog(most=3)
    log.take(checked_emission(message(1)))  # lasts on and on
    for number in range(2, 100):
        log.take(checked_emission(message(number, "ended", stop_s=float(number))))
    assert list(log.emissions) == [1, 98, 99]
    assert log.news() == ({1, 98, 99}, set(range(2, 98)))


def test_an_emission_without_news_grows_no_more():
    assert lasts(checked_emission(message()), 2.0 + SILENT_S)
    assert not lasts(checked_emission(message()), 2.1 + SILENT_S)
    assert not lasts(checked_emission(message(kind="ended")), 2.0)
