# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions as far as recordings and pictures look at them."""

from dataclasses import dataclass


@dataclass
class Decision:
    label: str
    first_sample: int
    sample_count: int = 100
    confidence: float = 0.9
    model: str = "amc-nano"
    center_frequency_hz: float | None = None
    sample_rate_hz: float | None = None


DECISIONS = [
    Decision("noise", 0, confidence=0.5),
    Decision("BPSK", 100, confidence=0.8),
    Decision("BPSK", 200, confidence=1.0),
    Decision("BPSK", 400),  # after a gap
    Decision("noise", 500),
]
