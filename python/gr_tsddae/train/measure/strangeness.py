# SPDX-License-Identifier: GPL-3.0-or-later
"""How little a trained classifier knows windows: scores of its outputs and inner features."""

from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gr_tsddae.inference.rejection import SCORES
from gr_tsddae.nets.tsnet import TSNet
from gr_tsddae.train.measure.predict import logits

SHRINKAGE = 1e-3  # of a covariance, towards equal variances: some features hardly vary


class Outputs(NamedTuple):
    """What a network says of windows.

    Attributes:
        logits: float32 (B, K).
        features: Layer, from 1 -> its output averaged over time, float32 (B, E); empty for networks
            other than TS-Net.
    """

    logits: np.ndarray
    features: dict[int, np.ndarray]


def outputs(network: nn.Module, rows: torch.Tensor, *, scaling: str) -> Outputs:
    """Compute logits and the features of every layer of unscaled windows, float32 (B, 2, L)."""
    heard: dict[int, list[list[torch.Tensor]]] = {}
    with ExitStack() as stack:
        if isinstance(network.backbone, TSNet):
            for encoders in (network.backbone.temporal, network.backbone.spectral):
                for number, layer in enumerate(encoders, 1):
                    kept: list[torch.Tensor] = []
                    heard.setdefault(number, []).append(kept)
                    stack.enter_context(
                        layer.register_forward_hook(
                            lambda layer, given, found, kept=kept: kept.append(
                                found.mean(1).float().cpu()
                            )
                        )
                    )
        found = logits(network, rows, scaling=scaling)
    features = {
        number: torch.cat([torch.cat(kept) for kept in domains], dim=1).numpy()
        for number, domains in heard.items()
    }
    return Outputs(found.numpy(), features)


class ClassDistance:
    """The smallest Mahalanobis distance to the mean of a class, with one covariance for all.

    Source: Lee et al., "A simple unified framework for detecting out-of-distribution samples and
    adversarial attacks", NeurIPS 2018.

    Args:
        features: Of labelled windows, (B, E).
        label: Their classes, (B,).
    """

    def __init__(self, features: np.ndarray, label: np.ndarray):
        features = features.astype(np.float64)
        names, place = np.unique(label, return_inverse=True)
        self._means = np.stack([features[place == k].mean(0) for k in range(len(names))])
        covariance = np.cov((features - self._means[place]).T)
        size = len(covariance)
        covariance += SHRINKAGE * np.trace(covariance) / size * np.eye(size)
        self._whiten = np.linalg.cholesky(np.linalg.inv(covariance))  # (E, E)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Compute the squared distance of windows' features: (B, E) -> (B,)."""
        white, means = features @ self._whiten, self._means @ self._whiten
        return np.square(white[:, None] - means).sum(2).min(1)


def all_scores(fitted: tuple[Outputs, np.ndarray], *others: Outputs) -> dict[str, list[np.ndarray]]:
    """Compute every score of several sets of windows.

    Args:
        fitted: Outputs and labels of known windows, which class means are taken from; they are not
            scored.
        others: Sets to score.

    Returns:
        Name -> scores (B,) of each set, higher where the network knows a window less.
    """
    found = {name: [score(each.logits) for each in others] for name, score in SCORES.items()}
    known, label = fitted
    for number, features in known.features.items():
        distance = ClassDistance(features, label)
        found[f"class distance, layer {number}"] = [distance(o.features[number]) for o in others]
    return found
