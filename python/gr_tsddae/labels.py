# SPDX-License-Identifier: GPL-3.0-or-later
"""Class names: the two that have a meaning of their own, and which class a name means."""

import re
from collections.abc import Sequence

UNKNOWN = "unknown"  # the label of a decision that is not sure; no class may have this name
NOISE = "noise"  # the class of windows without a signal, in models that have one
# Classes that differ in a detail of the same modulation. A model may be sure of the family alone.
FAMILIES = (
    frozenset({"2-FSK", "4-FSK", "GFSK", "CPFSK"}),
    frozenset({"BPSK", "QPSK", "OQPSK", "pi/4-DQPSK", "8PSK"}),
    frozenset({"QAM16", "QAM64"}),
    frozenset({"AM-DSB", "AM-SSB"}),
)


def relatives(label: str) -> frozenset[str]:
    """Find the classes of a label's family, the label among them."""
    return next((family for family in FAMILIES if label in family), frozenset({label}))


def match_class(name: str, classes: Sequence[str]) -> int | None:
    """Find the class that a name means.

    An exact match comes first. Otherwise case, spaces, '-' and '_' do not count.

    Returns:
        An index into `classes`; None when no class fits, or when several fit only loosely.
    """
    if name in classes:
        return list(classes).index(name)
    loose = [i for i, known in enumerate(classes) if _loosely(known) == _loosely(name)]
    return loose[0] if len(loose) == 1 else None


def _loosely(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()
