# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a recording are pauses, by their levels."""

import numpy as np
import pytest

from gr_tsddae.inference.pauses import is_on


def test_what_lies_apart_below_the_signal_is_a_pause():
    power = np.random.default_rng(1).gamma(200, 1 / 200, 100)
    power[20:50] *= 0.05
    on = is_on(power, 5.0)
    assert not on[20:50].any() and on[:20].all() and on[50:].all()
    assert is_on(power, 20.0).all()  # 13 dB are too few then


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("power", [[], [0.0], [0.0] * 60, [np.inf] * 60, [1.0] * 60 + [np.inf]])
def test_levels_without_pauses_whatever_they_are(power):
    on = is_on(np.array(power), 5.0)
    assert len(on) == len(power) and on[-1:].all()
