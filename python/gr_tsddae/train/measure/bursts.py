# SPDX-License-Identifier: GPL-3.0-or-later
"""How a taught model does by burst, and in pauses, on recordings that it did not learn from."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from gr_tsddae.inference.metrics import rounded
from gr_tsddae.inference.pauses import Levels
from gr_tsddae.inference.rejection import Rejection
from gr_tsddae.labels import NOISE, UNKNOWN

DECISION_WINDOWS = 8  # of a burst, that one decision is about, at most


def by_burst(
    logits: np.ndarray,
    label: np.ndarray,
    group: np.ndarray,
    recording: np.ndarray,
    *,
    classes: Sequence[str],
    names: Sequence[str],
    apart: Sequence[int],
    rejection: Rejection | None,
    power: np.ndarray,
    at_s: np.ndarray,
    pauses_db: float | None,
) -> dict[str, Any]:
    """Decide about each burst and pause as a Classifier would, and count what is right.

    The windows of a recording come in the order of time. Levels are those of the windows so far.
    A burst is right when its class is said. A pause is right when `noise` or `unknown` is said.

    Args:
        logits: Of windows, (N, K).
        label: Of windows, (N,).
        group: Burst or pause a window is from, (N,).
        recording: Index into `names`, (N,); below 0 for windows that were not recorded.
        classes: K names.
        names: Of recordings.
        apart: Recordings that were not learned from.
        rejection: How the model tells unknown signals; None: it does not.
        power: Of windows, (N,).
        at_s: Where in its recording a window lies, (N,).
        pauses_db: See `Decider`.

    Returns:
        `other_recordings` and `same_recordings`: counts and shares over each, None without any; and
        `recordings`, a list of the same for each recording and class.
    """
    probability = softmax(logits.astype(np.float64), axis=1)
    scores = np.zeros(len(logits)) if rejection is None else rejection.score(logits)
    rows: dict[tuple[int, int], list[tuple[str, int]]] = {}
    recorded = recording >= 0
    if pauses_db is not None and NOISE in classes:
        for where in np.unique(recording[recorded]):
            levels, mine = Levels(pauses_db), np.flatnonzero(recording == where)
            mine = mine[np.argsort(at_s[mine], kind="stable")]
            for first in range(0, len(mine), DECISION_WINDOWS):
                which = mine[first : first + DECISION_WINDOWS]
                probability[which] = levels.weighed(
                    power[which], probability[which], classes.index(NOISE)
                )
    for each in np.unique(group[recorded]):
        burst = np.flatnonzero(recorded & (group == each))
        for value in np.unique(label[burst]):
            which = burst[label[burst] == value]
            for part in np.array_split(which, -(-len(which) // DECISION_WINDOWS)):
                said = classes[int(probability[part].mean(0).argmax())]
                if rejection is not None and scores[part].mean() > rejection.threshold:
                    said = UNKNOWN
                rows.setdefault((int(recording[part[0]]), int(value)), []).append((said, len(part)))
    found = []
    for (where, value), decisions in sorted(rows.items()):
        said = Counter(name for name, _ in decisions)
        right = said[classes[value]] + (said[UNKNOWN] if classes[value] == NOISE else 0)
        found.append(
            {
                "recording": Path(names[where]).name,
                "class": classes[value],
                "learned_from": where not in apart,
                "bursts": len(decisions),
                "right": right,
                "said": dict(said.most_common()),
            }
        )
    return {
        "other_recordings": _sums([row for row in found if not row["learned_from"]]),
        "same_recordings": _sums([row for row in found if row["learned_from"]]),
        "recordings": found,
    }


def _sums(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    result: dict[str, Any] = {}
    for what, of in (("bursts", False), ("pauses", True)):
        some = [row for row in rows if (row["class"] == NOISE) == of]
        count, right = (sum(row[key] for row in some) for key in ("bursts", "right"))
        result |= {what: count, f"{what}_right": rounded(right / count) if count else None}
    return result


def burst_lines(result: dict[str, Any]) -> list[str]:
    """Format `by_burst` for a terminal; the figure that matters most comes first."""
    lines = []
    for key, where in (
        ("other_recordings", "recordings that were not learned from"),
        ("same_recordings", "other moments of recordings that were learned from"),
    ):
        if (sums := result[key]) is None:
            continue
        parts = [
            f"{100 * sums[f'{what}_right']:.1f} % of {sums[what]} {what} {verdict}"
            for what, verdict in (("bursts", "right"), ("pauses", f"{NOISE} or {UNKNOWN}"))
            if sums[what]
        ]
        lines.append(f"{where}: {', '.join(parts)}")
    if result["other_recordings"] is None:
        lines.insert(
            0,
            "warning: every class has a single recording: how the model does on another day cannot "
            "be known; record each signal again on another day",
        )
    width = max(len("recording"), *(len(row["recording"]) for row in result["recordings"]))
    lines.append(f"{'recording':<{width}}  {'learned from':<12}  right          said")
    for row in result["recordings"]:
        said = ", ".join(f"{name} {count}" for name, count in row["said"].items())
        share = f"{row['right']} of {row['bursts']}"
        learned = "yes" if row["learned_from"] else "no"
        name = "pauses" if row["class"] == NOISE else row["class"]
        lines.append(f"{row['recording']:<{width}}  {learned:<12}  {share:<13}  {name}: {said}")
    return lines
