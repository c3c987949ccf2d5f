# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measured keying of an emission says about its class, beside the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NOTHING, NARROW, PREFIX = "nothing", "narrow", "prefix"
# Share of synthetic emissions of a class that show a regularity, where it is not rare: measured by
# benchmarks/keying_evidence.py. A class without a line here may show anything.
SHOWN: Mapping[str, Mapping[str, float]] = {
    "on-off": {"OOK": 0.98, "pulses": 1.0},
    "linear": {
        "BPSK": 0.92, "QPSK": 0.52, "pi/4-DQPSK": 0.48, "8PSK": 0.38, "QAM16": 0.92, "QAM64": 0.95,
    },
    # A phase keying whose envelope hardly moves is measured by its frequency.
    "frequency": {
        "2-FSK": 1.0, "4-FSK": 1.0, "GFSK": 0.98, "QPSK": 0.42, "pi/4-DQPSK": 0.48, "8PSK": 0.55,
    },
    "offset": {"OQPSK": 0.8},
    "chirp": {"LoRa": 1.0},
    PREFIX: {"OFDM": 0.62, "AM-SSB": 0.1},  # the pitch of a voice repeats, too
    NOTHING: {
        "noise": 1.0, "carrier": 1.0, "AM-DSB": 0.92, "AM-SSB": 0.82, "FM": 1.0, "OFDM": 0.38,
    },
    # Not measured by the benchmark: what is too narrow to be measured is a carrier in all scenes.
    NARROW: {"carrier": 1.0},
}  # fmt: skip
LEAST = 0.05  # share of any class: signals of the air are wilder than synthetic ones,
LEAST_OF_NOTHING = 0.3  # short or weak ones often show nothing,
LEAST_OF_NARROW = 0.2  # at a high sample rate even a voice is narrow,
LEAST_OF_PREFIX = 0.01  # and nothing but a voice has the rhythm of prefixes by chance
_LEAST = {NOTHING: LEAST_OF_NOTHING, NARROW: LEAST_OF_NARROW, PREFIX: LEAST_OF_PREFIX}
SETTLING = 0.01  # so small a share of any other class leaves no doubt
OF_OTHERS = 0.5  # share of a class that was not measured, as one that a user has taught


def regularity(measured: Mapping[str, Any]) -> str | None:
    """Name what was measured of an emission's keying; None where it was not measured."""
    if "ofdm_prefix_s" in measured:
        return PREFIX
    if "chirp_hz_per_s" in measured:
        return "chirp"
    if "narrower_than_hz" in measured:
        return NARROW
    return measured.get("keying", NOTHING if "envelope_moment" in measured else None)


def settled(label: str, measured: Mapping[str, Any]) -> bool:
    """Tell whether a measured regularity names the class by itself, as a prefix names OFDM."""
    kind = regularity(measured)
    return _LEAST.get(kind, LEAST) <= SETTLING and SHOWN[kind].get(label, 0.0) > 0.5


def weighed(
    probabilities: np.ndarray,
    classes: Sequence[str],
    measured: Mapping[str, Any],
    taught: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Weigh a model's probabilities by what was measured (Bayes' rule).

    Args:
        probabilities: Of the emission, of sum 1, (K,).
        classes: Their names.
        measured: Of the emission (`measurement.keying`).
        taught: Of taught classes, how likely the measurements are (`taught.likelihoods`).

    Returns:
        float64 (K,), of sum 1.
    """
    kind = regularity(measured)
    taught = taught or {}
    if kind is None and not taught:
        return probabilities
    shown = SHOWN.get(kind, {})
    least = _LEAST.get(kind, LEAST)
    known = set().union(*SHOWN.values())

    def likelihood(name: str) -> float:
        if name in taught:
            return taught[name]
        if kind is None:
            return 1.0
        return max(least, shown.get(name, 0.0)) if name in known else OF_OTHERS

    found = probabilities * np.array([likelihood(name) for name in classes])
    return found / found.sum()
