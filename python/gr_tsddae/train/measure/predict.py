# SPDX-License-Identifier: GPL-3.0-or-later
"""A network over a whole data set, a batch at a time: its outputs, and maps of its features."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gr_tsddae.data import Dataset
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.train.measure.metrics import logits

log = logging.getLogger(__name__)

_FEWEST_ON_A_MAP = 10


def predict(
    network: nn.Module,
    dataset: Dataset,
    *,
    scaling: str,
    batch: int = 512,
    bfloat16: bool = False,
) -> tuple[torch.Tensor, np.ndarray]:
    """Outputs of a network for a whole data set, in its order, read a batch at a time.

    Returns:
        Logits, float32 (N, K) or whatever else the network gives, on the CPU; and which windows are
        finite, bool (N,). The logits of the others, which hold NaN or infinity, mean nothing.
    """
    from tqdm import tqdm

    parts, finite = [], np.empty(len(dataset), bool)
    for start in tqdm(range(0, len(dataset), batch), unit="batch", leave=False, disable=None):
        rows = dataset.rows(slice(start, start + batch))
        good = np.isfinite(rows).all(axis=(1, 2))
        finite[start : start + batch] = good
        rows = torch.from_numpy(np.where(good[:, None, None], rows, np.float32(0)))
        parts.append(logits(network, rows, scaling=scaling, batch=batch, bfloat16=bfloat16))
    return torch.cat(parts), finite


class FeatureMap(NamedTuple):
    """Features of some windows, laid out in a plane.

    Attributes:
        title: what windows, e.g. "12 dB SNR".
        points: float32 (n, 2), without a unit.
        label: int64 (n,).
    """

    title: str
    points: np.ndarray
    label: np.ndarray


@torch.inference_mode()
def feature_maps(
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
    """t-SNE of what a network's `embed` gives, one map per level.

    Args:
        network: in evaluation mode, with `embed`: scaled windows (B, 2, L) -> (B, C).
        dataset: finite windows.
        label: for the maps, (N,).
        scaling: one of `SCALINGS`.
        levels_db: levels to draw, as far as the data set has them; the highest where it has none
            of them. A data set without levels gives one map.
        windows: at most so many per map, drawn at random.
        seed: of the choice and of t-SNE.
        batch: windows per pass.
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
        if len(numbers) < _FEWEST_ON_A_MAP:
            log.warning("no map of features for %s: only %d windows", title, len(numbers))
            continue
        if len(numbers) > windows:
            numbers = np.sort(random.choice(numbers, windows, replace=False))
        rows = torch.from_numpy(dataset.rows(numbers))
        features = torch.cat(
            [network.embed(SCALINGS[scaling](part.to(device))).cpu() for part in rows.split(batch)]
        )
        # Every feature counts alike, whatever its own scale.
        features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
        layout = TSNE(perplexity=min(30.0, (len(numbers) - 1) / 3), init="pca", random_state=seed)
        maps.append(FeatureMap(title, layout.fit_transform(features.numpy()), label[numbers]))
    return maps
