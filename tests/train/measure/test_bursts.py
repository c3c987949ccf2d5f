# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about bursts: windows of a burst decide together, and pauses are counted apart."""

import numpy as np

from gr_tsddae.inference.rejection import Rejection, energy
from gr_tsddae.train.measure.bursts import burst_lines, by_burst

CLASSES, NAMES = ("bell", "car", "noise"), ("/x/monday.cf32", "/x/tuesday.cf32")


def logits(*called):
    return 4.0 * np.eye(3)[list(called)]


def measured(rejection=None, apart=(1,)):
    # Monday: a burst of 3 windows, one of which is wrong. Tuesday: a burst of 10 windows that
    # makes two decisions, one wrong; a pause that is called car; made noise, which is not counted.
    called = [0, 0, 1] + 5 * [1] + 5 * [0] + [1] + [2]
    label = [0] * 3 + [1] * 10 + [2] + [2]
    group = [0] * 3 + [1] * 10 + [2] + [3]
    recording = [0] * 3 + [1] * 11 + [-1]
    return by_burst(
        logits(*called), *map(np.array, (label, group, recording)), classes=CLASSES, names=NAMES,
        apart=apart, rejection=rejection, power=np.ones(15), at_s=np.arange(15.0), pauses_db=None,
    )  # fmt: skip


def test_windows_of_a_burst_decide_together():
    found = measured()
    assert found["other_recordings"] == {
        "bursts": 2, "bursts_right": 0.5, "pauses": 1, "pauses_right": 0.0
    }  # fmt: skip
    assert found["same_recordings"] == {
        "bursts": 1, "bursts_right": 1.0, "pauses": 0, "pauses_right": None
    }  # fmt: skip
    assert [row["said"] for row in found["recordings"]] == [
        {"bell": 1}, {"car": 1, "bell": 1}, {"car": 1}
    ]  # fmt: skip
    lines = burst_lines(found)
    assert lines[0].startswith("recordings that were not learned from: 50.0 % of 2 bursts right")


def test_unknown_is_right_in_pauses_alone():
    found = measured(Rejection(energy, -100.0))
    assert found["other_recordings"]["bursts_right"] == 0.0
    assert found["other_recordings"]["pauses_right"] == 1.0


def test_what_cannot_be_known_is_said_first():
    assert "cannot be known" in burst_lines(measured(apart=()))[0]


def test_a_pause_is_told_by_its_level_as_soon_as_something_louder_was_heard():
    """Eight quiet windows, eight loud ones, and eight quiet ones: the network says car of all."""
    levels = np.repeat([1e-3, 1.0, 1e-3], 8) * np.tile([0.95, 1.05], 12)
    found = by_burst(
        logits(*[1] * 24), np.repeat([2, 1, 2], 8), np.repeat([0, 1, 2], 8), np.zeros(24, int),
        classes=CLASSES, names=NAMES, apart=(0,), rejection=None,
        power=levels, at_s=np.arange(24.0), pauses_db=5.0,
    )["other_recordings"]  # fmt: skip
    assert found == {"bursts": 1, "bursts_right": 1.0, "pauses": 2, "pauses_right": 0.5}
