# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a waterfall: how many, how wide, and what stays visible in them."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.blocks.surveying.rows import MOST_BINS, ROW_S, rows


@pytest.mark.parametrize(("frames", "bins", "hop_s"), [(256, 2048, 0.43e-3), (256, 256, 2.7e-3),
                                                       (3, 16, 1e-6), (1, 1024, 10.0)])  # fmt: skip
def test_rows_cover_all_frames_and_are_not_too_many(frames, bins, hop_s):
    made = list(rows(np.ones((frames, bins), np.float32), hop_s))
    assert [start for start, _, _ in made] == list(
        np.cumsum([0, *(count for _, count, _ in made)])[:-1]
    )
    assert sum(count for _, count, _ in made) == frames
    assert len(made) <= max(1, frames * hop_s / ROW_S)
    assert all(len(row) == min(bins, MOST_BINS) for _, _, row in made)


def test_a_carrier_in_one_bin_of_many_is_as_high_as_before():
    frames = np.ones((8, 8192), np.float32)
    frames[:, 4001] = 1e4
    ((_, _, row),) = rows(frames, 1e-3)
    assert row.argmax() == 4001 * MOST_BINS // 8192
    assert row.max() == pytest.approx(40) and np.median(row) == pytest.approx(0)


def test_silence_is_a_number():
    ((_, _, row),) = rows(np.zeros((4, 16), np.float32), 1e-3)
    assert np.isfinite(row).all() and row.max() < -150
