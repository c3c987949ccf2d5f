# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions joined to annotations: what touches and agrees, weighted by length."""

import pytest
from decisions import DECISIONS, Decision
from hypothesis import given
from hypothesis import strategies as st

from gr_tsddae.iq.sigmf.model_annotation import merged

sigmf = pytest.importorskip("sigmf")


def test_decisions_that_touch_and_agree_are_merged():
    runs = merged(reversed(DECISIONS))
    assert [(run.first_sample, run.sample_count, run.label) for run in runs] == [
        (0, 100, "noise"),
        (100, 200, "BPSK"),
        (400, 100, "BPSK"),
        (500, 100, "noise"),
    ]
    assert [run.confidence for run in runs] == pytest.approx([0.5, 0.9, 0.9, 0.9])


def test_confidence_is_weighted_by_length():
    runs = merged([Decision("a", 0, 300, 0.2), Decision("a", 300, 100, 1.0)])
    assert [run.confidence for run in runs] == pytest.approx([0.4])


@pytest.mark.parametrize(
    "change",
    [{"model": "other"}, {"center_frequency_hz": 1e6}, {"sample_rate_hz": 1e6}, {"label": "b"}],
)
def test_what_differs_is_not_merged(change):
    second = Decision(**{"label": "a", "first_sample": 100, **change})
    assert len(merged([Decision("a", 0), second])) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(1, 50), st.sampled_from("ab"), st.floats(0, 1))
    )
)
def test_merging_covers_the_same_samples_and_keeps_the_order(drawn):
    decisions = [Decision(label, first, count, conf) for first, count, label, conf in drawn]
    runs = merged(decisions)

    def covered(spans):
        return {
            (s.label, n)
            for s in spans
            for n in range(s.first_sample, s.first_sample + s.sample_count)
        }

    assert covered(runs) == covered(decisions)
    assert [run.first_sample for run in runs] == sorted(run.first_sample for run in runs)
    confidences = [decision.confidence for decision in decisions]
    for run in runs:
        assert min(confidences) - 1e-9 <= run.confidence <= max(confidences) + 1e-9
