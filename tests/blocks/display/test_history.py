# SPDX-License-Identifier: GPL-3.0-or-later
"""The display's time axis and memory, without a window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gr_tsddae.blocks.display.history import SLOTS, History

RATE_HZ = 9600.0
CLASSES = ("QPSK", "BPSK", "8PSK", "noise")


def decision(number=0, best="BPSK", confidence=0.7, count=960, **changes):
    rest = (1 - confidence) / (len(CLASSES) - 1)
    return {
        "model": "m", "label": best, "best": best, "confidence": confidence,
        "probabilities": {c: confidence if c == best else rest for c in CLASSES},
        "windows": 7, "first_sample": number * count, "sample_count": count,
        "time_s": None, "center_frequency_hz": None, "sample_rate_hz": RATE_HZ,
    } | changes  # fmt: skip


def test_gaps_are_gaps_and_columns_are_means():
    history = History(10.0)
    rng = np.random.default_rng(3)
    told = []
    first = 0
    for _ in range(150):
        p = rng.dirichlet(np.ones(4))
        one = decision(first_sample=first, probabilities=dict(zip(CLASSES, p, strict=True)))
        told.append((first / RATE_HZ, (first + 960) / RATE_HZ, p))
        history.add(one, 0.0)
        first += 960 + (int(rng.integers(1, 4000)) if rng.random() < 0.2 else 0)
    edge = history.edge_s
    assert edge == pytest.approx(told[-1][1])
    columns = 73
    mean, known, covered = history.columns(columns)
    column_s = 10.0 / columns
    right = math.ceil(edge / column_s)
    for c in range(columns):
        begin, end = (right - columns + c) * column_s, (right - columns + c + 1) * column_s
        touching = [p for a, b, p in told if a < end - 1e-6 and b > begin + 1e-6]
        assert covered[c] == bool(touching)
        assert known[c] == covered[c]
        if touching:
            np.testing.assert_allclose(mean[:, c], np.mean(touching, 0), atol=1e-5)
    assert not covered.all()


def test_days_fit_in_the_same_memory():
    history = History(60.0)
    history.add(decision(count=96), 0.0)
    size = history._slots.nbytes + history._probabilities.nbytes
    end = 96
    for n in range(30_000):  # some minutes of 10 ms each, then half a minute of 1 ms
        count = 96 if n < 20_000 else 10
        history.add(decision(first_sample=end, count=count), 0.0)
        end += count
    assert len(history) <= 4 * SLOTS
    assert history._slots.nbytes + history._probabilities.nbytes == size
    _, _, covered = history.columns(500)
    assert covered.all()  # nothing visible was forgotten
    assert history.edge_s == pytest.approx(end / RATE_HZ)


def test_another_model_begins_anew():
    history = History(60.0)
    history.add(decision(), 0.0)
    history.add(decision(best="a", probabilities={"a": 0.7, "b": 0.3}), 0.0)
    assert history.classes == ("a", "b") and len(history) == 1
