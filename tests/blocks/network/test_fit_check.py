# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a stream are taken seldom, without gaps, and warn when they agree."""

import threading

import numpy as np
import pytest

from gr_tsddae.blocks.network import fit_check
from gr_tsddae.blocks.network.fit_check import FitCheck
from gr_tsddae.survey.fit import ENOUGH_SAMPLES

L = 128


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def heard(monkeypatch):
    """A list of the snapshots that were looked at; `says` is what they are said to be."""

    class Heard(list):
        says = "wrong"

    found = Heard()

    def misfit(iq, rate_hz, card):
        found.append((iq, rate_hz, card, threading.current_thread()))
        if isinstance(found.says, Exception):
            raise found.says
        return found.says

    monkeypatch.setattr(fit_check, "misfit", misfit)
    found.clock = Clock()
    monkeypatch.setattr(fit_check, "time", found.clock)
    return found


def offer(check, first, count, hop=L, rate_hz=1e5):
    """Offer windows whose samples are their numbers in the stream."""
    starts = first + hop * np.arange(count)
    check.offer((starts[:, None] + np.arange(L)).astype(np.complex64), starts, rate_hz, "the card")
    check.wait()
    return first + hop * count


@pytest.mark.parametrize("hop", [L, 32])
def test_a_snapshot_is_a_stretch_without_gaps_looked_at_elsewhere(heard, hop):
    check = FitCheck()
    at = offer(check, 0, 100, hop)
    assert not heard  # not yet due
    heard.clock.now_s = fit_check.EVERY_S
    at = offer(check, at, 10, hop) + 7  # then some samples are lost
    start = at
    while not heard:
        at = offer(check, at, 100, hop)
    ((iq, rate_hz, card, thread),) = heard
    assert np.array_equal(iq.real, start + np.arange(ENOUGH_SAMPLES))
    assert (rate_hz, card) == (1e5, "the card")
    assert thread is not threading.current_thread()
    offer(check, at, 2000, hop)
    assert len(heard) == 1  # not so soon again


def test_two_in_a_row_warn_and_one_good_one_ends_it(heard):
    check = FitCheck()
    said = []
    for heard.says in ("wrong", "", "wrong", "wrong too", ""):
        heard.clock.now_s += fit_check.EVERY_S
        offer(check, 0, ENOUGH_SAMPLES // L)
        said.append(check.warning)
    assert said == ["", "", "", "wrong too", ""]
    heard.says = "wrong"
    for _ in range(2):
        heard.clock.now_s += fit_check.EVERY_S
        offer(check, 0, ENOUGH_SAMPLES // L)
    assert check.warning
    check.restart()
    assert check.warning == ""


def test_windows_with_samples_between_them_are_no_snapshot(heard):
    check = FitCheck()
    heard.clock.now_s = fit_check.EVERY_S
    offer(check, 0, 2000, hop=200)
    offer(check, 0, 1)
    assert not heard


def test_a_failure_is_no_warning_and_ends_nothing(heard, caplog):
    check = FitCheck()
    heard.says = RuntimeError("gone")
    for _ in range(2):
        heard.clock.now_s += fit_check.EVERY_S
        offer(check, 0, ENOUGH_SAMPLES // L)
    assert len(heard) == 2 and check.warning == ""
    assert "gone" in caplog.text
