# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows over a threshold, merged by hand-made rules."""

from __future__ import annotations

import numpy as np

from gr_tsddae.inference.anomaly.events import EventGatherer
from gr_tsddae.inference.decision import Origin

L = 100


def gather(scores, *, hop=L, batches=1, origin=None, threshold=0.5, flush=True):
    gatherer = EventGatherer(L, hop)
    scores = np.asarray(scores, np.float32)
    firsts = hop * np.arange(len(scores), dtype=np.uint64)
    events = []
    for part in np.array_split(np.arange(len(scores)), batches):
        events += gatherer.add(
            scores[part], firsts[part], threshold=threshold, origin=origin or Origin(), model="m"
        )
    return events + gatherer.flush() if flush else events


def spans(events):
    return [(e.first_sample, e.sample_count, e.windows) for e in events]


def test_neighbours_are_one_event_however_they_come():
    scores = [0, 0.6, 0.9, 0.7, 0, 0, 0.8, 0, np.nan, 0.51]
    for batches in (1, 3, 10):
        events = gather(scores, batches=batches)
        assert spans(events) == [(100, 300, 3), (600, 100, 1), (900, 100, 1)]
        assert [round(e.score, 3) for e in events] == [0.9, 0.8, 0.51]
        assert {e.threshold for e in events} == {0.5}


def test_an_event_is_told_once_the_next_window_is_normal():
    assert spans(gather([0, 1, 1], flush=False)) == []
    assert spans(gather([0, 1, 1, 0], flush=False)) == []  # the next could still be near
    assert spans(gather([0, 1, 1, 0, 0], flush=False)) == [(100, 200, 2)]


def test_bursts_within_ten_milliseconds_are_one_event():
    fast = Origin(sample_rate_hz=1e5)  # 10 ms are 1000 samples, ten windows
    scores = np.zeros(60)
    scores[[5, 15, 40]] = 1
    assert spans(gather(scores, origin=fast)) == [(500, 1100, 2), (4000, 100, 1)]


def test_an_event_that_goes_on_is_told_every_second_of_the_stream():
    slow = Origin(time_s=1000.0, sample_rate_hz=1e3, center_frequency_hz=5e6)
    events = gather(np.ones(35), origin=slow)  # 3.5 s
    assert spans(events) == [(0, 1000, 10), (1000, 1000, 10), (2000, 1000, 10), (3000, 500, 5)]
    assert [e.time_s for e in events] == [1000.0, 1001.0, 1002.0, 1003.0]
    assert events[0].as_dict() == {
        "model": "m", "score": 1.0, "threshold": 0.5, "windows": 10, "first_sample": 0,
        "sample_count": 1000, "time_s": 1000.0, "center_frequency_hz": 5e6, "sample_rate_hz": 1e3,
    }  # fmt: skip


def test_another_tuning_is_another_event():
    gatherer = EventGatherer(L, L)
    one, other = Origin(center_frequency_hz=1e6), Origin(center_frequency_hz=2e6)
    firsts, scores = np.array([0, 100]), np.ones(2)
    assert gatherer.add(scores, firsts, threshold=0.5, origin=one, model="m") == []
    (first,) = gatherer.add(scores, firsts + 200, threshold=0.5, origin=other, model="m")
    (second,) = gatherer.flush()
    assert first.center_frequency_hz == 1e6 and second.center_frequency_hz == 2e6
    assert gatherer.flush() == [] and gatherer.over_at is None
