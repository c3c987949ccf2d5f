# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables behind the pictures of a report, curves of detectors, and lines for a terminal."""

import logging
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gr_tsddae.inference.metrics import NO_LEVEL, Confusion, reliability, rounded

log = logging.getLogger(__name__)

_ROC_POINTS = 200
_MOST_CONFUSIONS = 8  # that are listed


def details(
    probability: ArrayLike,
    label: ArrayLike,
    level_db: ArrayLike | None,
    classes: tuple[str, ...],
    *,
    confusion_snrs_db: tuple[int, ...] = (),
    best_snr_db: int | None = None,
) -> dict[str, Any]:
    """Compute the tables that a report adds to `metrics`.

    Args:
        probability, label, level_db, classes: As for `metrics`.
        confusion_snrs_db: Levels whose confusion matrix is wanted; those without windows are left
            out.
        best_snr_db: The level of the fewest errors, where there is one; its matrix is always given.

    Returns:
        `reliability`: the bins of `ece`. `recall_per_snr`: class -> level -> share.
        `confusion_per_snr`: level -> matrix. `top_confusions`: the most frequent mistakes, at the
        best level where there is one. With two classes also `positive`, the second class, and
        `roc`, see `roc_per_level`.
    """
    probability, label = np.asarray(probability), np.asarray(label)
    level_db = None if level_db is None else np.asarray(level_db)
    counts = Confusion(classes)
    counts.add(label, probability.argmax(1), level_db)
    worst = counts.total() if best_snr_db is None else counts.per_level[best_snr_db]
    result: dict[str, Any] = {
        "reliability": reliability(probability, label),
        "top_confusions": top_confusions(worst, classes),
        "recall_per_snr": {},
        "confusion_per_snr": {},
    }
    for level, matrix in counts.per_level.items():
        if level == NO_LEVEL:
            continue
        if level in (*confusion_snrs_db, best_snr_db):
            result["confusion_per_snr"][level] = matrix.tolist()
        for name, row, hits in zip(classes, matrix, matrix.diagonal(), strict=True):
            if row.sum():
                shares = result["recall_per_snr"].setdefault(name, {})
                shares[level] = rounded(hits / row.sum())
    if len(classes) == 2 and len(np.unique(label)) == 2:
        roc = roc_per_level(probability[:, 1], label, level_db)
        result |= {"positive": classes[1], "roc": roc}
    return result


def top_confusions(confusion: ArrayLike, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """List the largest shares of a true class that were called another, highest first."""
    confusion = np.asarray(confusion)
    share = confusion / confusion.sum(1, keepdims=True).clip(min=1)
    np.fill_diagonal(share, 0)
    order = np.argsort(-share, axis=None, kind="stable")[:_MOST_CONFUSIONS].tolist()
    return [
        {
            "true": classes[i],
            "called": classes[j],
            "share": rounded(share[i, j]),
            "windows": int(confusion[i, j]),
        }
        for i, j in (divmod(place, len(classes)) for place in order)
        if share[i, j] > 0
    ]


def roc_per_level(score: ArrayLike, label: ArrayLike, level_db: ArrayLike | None) -> dict[str, Any]:
    """Compute receiver operating characteristics of a detector: "all", and per level.

    Args:
        score: Higher means more likely positive, (B,).
        label: 1 = positive, (B,).
        level_db: SIR or SNR in whole decibels, (B,), or None. Where a level has positives but no
            negatives (a negative without interference has no SIR), all negatives are taken.

    Returns:
        Level -> `auc`, `false_positive_share` and `true_positive_share` (at most 200 points), and
        how many `positives` and `negatives` there were. A level without positives has no curve.
        Without any negatives there is no curve at all. What is left out is logged.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    score, label = np.asarray(score, np.float64), np.asarray(label)
    levels = [] if level_db is None else np.unique(level_db).tolist()
    found = {}
    for level in ["all", *levels]:
        at = np.ones(len(label), bool) if level == "all" else np.asarray(level_db) == level
        if not (label[at] == 0).any():
            at = at | (label == 0)
        positives, negatives = int((label[at] == 1).sum()), int((label[at] == 0).sum())
        if not positives or not negatives:
            where = "at all" if level == "all" else f"at {level} dB"
            log.warning("no ROC: no %s windows %s", "negative" if positives else "positive", where)
            continue
        false_share, true_share, _ = roc_curve(label[at], score[at])
        # Thin the curve evenly, and keep its ends.
        kept = np.linspace(0, len(false_share) - 1, min(_ROC_POINTS, len(false_share)))
        kept = kept.round().astype(int)
        found[level] = {
            "auc": rounded(roc_auc_score(label[at], score[at])),
            "false_positive_share": [rounded(x) for x in false_share[kept]],
            "true_positive_share": [rounded(x) for x in true_share[kept]],
            "positives": positives,
            "negatives": negatives,
        }
    return found


def summary_lines(result: dict[str, Any], what: str = "windows") -> list[str]:
    """Format `metrics` of windows, or of what they make up, and `details` where they are there."""
    lines = []
    per_snr = list(result["accuracy_per_snr"].items())
    name = result.get("level_name") or "SNR"
    for start in range(0, len(per_snr), 13):  # 13 columns fit a terminal
        columns = per_snr[start : start + 13]
        lines.append(f"{name} dB    " + " ".join(f"{level:>5}" for level, _ in columns))
        lines.append("accuracy  " + " ".join(f"{100 * share:5.1f}" for _, share in columns))
    low, high = result["accuracy_interval"]
    lines.append(
        f"accuracy {_percent(result['accuracy'])} ({100 * low:.1f} to {100 * high:.1f}) of "
        f"{result['windows']} {what}"
    )
    if per_snr:
        low, high = result["average_over_snr_interval"]
        lines.append(
            f"average over {name} {_percent(result['average_over_snr'])} ({100 * low:.1f} to "
            f"{100 * high:.1f}), best {_percent(result['best'])} at {result['best_snr_db']} dB"
        )
    lines.append(
        f"macro-F1 {result['macro_f1']:.3f}, calibration error {result['ece']:.3f}, "
        f"NLL {result['nll']:.3f}, Brier {result['brier']:.3f}"
    )
    for level, curve in result.get("roc", {}).items():
        where = "overall" if level == "all" else f"at {name} {level} dB"
        lines.append(f"AUC {where}: {curve['auc']:.4f}")
    if mistakes := result.get("top_confusions"):
        where = f" at {result['best_snr_db']} dB" if per_snr else ""
        lines.append(
            f"most taken for another{where}: "
            + ", ".join(
                f"{m['true']} → {m['called']} {100 * m['share']:.0f} %" for m in mistakes[:4]
            )
        )
    lines += [f"left out: {n} windows, {why}" for why, n in result.get("skipped", {}).items()]
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
