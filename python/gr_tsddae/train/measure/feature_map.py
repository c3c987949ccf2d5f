# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay out the features of windows in a plane, by t-SNE."""

import logging
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gr_tsddae.data import Dataset
from gr_tsddae.iq.windows import SCALINGS

log = logging.getLogger(__name__)

_FEWEST_WINDOWS = 10


class FeatureMap(NamedTuple):
    """Features of some windows, laid out in a plane.

    Attributes:
        title: Which windows, e.g. "12 dB SNR".
        points: float32 (n, 2), without a unit.
        label: int64 (n,).
    """

    title: str
    points: np.ndarray
    label: np.ndarray


@torch.inference_mode()
def map_features(
    network: nn.Module,
    dataset: Dataset,
    label: np.ndarray,
    *,
    scaling: str,
    levels_db: tuple[int, ...],
    windows: int,
    seed: int,
    batch: int = 512,
) -> list[FeatureMap]:
    """Lay out what the network's `embed` gives, one map per level.

    Args:
        network: In evaluation mode, with `embed`: scaled windows (B, 2, L) -> (B, C).
        dataset: Finite windows.
        label: Of the windows, (N,).
        scaling: One of `SCALINGS`.
        levels_db: Levels to draw, as far as the data set has them; the highest where it has none
            of them. A data set without levels gives one map.
        windows: At most so many per map, drawn at random.
        seed: Of the choice and of t-SNE.
        batch: Windows per pass.
    """
    from sklearn.manifold import TSNE

    if dataset.level_name is None:
        chosen = {"all windows": np.arange(len(dataset))}
    else:
        held = np.unique(dataset.level_db).tolist()
        levels = [level for level in levels_db if level in held] or held[-1:]
        chosen = {
            f"{level} dB {dataset.level_name}": np.flatnonzero(dataset.level_db == level)
            for level in levels
        }
    random = np.random.default_rng(seed)
    device = next(network.parameters()).device
    maps = []
    for title, numbers in chosen.items():
        if len(numbers) < _FEWEST_WINDOWS:
            log.warning("no map of features for %s: only %d windows", title, len(numbers))
            continue
        if len(numbers) > windows:
            numbers = np.sort(random.choice(numbers, windows, replace=False))
        rows = torch.from_numpy(dataset.rows(numbers))
        features = torch.cat(
            [network.embed(SCALINGS[scaling](some.to(device))).cpu() for some in rows.split(batch)]
        )
        # Give every feature the same weight, whatever its own scale.
        features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
        layout = TSNE(perplexity=min(30.0, (len(numbers) - 1) / 3), init="pca", random_state=seed)
        maps.append(FeatureMap(title, layout.fit_transform(features.numpy()), label[numbers]))
    return maps
