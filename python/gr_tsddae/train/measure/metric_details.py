# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report adds to the figures of merit: tables for pictures, and lines for a terminal."""

from __future__ import annotations

import logging
from typing import Any

import torch

from gr_tsddae.train.measure.metrics import confusion_matrix, reliability, rounded

log = logging.getLogger(__name__)

_ROC_POINTS = 200


def details(
    probability: torch.Tensor,
    label: torch.Tensor,
    snr_db: torch.Tensor | None,
    classes: tuple[str, ...],
    *,
    confusion_snrs_db: tuple[int, ...] = (),
    best_snr_db: int | None = None,
) -> dict[str, Any]:
    """What a report adds to `metrics`: more tables, for pictures.

    Args:
        probability, label, snr_db, classes: as for `metrics`.
        confusion_snrs_db: SNRs whose confusion matrix is wanted; those without windows are
            left out.
        best_snr_db: the SNR of the fewest errors, where there is one; its matrix is always given.

    Returns:
        `reliability`: the bins of `ece`. `recall_per_snr`: class -> SNR -> share.
        `confusion_per_snr`: SNR -> matrix. `top_confusions`: the most frequent mistakes, at the
        best SNR where there is one. With two classes also `positive`, the second class, and
        `roc`, see `roc_per_level`.
    """
    matrix = confusion_matrix(probability, label)
    result: dict[str, Any] = {
        "reliability": reliability(probability, label),
        "top_confusions": top_confusions(matrix, classes),
        "recall_per_snr": {},
        "confusion_per_snr": {},
    }
    if snr_db is not None:
        for level in snr_db.unique().tolist():
            at = snr_db == level
            matrix = confusion_matrix(probability[at], label[at])
            if level in (*confusion_snrs_db, best_snr_db):
                result["confusion_per_snr"][level] = matrix.tolist()
            if level == best_snr_db:
                result["top_confusions"] = top_confusions(matrix, classes)
            for name, row, hit in zip(classes, matrix, matrix.diagonal(), strict=True):
                if row.sum():
                    shares = result["recall_per_snr"].setdefault(name, {})
                    shares[level] = rounded(hit / row.sum())
    if len(classes) == 2 and len(label.unique()) == 2:
        result |= {"positive": classes[1], "roc": roc_per_level(probability[:, 1], label, snr_db)}
    return result


def top_confusions(
    confusion: torch.Tensor, classes: tuple[str, ...], *, limit: int = 8
) -> list[dict[str, Any]]:
    """The largest shares of a true class that were called another, highest first."""
    share = confusion.double() / confusion.sum(1, keepdim=True).clamp(min=1)
    share.fill_diagonal_(0)
    order = share.flatten().argsort(descending=True, stable=True)[:limit].tolist()
    pairs = [divmod(place, len(classes)) for place in order]
    return [
        {
            "true": classes[i],
            "called": classes[j],
            "share": rounded(share[i, j]),
            "windows": int(confusion[i, j]),
        }
        for i, j in pairs
        if share[i, j] > 0
    ]


def roc_per_level(
    score: torch.Tensor, label: torch.Tensor, level_db: torch.Tensor | None
) -> dict[str, Any]:
    """Receiver operating characteristics of a detector: "all", and per level.

    Args:
        score: higher means more likely positive, (B,).
        label: 1 = positive, (B,).
        level_db: SIR or SNR in whole decibels, (B,), or None. Where a level has positives but no
            negatives (a negative without interference has no SIR), all negatives are taken.

    Returns:
        level -> `auc`, `false_positive_share` and `true_positive_share` (at most 200 points), of
        so many `positives` and `negatives`. A level without positives has no curve, and nothing
        has where there are no negatives at all; that is logged.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    score, label = score.double().cpu(), label.cpu()
    levels = [] if level_db is None else level_db.unique().tolist()
    found = {}
    for level in ["all", *levels]:
        at = torch.ones_like(label, dtype=torch.bool) if level == "all" else level_db == level
        if not (label[at] == 0).any():
            at = at | (label == 0)
        positives, negatives = int((label[at] == 1).sum()), int((label[at] == 0).sum())
        if not positives or not negatives:
            where = "at all" if level == "all" else f"at {level} dB"
            log.warning("no ROC: no %s windows %s", "negative" if positives else "positive", where)
            continue
        false_share, true_share, _ = roc_curve(label[at].numpy(), score[at].numpy())
        # Thinned along the curve, ends kept.
        kept = torch.linspace(0, len(false_share) - 1, min(_ROC_POINTS, len(false_share)))
        kept = kept.round().long().numpy()
        found[level] = {
            "auc": rounded(roc_auc_score(label[at].numpy(), score[at].numpy())),
            "false_positive_share": [rounded(x) for x in false_share[kept]],
            "true_positive_share": [rounded(x) for x in true_share[kept]],
            "positives": positives,
            "negatives": negatives,
        }
    return found


def summary_lines(result: dict[str, Any]) -> list[str]:
    """The figures of `metrics` (and `details`, where there are any) for a terminal."""
    lines = []
    per_snr = list(result["accuracy_per_snr"].items())
    name = result.get("level_name") or "SNR"
    for start in range(0, len(per_snr), 13):  # 13 columns fit a terminal
        part = per_snr[start : start + 13]
        lines.append(f"{name} dB    " + " ".join(f"{level:>5}" for level, _ in part))
        lines.append("accuracy  " + " ".join(f"{100 * share:5.1f}" for _, share in part))
    low, high = result["accuracy_interval"]
    lines.append(
        f"accuracy {_percent(result['accuracy'])} ({100 * low:.1f} to {100 * high:.1f}) of "
        f"{result['windows']} windows"
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
