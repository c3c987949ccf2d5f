# SPDX-License-Identifier: GPL-3.0-or-later
"""The waterfall's memory: every spectrum lies where its time and its frequencies say."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.blocks.survey_view.waterfall import (
    BLANK,
    LOWEST_DB,
    MOST_BINS,
    ROWS,
    STEP_DB,
    Waterfall,
    levels,
    quiet_level,
)

SPAN_S = 60.0
ROW_S = SPAN_S / ROWS


def line(value_db: float, bins: int = 4) -> np.ndarray:
    return np.full(bins, value_db)


def level_at(waterfall: Waterfall, time_s: float, frequency_hz: float) -> int:
    image, first_s = waterfall.image()
    row = int((time_s - first_s) / waterfall.row_s)
    width_hz = waterfall.high_hz - waterfall.low_hz
    column = int((frequency_hz - waterfall.low_hz) / width_hz * image.shape[1])
    return int(image[row, column])


def test_a_spectrum_lies_at_its_time_and_gaps_stay_blank():
    waterfall = Waterfall(SPAN_S)
    assert waterfall.empty
    waterfall.add(0.0, 0.5, 0.0, 400.0, line(-40))
    waterfall.add(10.0, 10.5, 0.0, 400.0, np.array([-90.0, -60.0, -90.0, -90.0]))
    assert waterfall.newest_s == 10.5
    assert level_at(waterfall, 0.25, 150) == levels(line(-40))[0]
    assert level_at(waterfall, 10.25, 150) == levels(line(-60))[0]
    assert level_at(waterfall, 10.25, 250) == levels(line(-90))[0]
    for empty_s in (0.55, 5.0, 9.97):
        assert level_at(waterfall, empty_s, 150) == BLANK
    assert waterfall.image()[0].shape == (ROWS, 4)


def test_rows_of_any_length_fill_every_row_once():
    for length_s in (ROW_S / 3, ROW_S, 1.7 * ROW_S, 9.3 * ROW_S):
        waterfall = Waterfall(SPAN_S)
        count = int(20 / length_s)
        for number in range(count):
            waterfall.add(number * length_s, (number + 1) * length_s, 0.0, 1.0, line(-40))
        image, first_s = waterfall.image()
        rows = first_s + (np.arange(ROWS) + 0.5) * ROW_S
        filled = (image != BLANK).all(1)
        inside = (rows > 0) & (rows < (count - 1) * length_s)
        assert inside.sum() > 300
        assert filled[inside].all(), length_s
        assert not filled[rows < 0].any()


def test_memory_is_bounded_and_the_newest_stay():
    waterfall = Waterfall(SPAN_S)
    for second in range(1000):
        waterfall.add(second, second + 1, 0.0, 400.0, line(-100 + second % 50))
    image, first_s = waterfall.image()
    assert image.shape == (ROWS, 4)
    assert first_s == pytest.approx(1000 - SPAN_S)
    for second in range(941, 1000):
        expected = levels(line(-100 + second % 50))[0]
        assert level_at(waterfall, second + 0.5, 200) == expected
    waterfall.add(5.0, 6.0, 0.0, 400.0, line(0.0))  # long gone
    assert (waterfall.image()[0] == image).all()


def test_a_retune_moves_what_was_heard_to_its_true_place():
    waterfall = Waterfall(SPAN_S)
    waterfall.add(0.0, 1.0, 100.0, 500.0, np.array([-90.0, -90.0, -50.0, -90.0]))  # at 300..400
    waterfall.add(1.0, 2.0, 200.0, 600.0, line(-90))
    assert level_at(waterfall, 0.5, 350) == levels(line(-50))[0]
    assert level_at(waterfall, 0.5, 250) == levels(line(-90))[0]
    assert level_at(waterfall, 0.5, 550) == BLANK, "nobody heard that at that time"
    waterfall.add(2.0, 3.0, 10_000.0, 10_400.0, line(-90))
    assert (waterfall.image()[0] != BLANK).any(1).sum() == round(1 / ROW_S)


def test_wide_spectra_keep_their_peaks():
    waterfall = Waterfall(SPAN_S)
    power_db = np.full(5000, -90.0)
    power_db[1234] = -20.0
    waterfall.add(0.0, 1.0, 0.0, 5000.0, power_db)
    assert waterfall.image()[0].shape[1] == MOST_BINS
    assert level_at(waterfall, 0.5, 1234.5) == levels(line(-20))[0]


def test_levels_and_the_floor():
    assert levels(np.array([-1e9, LOWEST_DB, LOWEST_DB + STEP_DB, 1e9, np.nan])).tolist() == [
        1, 1, 2, 255, BLANK,
    ]  # fmt: skip
    rows = np.full((10, 100), 80, np.uint8)
    rows[:, 60:] = 200  # signals fill less than the half
    rows[:3] = BLANK
    assert quiet_level(rows) == 80
    assert quiet_level(np.zeros((3, 4), np.uint8)) is None
