# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of merit of a classifier: per level, per class, and whether its confidence is honest.

Training, `evaluate` and the Accuracy Probe all count and name them here. Arrays may be anything
numpy takes, such as tensors on the CPU.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

CALIBRATION_BINS = 15
NO_LEVEL = -(2**31)  # the level of a window whose SNR nobody knows
_Z = 1.959964  # of a 95 % interval


class Confusion:
    """Counts of what was true and what was called, per level.

    Attributes:
        per_level: Level in dB, or `NO_LEVEL` -> counts, int64 (K, K): row = true, column = called.
    """

    def __init__(self, classes: Iterable[str]):
        self.classes = tuple(classes)
        self.per_level: dict[int, np.ndarray] = {}

    def add(self, true: np.ndarray, called: np.ndarray, level_db: np.ndarray | None) -> None:
        """Count windows: class indices and levels, int64 (n,); None when no level is known."""
        level_db = np.full(len(true), NO_LEVEL) if level_db is None else level_db
        size = len(self.classes)
        for level in np.unique(level_db).tolist():  # ascending
            at = level_db == level
            counts = np.bincount(true[at] * size + called[at], minlength=size**2)
            self.per_level[level] = self.per_level.get(level, 0) + counts.reshape(size, size)

    def total(self) -> np.ndarray:
        """Sum the counts over all levels, int64 (K, K)."""
        size = len(self.classes)
        return sum(self.per_level.values(), np.zeros((size, size), np.int64))

    def report(self) -> dict[str, Any]:
        """Compute what the counts say, as plain numbers, lists and dicts.

        Returns:
            `average_over_snr` is the mean of the accuracies per level. `confusion[i][j]` counts
            windows of class i called class j. `recall`, `precision` and `macro_f1` are of classes
            that have windows; the precision of a class that was never called is 0. Shares are from
            0 to 1; where nothing was counted they are None, or left out.
        """
        total = self.total()
        true, called, hits = total.sum(1), total.sum(0), total.diagonal()
        held = np.flatnonzero(true).tolist()
        shares = {
            level: counts.trace() / counts.sum()
            for level, counts in sorted(self.per_level.items())
            if level != NO_LEVEL
        }
        f1 = [2 * hits[k] / (true[k] + called[k]) for k in held]
        return {
            "windows": int(total.sum()),
            "accuracy": _share(hits.sum(), total.sum()),
            "accuracy_per_snr": {level: rounded(share) for level, share in shares.items()},
            "average_over_snr": _share(sum(shares.values()), len(shares)),
            "macro_f1": _share(sum(f1), len(f1)),
            "recall": {self.classes[k]: _share(hits[k], true[k]) for k in held},
            "precision": {self.classes[k]: _share(hits[k], max(called[k], 1)) for k in held},
            "classes": list(self.classes),
            "confusion": total.tolist(),
        }


def metrics(
    probability: ArrayLike,
    label: ArrayLike,
    level_db: ArrayLike | None,
    classes: tuple[str, ...],
    *,
    group: ArrayLike | None = None,
) -> dict[str, Any]:
    """Compute what a model card says about a classifier.

    Args:
        probability: (B, K); rows sum to 1.
        label: True class indices, (B,).
        level_db: SNRs in whole decibels, (B,); None when nobody knows them.
        classes: K names.
        group: The recording each window is from, (B,). Windows of one recording are no independent
            evidence, which widens the intervals. None when all windows are independent.

    Returns:
        `Confusion.report`, and `best`, the highest accuracy of a level; 95 % intervals (Wilson's;
        of the average by Zou and Donner's rule); `ece`, the expected calibration error over 15
        bins; `brier`, the sum of squares over classes; `nll`, the mean negative log-likelihood in
        nats.

    Raises:
        ValueError: There are no windows.
        FloatingPointError: A probability is not finite.
    """
    probability, label = np.asarray(probability, np.float64), np.asarray(label)
    if not len(label):
        raise ValueError("there are no labelled windows to measure on")
    if not np.isfinite(probability).all():
        raise FloatingPointError("the model's outputs hold NaN or infinity; use float32 precision")
    level_db = None if level_db is None else np.asarray(level_db)
    group = None if group is None else np.asarray(group)
    called = probability.argmax(1)
    right = called == label
    counts = Confusion(classes)
    counts.add(label, called, level_db)
    result = counts.report()
    if level_db is None:
        del result["average_over_snr"]
        result["best"] = result["accuracy"]
    else:
        result |= _over_levels(right, level_db, group)
    likelihood = probability[np.arange(len(label)), label].clip(min=1e-12)
    squares = (probability - np.eye(len(classes))[label]) ** 2
    return result | {
        "accuracy_interval": _rounded_pair(share_interval(right, group)),
        "ece": calibration_error(probability, label),
        "nll": rounded(-np.log(likelihood).mean()),
        "brier": rounded(squares.sum(1).mean()),
    }


def calibration_error(probability: ArrayLike, label: ArrayLike) -> float:
    """Compute the expected calibration error: how far confidence and accuracy are apart."""
    bins = reliability(probability, label)
    apart = sum(b["windows"] * abs(b["accuracy"] - b["confidence"]) for b in bins)
    return rounded(apart / sum(b["windows"] for b in bins))


