# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model owes to the one it started from: its licence, and a line in the card."""

from __future__ import annotations

from pathlib import Path

from gr_tsddae import zoo


def base_of(init: Path | None) -> zoo.Card | None:
    """The card of the model a configuration starts from; None when it starts from nothing."""
    return None if init is None else zoo.read_card(zoo.find(init))


def ancestry(base: zoo.Card | None) -> dict[str, str]:
    """For the card's `training`: which weights were started from."""
    if base is None:
        return {}
    return {"base": base.name, "base_weights_sha256": base.weights_sha256}


def schooling(teacher: zoo.Card | None) -> dict[str, str]:
    """For the card's `training`: whose opinion was learned."""
    if teacher is None:
        return {}
    return {"teacher": teacher.name, "teacher_weights_sha256": teacher.weights_sha256}


def joint_licence(*licences: str) -> str:
    """One SPDX expression for what is made of several works, all of whose licences hold.

    Each is named once: GPL-3.0-or-later and "GPL-3.0-or-later AND CC-BY-4.0" are the latter.
    """
    parts: list[str] = []
    for licence in licences:
        # A choice between licences is one condition, in brackets.
        parts += [f"({licence})"] if " OR " in licence else licence.split(" AND ")
    return " AND ".join(dict.fromkeys(part for part in parts if part)) or "unknown"
