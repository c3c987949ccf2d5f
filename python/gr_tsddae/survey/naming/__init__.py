# SPDX-License-Identifier: GPL-3.0-or-later
"""Which known signals an emission is consistent with, by what was measured of it.

`load_signals` reads the signals, `candidates` compares an emission with them.
"""

from gr_tsddae.survey.naming.matching import (
    SYNONYMS,
    Candidate,
    baud,
    candidates,
    class_name,
    hertz,
    named,
    seconds,
)
from gr_tsddae.survey.naming.signals import CLASSES, Signal, SignalsError, load_signals

__all__ = [
    "CLASSES",
    "SYNONYMS",
    "Candidate",
    "Signal",
    "SignalsError",
    "baud",
    "candidates",
    "class_name",
    "hertz",
    "load_signals",
    "named",
    "seconds",
]
