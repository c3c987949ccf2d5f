# SPDX-License-Identifier: GPL-3.0-or-later
"""How little a trained classifier knows windows: scores of its outputs and inner features."""

from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gr_tsddae.inference.rejection import SCORES, ClassDistance, EnergyAndDistance
from gr_tsddae.nets.tsnet import TSNet
from gr_tsddae.train.measure.predict import logits


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
    combined = EnergyAndDistance.fit(known.logits, label)
    found[combined.NAME] = [combined(each.logits) for each in others]
    for number, features in known.features.items():
        distance = ClassDistance.fit(features, label)
        found[f"class distance, layer {number}"] = [distance(o.features[number]) for o in others]
    return found
