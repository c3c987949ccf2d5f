# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of a benchmark: who is ahead, what pre-training does, and in which order rows stand."""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from gr_tsddae.train.experiments.table import Difference, Row, paired, verdict

FEWEST_ROWS = 3  # of an order that is worth a finding


class Compared(Protocol):
    """A row, and the network and protocol it is of."""

    network: str
    protocol: str
    row: Row


def findings(found: Sequence[Compared], column: str) -> list[str]:
    """Write one line per finding, of the runs that are finished.

    Args:
        found: The rows.
        column: The column by which they are compared.
    """
    lines: list[str | None] = []
    for protocol in dict.fromkeys(entry.protocol for entry in found):
        lines += _ahead(protocol, [e for e in found if e.protocol == protocol], column)
    rows = {(entry.network, entry.protocol): entry.row for entry in found}
    for (network, protocol), row in rows.items():
        other = "scratch" if protocol == "finetuned" else f"{protocol}-scratch"
        if (network, other) in rows:
            what = f"Pre-training of {network}, {protocol}"
            lines.append(verdict(what, column, row, rows[network, other]))
    lines += _order(found, column)
    return [line for line in lines if line]


def _ahead(protocol: str, among: Sequence[Compared], column: str) -> list[str]:
    """Compare the leader with the two behind it; these same scores chose all three."""
    ranked = _ranked(among, column)
    if len(ranked) < 2:
        return []
    (first, mean, scores), *others = ranked
    lines = [f"{protocol}: {first} is ahead with {mean:.2f} (mean over {len(scores)} seeds)"]
    for name, _, other in others[:2]:
        difference = paired(scores, other)
        if difference:
            lines.append(f"{protocol}: {first} − {name}: {_told(difference)}")
    return lines


def _told(difference: Difference) -> str:
    mean, error, low, high, seeds = difference
    if error is None:
        return f"{mean:+.2f}; one seed, so chance cannot be told from effect"
    word = "beyond chance" if low > 0 or high < 0 else "not beyond chance"
    return (
        f"{mean:+.2f}, standard error {error:.2f} over {seeds} seeds, 95 % interval {low:+.2f} to "
        f"{high:+.2f}: {word}"
    )


def _ranked(among: Iterable[Compared], column: str) -> list[tuple[str, float, dict[int, float]]]:
    """Sort networks by their mean, the best first: network, mean, seed -> score."""
    each = ((e.network, e.row.scores().get(column, {})) for e in among)
    named = [(name, statistics.fmean(scores.values()), scores) for name, scores in each if scores]
    return sorted(named, key=lambda entry: -entry[1])


def _order(found: Sequence[Compared], column: str) -> list[str]:
    """Compare the measured order with the published one, of the rows that have both."""
    both: list[tuple[str, float, dict[int, float]]] = []
    for entry in found:
        said: Any = entry.row.published.get(column)
        scores = entry.row.scores().get(column)
        if scores and isinstance(said, float):
            both.append((f"{entry.network} ({entry.protocol})", said, scores))
    if len(both) < FEWEST_ROWS:
        return []
    from scipy.stats import spearmanr

    means = [statistics.fmean(scores.values()) for _, _, scores in both]
    rank = float(spearmanr([said for _, said, _ in both], means).statistic)
    ranked = sorted(both, key=lambda each: -each[1])
    pairs = [
        (first, second, difference)
        for first, second in itertools.combinations(ranked, 2)
        if first[1] > second[1] and (difference := paired(second[2], first[2]))
    ]
    turned, sure = [], []
    for (better, *_), (worse, *_), difference in pairs:
        if difference.mean > 0:
            turned.append(f"{worse} over {better}")
            if difference.low is not None and difference.low > 0:
                sure.append(turned[-1])
    lines = [
        f"Order of {len(both)} rows against the published one: Spearman {rank:+.2f}; "
        f"{len(turned)} of {len(pairs)} pairs stand the other way round, {len(sure)} of them "
        "beyond chance (95 % interval over common seeds, pair by pair; one in 40 may by chance)"
    ]
    return lines + ([f"Other than published, beyond chance: {'; '.join(sure)}"] if sure else [])
