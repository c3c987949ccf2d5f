# SPDX-License-Identifier: GPL-3.0-or-later
"""The accuracy probe's page of text; no GNU Radio."""

from __future__ import annotations

import numpy as np

from gr_tsddae.blocks.accuracy.judge import Judge
from gr_tsddae.blocks.accuracy.page import page
from gr_tsddae.blocks.accuracy.truth import Truth

ERRORS = {"errors": 0, "last_error": ""}


def test_figures_classes_and_what_was_not_judged():
    truth = Truth(complete=True)
    truth.tell(0, "a", -10)
    truth.tell(20, "b", 10)
    truth.tell(40, None, None)
    judge = Judge(truth, {}, ())
    rows = np.array([[1, 0], [0, 1], [0, 1], [0, 1], [1, 0]], np.float32)
    judge.hear_results(
        {"classes": ["a", "b"], "windows": 5, "window_samples": 10, "model": "amc",
         "first_samples": [0, 10, 20, 30, 40]},
        rows.ravel(),
    )  # fmt: skip
    lines = page(judge.report() | ERRORS).splitlines()
    assert lines[0] == "TS-DDAE Accuracy Probe, model amc"
    assert "75.00% of 4 windows right; macro F1 0.733" in lines
    assert "  not judged: 1 without truth" in lines
    assert "     -10      50.0%" in lines and "      10     100.0%" in lines
    assert "a        50.0%      100.0%   b 50%" in lines
    assert "b       100.0%       66.7%" in lines
    assert "no decisions judged" in lines


def test_nothing_was_heard_and_something_went_wrong():
    report = Judge(Truth(), {}, ()).report() | {"errors": 2, "last_error": "no PDU"}
    text = page(report)
    assert "model unknown: nothing was heard" in text and "no windows judged" in text
    assert text.endswith("errors: 2, the last: no PDU")
