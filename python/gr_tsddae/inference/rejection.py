# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a signal is of any class that the model was taught: a score, and a threshold in the card.

A classifier names a class for everything. Its outputs before the softmax still tell: they are small
together where nothing that it learned is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


class ClassDistance:
    """The smallest Mahalanobis distance to the mean of a class, with one covariance for all.

    Source: Lee et al., "A simple unified framework for detecting out-of-distribution samples and
    adversarial attacks", NeurIPS 2018.

    Args:
        means: Of the classes, (M, E).
        whiten: Makes the covariance within classes a unit matrix, (E, E).
    """

    SHRINKAGE = 1e-3  # of a covariance, towards equal variances: some features hardly vary

    def __init__(self, means: np.ndarray, whiten: np.ndarray):
        self.means, self.whiten = means, whiten

    @classmethod
    def fit(cls, features: np.ndarray, label: np.ndarray) -> ClassDistance:
        """Take means and covariance from features (B, E) of windows of known classes (B,)."""
        features = features.astype(np.float64)
        names, place = np.unique(label, return_inverse=True)
        means = np.stack([features[place == k].mean(0) for k in range(len(names))])
        covariance = np.cov((features - means[place]).T)
        size = len(covariance)
        covariance += cls.SHRINKAGE * np.trace(covariance) / size * np.eye(size)
        return cls(means, np.linalg.cholesky(np.linalg.inv(covariance)))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Compute the squared distance of windows' features: (B, E) -> (B,)."""
        white, means = features @ self.whiten, self.means @ self.whiten
        return np.square(white[:, None] - means).sum(2).min(1)


class EnergyAndDistance:
    """The energy of logits and their distance to the means of the classes, on one scale, added.

    A training with signals of no class teaches the energy about kinds like those; the distance also
    tells kinds unlike them.

    Args:
        energy_scale: Mean and standard deviation of the energy of known windows.
        distance_scale: The same of the distance.
    """

    NAME = "energy_and_distance"

    def __init__(
        self,
        distance: ClassDistance,
        energy_scale: tuple[float, float],
        distance_scale: tuple[float, float],
    ):
        self.distance, self.energy_scale = distance, energy_scale
        self.distance_scale = distance_scale

    @classmethod
    def fit(cls, logits: np.ndarray, label: np.ndarray) -> EnergyAndDistance:
        """Take what it needs from logits (B, K) of windows of known classes (B,)."""
        distance = ClassDistance.fit(logits, label)
        scales = [(float(x.mean()), float(x.std())) for x in (energy(logits), distance(logits))]
        return cls(distance, *scales)

    @classmethod
    def read(cls, reference: Any, class_count: int) -> EnergyAndDistance:
        """Read what `reference` wrote.

        Raises:
            ValueError: If it is not that, for so many classes.
        """
        try:
            means, whiten = (np.array(reference[x], np.float64) for x in ("means", "whiten"))
            scales = [tuple(map(float, reference[x])) for x in ("energy", "distance")]
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"reference is not readable ({error!r})") from error
        fits = means.ndim == 2 and means.shape[1:] == whiten.shape[1:] == (class_count,)
        fits = fits and len(whiten) == class_count and all(len(x) == 2 for x in scales)
        if not fits or not all(np.isfinite(x).all() for x in (means, whiten, *scales)):
            raise ValueError(f"reference does not fit {class_count} classes")
        return cls(ClassDistance(means, whiten), *scales)

    def reference(self) -> dict[str, list]:
        """Write what it needs as plain numbers of five digits, for a card."""

        def digits(values: np.ndarray | tuple[float, float]) -> list:
            return np.vectorize(lambda x: float(f"{x:.5g}"))(values).tolist()

        return {
            "means": digits(self.distance.means),
            "whiten": digits(self.distance.whiten),
            "energy": digits(self.energy_scale),
            "distance": digits(self.distance_scale),
        }

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Compute scores: (B, K) -> (B,)."""
        parts = (energy(logits), self.energy_scale), (self.distance(logits), self.distance_scale)
        return sum((score - mean) / max(deviation, 1e-9) for score, (mean, deviation) in parts)


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
        zoo.ModelCorruptError: If the card lacks what its score needs.
    """
    if not card.rejection:
        return None
    name = card.rejection["score"]
    if name == EnergyAndDistance.NAME:
        try:
            score = EnergyAndDistance.read(card.rejection.get("reference"), len(card.classes))
        except ValueError as error:
            raise zoo.ModelCorruptError(f"the card of {card.name}: rejection.{error}") from error
        return Rejection(score, float(card.rejection["threshold"]))
    if name not in SCORES:
        raise zoo.ModelVersionError(
            f"the card of {card.name} tells unknown signals by {name!r}; this program knows "
            f"{', '.join([*SCORES, EnergyAndDistance.NAME])}. Install the gr-tsddae version the "
            "model was made for"
        )
    return Rejection(SCORES[name], float(card.rejection["threshold"]))
