# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a signal is of any class that the model was taught: a score, and a threshold in the card.

A classifier names a class for everything. Its outputs before the softmax still tell: they are small
together where nothing that it learned is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from gr_tsddae import zoo


def energy(logits: np.ndarray) -> np.ndarray:
    """Compute minus the log of the sum of exp: (B, K) -> (B,).

    Source: Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
    """
    return -logsumexp(logits, axis=1)


def max_probability(logits: np.ndarray) -> np.ndarray:
    """Compute one minus the largest probability: (B, K) -> (B,).

    Source: Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution
    examples", ICLR 2017.
    """
    return 1 - softmax(logits, axis=1).max(1)


def max_logit(logits: np.ndarray) -> np.ndarray:
    """Compute minus the largest output: (B, K) -> (B,).

    Source: Hendrycks et al., "Scaling out-of-distribution detection for real-world settings",
    ICML 2022.
    """
    return -logits.max(1)


# Name in the card -> score of windows, higher where the model knows them less.
SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "energy": energy,
    "max_probability": max_probability,
    "max_logit": max_logit,
}


@dataclass(frozen=True)
class Rejection:
    """How one model tells unknown signals.

    Attributes:
        score: Logits of windows, float (B, K), to their scores (B,).
        threshold: The mean score of the windows of a known signal is at most this.
    """

    score: Callable[[np.ndarray], np.ndarray]
    threshold: float


def rejection_of(card: zoo.Card) -> Rejection | None:
    """Read from a card how its model tells unknown signals; None when it does not.

    Raises:
        zoo.ModelVersionError: If the card names a score that this program does not know.
    """
    if not card.rejection:
        return None
    name = card.rejection["score"]
    if name not in SCORES:
        raise zoo.ModelVersionError(
            f"the card of {card.name} tells unknown signals by {name!r}; this program knows "
            f"{', '.join(SCORES)}. Install the gr-tsddae version the model was made for"
        )
    return Rejection(SCORES[name], float(card.rejection["threshold"]))
