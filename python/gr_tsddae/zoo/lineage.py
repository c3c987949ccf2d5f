# SPDX-License-Identifier: GPL-3.0-or-later
"""Lineage of a model: the models it was made from, for its card, and whose licences it keeps."""

from pathlib import Path

from gr_tsddae.zoo.card import Card, read_card
from gr_tsddae.zoo.folder import find


def base_of(init: Path | None) -> Card | None:
    """Read the card of the model that a run starts from; None when it starts from nothing."""
    return None if init is None else read_card(find(init))


def ancestry(base: Card | None) -> dict[str, str]:
    """Name the weights that a run started from, for the card's `training`."""
    if base is None:
        return {}
    return {"base": base.name, "base_weights_sha256": base.weights_sha256}


def schooling(teacher: Card | None) -> dict[str, str]:
    """Name the model whose probabilities were learned, for the card's `training`."""
    if teacher is None:
        return {}
    return {"teacher": teacher.name, "teacher_weights_sha256": teacher.weights_sha256}


def joint_licence(*licences: str) -> str:
    """Join the licences of several works that a model is made of; all of them hold.

    Returns:
        One SPDX expression that names each licence once: GPL-3.0-or-later and "GPL-3.0-or-later
        AND CC-BY-4.0" become the latter.
    """
    parts: list[str] = []
    for licence in licences:
        # A choice between licences is one condition, in brackets.
        parts += [f"({licence})"] if " OR " in licence else licence.split(" AND ")
    return " AND ".join(dict.fromkeys(part for part in parts if part)) or "unknown"
