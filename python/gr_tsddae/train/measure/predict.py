# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a network over a whole data set, a batch at a time, and measure it."""

from typing import Any

import numpy as np
import torch
from torch import nn

from gr_tsddae.data import Dataset
from gr_tsddae.inference.metrics import metrics
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.progress import Progress


@torch.no_grad()
def logits(
    network: nn.Module,
    rows: torch.Tensor,
    *,
    scaling: str,
    batch: int = 512,
    bfloat16: bool = False,
) -> torch.Tensor:
    """Compute the outputs of a network in evaluation mode for unscaled windows.

    Args:
        network: On any device; its training mode is left as it was.
        rows: float32 (B, 2, L), anywhere.
        scaling: One of `SCALINGS`.
        batch: Windows per pass.
        bfloat16: Autocast products to bfloat16.

    Returns:
        float32 (B, K) on the CPU.
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            outputs = [
                network(SCALINGS[scaling](some.to(device))).float().cpu()
                for some in rows.split(batch)
            ]
    finally:
        network.train(was_training)
    return torch.cat(outputs)


def predict(
    network: nn.Module,
    dataset: Dataset,
    *,
    scaling: str,
    batch: int = 512,
    bfloat16: bool = False,
) -> tuple[torch.Tensor, np.ndarray]:
    """Compute the outputs of a network for a whole data set, in its order.

    Returns:
        Logits, float32 (N, K) or whatever else the network gives, on the CPU. And which windows are
        finite, bool (N,): the logits of those with NaN or infinity mean nothing.
    """
    outputs, finite = [], np.empty(len(dataset), bool)
    with Progress("measuring", "window", len(dataset)) as bar:
        for start in range(0, len(dataset), batch):
            rows = dataset.rows(slice(start, start + batch))
            good = np.isfinite(rows).all(axis=(1, 2))
            finite[start : start + batch] = good
            rows = torch.from_numpy(np.where(good[:, None, None], rows, np.float32(0)))
            outputs.append(logits(network, rows, scaling=scaling, batch=batch, bfloat16=bfloat16))
            bar.update(len(rows))
    return torch.cat(outputs), finite


def predict_finite(
    network: nn.Module, dataset: Dataset, *, scaling: str
) -> tuple[torch.Tensor, torch.Tensor, Dataset]:
    """Compute outputs (n, ...) of a data set's finite windows, and give their labels."""
    outputs, finite = predict(network, dataset, scaling=scaling)
    dataset = dataset.select(finite)
    return outputs[finite], torch.from_numpy(dataset.label), dataset


def measure(network: nn.Module, dataset: Dataset, *, scaling: str) -> dict[str, Any]:
    """Compute `metrics` of a classifier on a data set's finite windows."""
    outputs, label, dataset = predict_finite(network, dataset, scaling=scaling)
    level_db = dataset.level_db if dataset.level_name else None
    return metrics(outputs.softmax(1), label, level_db, dataset.classes, group=dataset.group)
