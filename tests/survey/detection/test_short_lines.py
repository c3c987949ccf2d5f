# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians, quantiles and runs of short lines are what NumPy and a plain loop find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr_tsddae.survey.detection import short

NUMBERS = st.floats(-1e6, 1e6, width=32)
LINES = st.lists(NUMBERS, min_size=1, max_size=40)


@given(LINES, st.floats(0, 1))
def test_medians_and_quantiles_are_numpys(values, share):
    line = np.array(values, np.float32)
    assert short.median(line) == pytest.approx(float(np.median(line)), rel=1e-6, abs=1e-6)
    found = short.quantiles(line, share, 1.0)
    assert found == pytest.approx(np.quantile(line, (share, 1.0)).tolist(), rel=1e-5, abs=1e-3)
    assert found[1] == pytest.approx(float(line.max()), rel=1e-6, abs=1e-6)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
def test_runs_are_joined_over_gaps(flags, gap):
    expected: list[list[int]] = []
    for place in np.flatnonzero(flags).tolist():
        if expected and place - expected[-1][1] <= gap:
            expected[-1][1] = place + 1
        else:
            expected.append([place, place + 1])
    assert short.runs(np.array(flags, bool), gap) == [tuple(run) for run in expected]
