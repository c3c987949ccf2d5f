# SPDX-License-Identifier: GPL-3.0-or-later
"""The display's state: what it makes of messages, without a window and without GNU Radio."""

from __future__ import annotations

import math

import pytest

from gr_tsddae.blocks.display.state import INBOX_MESSAGES, DisplayState, Inbox

RATE_HZ = 9600.0


def decision(number=0, count=960, **changes):
    # A message's dictionary comes in the reverse of the model's order.
    return {
        "model": "m", "label": "BPSK", "best": "BPSK", "confidence": 0.7,
        "probabilities": {"noise": 0.3, "BPSK": 0.7},
        "windows": 7, "first_sample": number * count, "sample_count": count,
        "time_s": None, "center_frequency_hz": None, "sample_rate_hz": RATE_HZ,
    } | changes  # fmt: skip


def read(state, port, value, now_s=0.0):
    state.read(port, lambda: value, now_s)


def test_classes_come_in_the_models_order():
    state = DisplayState(60.0)
    read(state, "decisions", decision())
    assert state.history.classes == ("BPSK", "noise")


@pytest.mark.parametrize(
    ("port", "value"),
    [
        ("decisions", None),
        ("decisions", "BPSK"),
        ("decisions", {}),
        ("decisions", decision(probabilities={})),
        ("decisions", decision(best="GSM")),
        ("decisions", decision(confidence=math.nan)),
        ("decisions", decision(confidence=True)),
        ("decisions", decision(sample_count=0)),
        ("decisions", decision(first_sample="x")),
        ("decisions", decision(sample_rate_hz=-1.0)),
        ("decisions", decision(probabilities={"BPSK": "much"})),
        ("decisions", decision(label="")),
        ("decisions", decision(best="", probabilities={"": 1.0})),
        ("status", 3),
        ("status", {"rate_in_samples_per_s": "fast"}),
    ],
)
def test_a_malformed_message_is_counted_and_changes_nothing(port, value):
    state = DisplayState(60.0)
    read(state, port, value)
    assert (state.malformed, state.decision, state.status) == (1, None, {})
    assert state.last_malformed.startswith(f"{port}: ")
    read(state, "decisions", decision())
    assert state.malformed == 1 and state.decision["label"] == "BPSK"


def test_a_message_that_cannot_be_decoded_is_malformed():
    def decode():
        raise ValueError("no such type")

    state = DisplayState(60.0)
    state.read("status", decode, 0.0)
    assert state.malformed == 1 and "no such type" in state.last_malformed


def test_a_full_inbox_drops_the_oldest_and_counts_them():
    inbox = Inbox()
    for number in range(INBOX_MESSAGES + 3):
        inbox.put("decisions", number)
    assert inbox.skipped == 3
    assert [message for _, message in inbox.take()] == list(range(3, INBOX_MESSAGES + 3))
    assert inbox.skipped == 3 and inbox.take() == []


def test_a_clock_that_nobody_set_is_no_utc():
    state = DisplayState(60.0)
    read(state, "decisions", decision(time_s=3.5))
    assert state.decision["time_s"] is None and state.history.utc_offset_s is None
    read(state, "decisions", decision(1, time_s=1.7e9), 0.1)
    assert state.decision["time_s"] == 1.7e9
    assert state.history.utc_offset_s == pytest.approx(1.7e9 - 0.1)


def test_quiet_and_late_streams():
    """A closed gate scrolls on with the stream; a stopped stream does not; both look old."""
    state = DisplayState(60.0)
    read(state, "decisions", decision(), 100.0)
    assert state.stale_s(102.0) == 0 and state.stale_s(104.0) == 4.0
    for n in range(6):
        status = {"samples_in": int(960 + n * RATE_HZ), "samples_gated": int(n * RATE_HZ)}
        read(state, "status", status, 101.0 + n)
    assert 3.0 <= state.history.edge_s <= 5.1
    assert state.share("gated") == 1.0
    scrolled = state.history.edge_s
    read(state, "status", status, 110.0)
    assert state.history.edge_s == scrolled
    assert state.share("gated") is None
    read(state, "decisions", decision(first_sample=int(6 * RATE_HZ)), 111.0)
    assert state.history.edge_s == pytest.approx(6.1)  # exact again
    assert state.stale_s(111.5) == 0


def test_the_model_asked_for_is_waited_for_until_it_runs_or_an_error_comes():
    state = DisplayState(60.0)
    read(state, "decisions", decision())
    state.ask_for("m")  # runs already
    assert (state.model, state.asked_for) == ("m", "")
    state.ask_for("bad")
    read(state, "status", {"model": "m", "errors": 0})
    assert state.asked_for == "bad"
    read(state, "status", {"model": "m", "errors": 1})
    assert (state.asked_for, state.errors_before) == ("", 0)
    state.ask_for("good")
    read(state, "decisions", decision(1, model="good"))
    assert (state.model, state.asked_for, state.errors_before) == ("good", "", 1)


def test_a_change_of_model_that_nobody_chose_hides_no_error():
    state = DisplayState(60.0)
    read(state, "status", {"model": "m", "errors": 2})
    read(state, "status", {"model": "other", "errors": 2})
    assert (state.model, state.errors_before) == ("other", 0)
