# SPDX-License-Identifier: GPL-3.0-or-later
"""A stretch of stream: what belongs to it, and where its emissions are said to lie."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from gr_tsddae.blocks.surveying.stretch import MOST_BURSTS_TOLD, MOST_LOST_S, Stretch
from gr_tsddae.inference.decision import Origin
from gr_tsddae.survey.emission import Emission

RATE_HZ = 1e5
ORIGIN = Origin(
    time_s=1000.0, time_sample=50_000, center_frequency_hz=100e6, sample_rate_hz=RATE_HZ
)


def stretch(origin: Origin = ORIGIN) -> Stretch:
    return Stretch(200_000, origin, lambda *_: None)


def emission(**more) -> Emission:
    bursts = [(0.1 * k, 0.1 * k + 0.05) for k in range(5, 50)]
    return Emission(3, 0.5, 4.95, -2e3, 4e3, 12.0, bursts, **more)


def test_it_goes_on_behind_a_short_gap_of_the_same_origin_only():
    made = stretch()
    list(made.events(np.zeros(1024, np.complex64), 200_000))
    assert made.goes_on(201_024, ORIGIN) and made.goes_on(201_025, ORIGIN)
    assert not made.goes_on(201_024 + int(MOST_LOST_S * RATE_HZ) + 1, ORIGIN)
    assert not made.goes_on(200_000, ORIGIN)
    retuned = Origin(time_s=1000.0, time_sample=50_000, center_frequency_hz=101e6,
                     sample_rate_hz=RATE_HZ)  # fmt: skip
    assert not made.goes_on(201_024, retuned)


def test_emissions_are_placed_in_the_stream_in_time_and_in_frequency():
    told = stretch().describe(emission())
    assert (told["start_s"], told["stop_s"]) == pytest.approx((2.5, 6.95))
    assert (told["first_sample"], told["sample_count"]) == (250_000, 445_000)
    assert told["time_s"] == pytest.approx(1000 + 2.0)
    assert (told["low_hz"], told["high_hz"]) == (99.998e6, 100.004e6)
    assert len(told["measured"]["bursts_s"]) == MOST_BURSTS_TOLD
    assert told["measured"]["bursts_s"][-1] == pytest.approx([6.9, 6.95])


def test_without_tags_frequencies_count_from_the_centre_and_there_is_no_time():
    told = stretch(Origin(sample_rate_hz=RATE_HZ)).describe(emission())
    assert (told["low_hz"], told["time_s"], told["center_frequency_hz"]) == (-2e3, None, None)


def test_its_samples_leave_memory_with_it():
    made = stretch()
    list(made.events(np.zeros(200_000, np.complex64), 200_000))
    made.end()
    survey = weakref.ref(made.survey)
    gc.disable()
    try:
        del made
        assert survey() is None
    finally:
        gc.enable()
