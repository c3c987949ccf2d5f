# SPDX-License-Identifier: GPL-3.0-or-later
"""How well an emission's measurements fit the recordings that classes of a model were taught from.

A network sees a window at a rate that its bandwidth sets, so it cannot know how wide or how fast a
signal is. The survey measures both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gr_tsddae.labels import NOISE
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.evidence import SHOWN, regularity

# Octaves by which another emission of the same class differs (one standard deviation).
SPREAD = {"bandwidth_hz": 0.5, "rate_hz": 0.1}
OCTAVES = 10  # that signals of all kinds cover, evenly
UNLIKE = 0.1  # share of a class's emissions that resemble none of its recordings
NOISE_FOUND = 0.05  # what a survey finds above the floor is hardly noise


def facts_of(emission: Emission) -> dict[str, Any]:
    """Choose what is kept of an emission that a class is taught from, for the model's card."""
    facts: dict[str, Any] = {"bandwidth_hz": round(emission.bandwidth_hz, 1)}
    rate_hz = emission.symbol_rate_hz
    if rate_hz is None and "ofdm_useful_s" in emission.measured:
        rate_hz = 1 / emission.measured["ofdm_useful_s"]
    if rate_hz is not None:
        facts["rate_hz"] = round(rate_hz, 1)
    kind = regularity(emission.measured)
    if kind is not None:
        facts["regularity"] = kind
    return facts


def likelihoods(
    emission: Emission, taught: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, float]:
    """Compute how likely an emission's measurements are for each taught class.

    Args:
        emission: Measured.
        taught: Class -> `facts_of` each of its recordings; none for noise.

    Returns:
        Class -> density, that of signals of all kinds being 1; times the share of emissions with
        this regularity, where it was measured.
    """
    facts = facts_of(emission)
    return {name: _likelihood(name, facts, seen) for name, seen in taught.items()}


def _likelihood(name: str, facts: Mapping[str, Any], seen: Sequence[Mapping[str, Any]]) -> float:
    found = NOISE_FOUND if name == NOISE else 1.0
    for fact, spread in SPREAD.items():
        known = [each[fact] for each in seen if fact in each]
        if fact in facts and known:
            away = np.log2(facts[fact] / np.array(known, np.float64)) / spread
            density = np.exp(-np.square(away) / 2).mean() / (spread * math.sqrt(2 * math.pi))
            found *= UNLIKE + (1 - UNLIKE) * OCTAVES * float(density)
    if "regularity" in facts:
        kinds = [each["regularity"] for each in seen if "regularity" in each]
        # Laplace's rule: what was not seen yet may still come.
        found *= (kinds.count(facts["regularity"]) + 1) / (len(kinds) + len(SHOWN))
    return found