def reliability(probability: ArrayLike, label: ArrayLike) -> list[dict[str, float]]:
    """Divide windows by confidence into bins of equal width; leave out empty bins.

    Returns:
        For each bin `low` and `high`, its number of `windows`, their mean `confidence` and their
        `accuracy`.
    """
    probability = np.asarray(probability, np.float64)
    confidence, right = probability.max(1), probability.argmax(1) == np.asarray(label)
    place = (confidence * CALIBRATION_BINS).astype(int).clip(max=CALIBRATION_BINS - 1)
    return [
        {
            "low": b / CALIBRATION_BINS,
            "high": (b + 1) / CALIBRATION_BINS,
            "windows": int((place == b).sum()),
            "confidence": float(confidence[place == b].mean()),
            "accuracy": float(right[place == b].mean()),
        }
        for b in np.unique(place).tolist()
    ]


def unknown_metrics(
    known_score: ArrayLike, known_right: ArrayLike, unknown_score: ArrayLike
) -> dict[str, float]:
    """Compute how well a score tells signals of no class from those of the classes.

    Args:
        known_score: Of windows or emissions of the classes, higher where the model knows them less,
            (N,).
        known_right: Whether each of them was called rightly, bool (N,).
        unknown_score: Of those that belong to no class, (M,).

    Returns:
        `auroc`, the share of pairs in which the unknown one has the higher score, ties counted
        half; `fpr_at_95_recall`, the share of unknown ones that is accepted by a threshold which
        accepts 95 % of the known ones; `oscr`, the open-set classification rate (Dhamija et al.
        2018): the area under the share of known ones accepted and right over the share of unknown
        ones accepted, at most the accuracy.

    Raises:
        ValueError: There are no known, or no unknown ones.
    """
    from scipy.integrate import trapezoid
    from scipy.stats import mannwhitneyu

    known, unknown = (np.asarray(x, np.float64) for x in (known_score, unknown_score))
    if not len(known) or not len(unknown):
        raise ValueError("there must be known and unknown windows to tell apart")
    pairs = mannwhitneyu(unknown, known, method="asymptotic").statistic
    limit = np.quantile(known, 0.95, method="inverted_cdf")
    thresholds = np.unique(np.concatenate((known, unknown)))
    right = np.sort(known[np.asarray(known_right, bool)])
    accepted_right, accepted_unknown = (
        np.concatenate(([0], np.searchsorted(np.sort(scores), thresholds, "right"))) / total
        for scores, total in ((right, len(known)), (unknown, len(unknown)))
    )
    return {
        "auroc": rounded(pairs / (len(known) * len(unknown))),
        "fpr_at_95_recall": rounded((unknown <= limit).mean()),
        "oscr": rounded(trapezoid(accepted_right, accepted_unknown)),
    }


def wilson(hits: float, count: float) -> tuple[float, float]:
    """Compute Wilson's 95 % interval of a share; it is honest for few windows and for 0 and 1."""
    share, spread = hits / count, _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = (share * (1 - share) * spread + spread**2 / 4) ** 0.5 / (1 + spread)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def effective_windows(right: ArrayLike, group: ArrayLike) -> float:
    """Count how many independent windows tell as much as these, which come in groups.

    Windows of one recording succeed and fail together: a thousand of them are no thousand
    witnesses. The variance of the share is estimated between groups.

    Args:
        right: bool (B,).
        group: int64 (B,).
    """
    right = np.asarray(right, np.float64)
    names, place = np.unique(np.asarray(group), return_inverse=True)
    if len(names) < 2:
        return 1.0
    share = right.mean()
    excess = np.bincount(place, weights=right - share)
    variance = (excess**2).sum() / len(right) ** 2 * len(names) / (len(names) - 1)
    if variance == 0:  # all right or all wrong, or every group alike
        return float(len(names))
    return float((share * (1 - share) / variance).clip(1, len(right)))


def share_interval(right: ArrayLike, group: ArrayLike | None) -> tuple[float, float]:
    """Compute the 95 % interval of the share of `right`, bool (B,), given each one's recording."""
    right = np.asarray(right)
    count = len(right) if group is None else effective_windows(right, group)
    return wilson(float(right.mean()) * count, count)


def rounded(value: Any) -> float:
    """Round to the four decimal places that files hold."""
    return round(float(value), 4)


def _over_levels(
    right: np.ndarray, level_db: np.ndarray, group: np.ndarray | None
) -> dict[str, Any]:
    shares, intervals = {}, {}
    for level in np.unique(level_db).tolist():  # ascending
        at = level_db == level
        shares[level] = float(right[at].mean())
        intervals[level] = share_interval(right[at], None if group is None else group[at])
    average = sum(shares.values()) / len(shares)
    # Zou and Donner (2008): the distances from estimate to limit add in squares.
    below = sum((shares[s] - intervals[s][0]) ** 2 for s in shares) ** 0.5 / len(shares)
    above = sum((intervals[s][1] - shares[s]) ** 2 for s in shares) ** 0.5 / len(shares)
    best = max(shares, key=shares.__getitem__)
    return {
        "average_over_snr_interval": _rounded_pair((average - below, average + above)),
        "best": rounded(shares[best]),
        "best_snr_db": best,
        "accuracy_per_snr_interval": {s: _rounded_pair(limits) for s, limits in intervals.items()},
    }


def _rounded_pair(limits: tuple[float, float]) -> list[float]:
    return [rounded(limit) for limit in limits]


def _share(part: float, whole: float) -> float | None:
    return rounded(part / whole) if whole else None
