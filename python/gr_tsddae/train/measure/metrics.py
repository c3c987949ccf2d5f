# SPDX-License-Identifier: GPL-3.0-or-later
"""How right a classifier is: per SNR, per class, and how well its confidence means what it says."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.iq.windows import SCALINGS

CALIBRATION_BINS = 15
_Z = 1.959964  # of a 95 % interval


@torch.no_grad()
def logits(
    network: nn.Module,
    rows: torch.Tensor,
    *,
    scaling: str,
    batch: int = 512,
    bfloat16: bool = False,
) -> torch.Tensor:
    """Outputs of a network in evaluation mode for unscaled windows.

    Args:
        network: on any device; its training mode is left as it was.
        rows: float32 (B, 2, L), anywhere.
        scaling: one of `SCALINGS`.
        batch: windows per pass.
        bfloat16: autocast products to bfloat16.

    Returns:
        float32 (B, K) on the CPU.
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            parts = [
                network(SCALINGS[scaling](part.to(device))).float().cpu()
                for part in rows.split(batch)
            ]
    finally:
        network.train(was_training)
    return torch.cat(parts)


def probabilities(
    network: nn.Module, rows: torch.Tensor, *, scaling: str, batch: int = 512
) -> torch.Tensor:
    """Class probabilities of unscaled windows: (B, 2, L) -> float32 (B, K) on the CPU."""
    return logits(network, rows, scaling=scaling, batch=batch).softmax(1)


