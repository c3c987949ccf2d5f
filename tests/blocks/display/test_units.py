# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times as people read them."""

from __future__ import annotations

import pytest

from gr_tsddae.blocks.display.units import si, utc


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (2.4e6, "S/s", 4, "2.4 MS/s"), (9600.0, "Bd", 4, "9.6 kBd"), (0.0, "Hz", 4, "0 Hz"),
        (1.23456e9, "Hz", 3, "1.23 GHz"), (12.34567, "Hz", 3, "12.3 Hz"),
        (5e14, "Hz", 3, "500,000 GHz"),
    ],
)  # fmt: skip
def test_si(value, unit, digits, text):
    assert si(value, unit, digits) == text


def test_utc():
    assert utc(1.79e9, "%H:%M:%S") == "14:13:20"
    assert utc(1e20, "%H:%M:%S") == "100000000000000000000 s", "no calendar holds it"