def metrics(
    probability: torch.Tensor,
    label: torch.Tensor,
    snr_db: torch.Tensor | None,
    classes: tuple[str, ...],
    *,
    group: torch.Tensor | None = None,
) -> dict[str, Any]:
    """What a model card says about a classifier.

    Args:
        probability: (B, K), rows sum to 1.
        label: true class indices, (B,).
        snr_db: whole decibels, (B,); None when nobody knows them.
        classes: K names.
        group: the recording each window is from, (B,); windows of one are no independent
            witnesses, which widens the intervals. None when all are independent.

    Returns:
        Plain numbers, lists and dicts, ready for JSON or YAML; shares are from 0 to 1.
        `average_over_snr` is the mean of the accuracies per SNR, `best` the highest of them.
        Intervals are of 95 % (Wilson's; combined by Zou and Donner's rule for the average).
        `confusion[i][j]` counts windows of class i called class j. `recall`, `precision` and
        `macro_f1` are of classes that have windows; a class never called has precision 0. `ece`
        is the expected calibration error over 15 bins, `brier` the sum of squares over classes,
        `nll` the mean negative log-likelihood in nats.

    Raises:
        ValueError: when there are no windows.
        FloatingPointError: when a probability is not finite.
    """
    if not len(label):
        raise ValueError("there are no labelled windows to measure on")
    if not probability.isfinite().all():
        raise FloatingPointError("the model's outputs hold NaN or infinity; use float32 precision")
    probability = probability.double()
    right = probability.argmax(1) == label
    confusion = confusion_matrix(probability, label)
    hits = confusion.diagonal().double()
    true, called = confusion.sum(1), confusion.sum(0)
    present = (true > 0).tolist()
    f1 = 2 * hits / (true + called).clamp(min=1)
    result: dict[str, Any] = {
        "windows": len(label),
        "accuracy": rounded(right.double().mean()),
        "accuracy_interval": _rounded_pair(share_interval(right, group)),
    }
    if snr_db is None:
        result |= {"best": result["accuracy"], "accuracy_per_snr": {}}
    else:
        result |= _over_snr(right, snr_db, group)
    bins = reliability(probability, label)
    squares = (probability - F.one_hot(label, len(classes))).square().sum(1)
    likelihood = probability.gather(1, label[:, None]).clamp(min=1e-12)
    return result | {
        "macro_f1": rounded(f1[true > 0].mean()),
        "ece": rounded(
            sum(b["windows"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / len(label)
        ),
        "nll": rounded(-likelihood.log().mean()),
        "brier": rounded(squares.mean()),
        "recall": _per_class(classes, present, hits / true.clamp(min=1)),
        "precision": _per_class(classes, present, hits / called.clamp(min=1)),
        "classes": list(classes),
        "confusion": confusion.tolist(),
    }


def confusion_matrix(probability: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Counts, int64 (K, K): row = true class, column = called class."""
    count = probability.shape[1]
    pairs = label * count + probability.argmax(1)
    return torch.bincount(pairs, minlength=count**2).view(count, count)


def reliability(probability: torch.Tensor, label: torch.Tensor) -> list[dict[str, float]]:
    """Bins of equal width over confidence; those without windows are left out.

    Returns:
        For each bin `low` and `high`, its number of `windows`, their mean `confidence` and their
        `accuracy`.
    """
    confidence, called = probability.double().max(1)
    right = (called == label).double()
    place = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)
    return [
        {
            "low": b / CALIBRATION_BINS,
            "high": (b + 1) / CALIBRATION_BINS,
            "windows": int((place == b).sum()),
            "confidence": confidence[place == b].mean().item(),
            "accuracy": right[place == b].mean().item(),
        }
        for b in place.unique().tolist()
    ]


def wilson(hits: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; honest for few windows and for shares of 0 and 1."""
    share, spread = hits / count, _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = (share * (1 - share) * spread + spread**2 / 4) ** 0.5 / (1 + spread)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def effective_windows(right: torch.Tensor, group: torch.Tensor) -> float:
    """How many independent windows tell as much as these, which come in groups.

    Windows of one recording succeed and fail together: a thousand of one are no thousand
    witnesses. The variance of the share is estimated between groups.

    Args:
        right: bool (B,).
        group: int64 (B,).
    """
    names, place = group.unique(return_inverse=True)
    if len(names) < 2:
        return 1.0
    share = right.double().mean()
    excess = torch.zeros(len(names), dtype=torch.float64)
    excess.index_add_(0, place, right.double() - share)
    variance = excess.square().sum() / len(right) ** 2 * len(names) / (len(names) - 1)
    if variance == 0:  # all right or all wrong, or every group alike
        return float(len(names))
    return float((share * (1 - share) / variance).clamp(1, len(right)))


def share_interval(right: torch.Tensor, group: torch.Tensor | None) -> tuple[float, float]:
    """95 % interval of the share of `right`, bool (B,), given the recording of each, (B,)."""
    count = len(right) if group is None else effective_windows(right, group)
    return wilson(right.double().mean().item() * count, count)


def _over_snr(
    right: torch.Tensor, snr_db: torch.Tensor, group: torch.Tensor | None
) -> dict[str, Any]:
    shares, intervals = {}, {}
    for level in snr_db.unique().tolist():  # ascending
        at = snr_db == level
        shares[level] = right[at].double().mean().item()
        intervals[level] = share_interval(right[at], None if group is None else group[at])
    average = sum(shares.values()) / len(shares)
    # Zou and Donner (2008): the distances from estimate to limit add in squares.
    below = sum((shares[s] - intervals[s][0]) ** 2 for s in shares) ** 0.5 / len(shares)
    above = sum((intervals[s][1] - shares[s]) ** 2 for s in shares) ** 0.5 / len(shares)
    best = max(shares, key=lambda level: shares[level])
    return {
        "average_over_snr": rounded(average),
        "average_over_snr_interval": _rounded_pair((average - below, average + above)),
        "best": rounded(shares[best]),
        "best_snr_db": best,
        "accuracy_per_snr": {s: rounded(share) for s, share in shares.items()},
        "accuracy_per_snr_interval": {s: _rounded_pair(limits) for s, limits in intervals.items()},
    }


def _per_class(
    classes: tuple[str, ...], present: list[bool], share: torch.Tensor
) -> dict[str, float]:
    return {name: rounded(s) for name, s, here in zip(classes, share, present, strict=True) if here}


def _rounded_pair(limits: tuple[float, float]) -> list[float]:
    return [rounded(limit) for limit in limits]


def rounded(value: Any) -> float:
    return round(float(value), 4)
