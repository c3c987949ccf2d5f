# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wrote an annotation: a model of this program, or somebody who knows the truth."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping
from typing import Any

PROGRAM = "gr-tsddae"


@functools.cache  # a look through the installed packages, for every annotation
def generator() -> str:
    """Name and version of this program, for `core:generator`."""
    try:
        return f"{PROGRAM} {importlib.metadata.version(PROGRAM)}"
    except importlib.metadata.PackageNotFoundError:  # run from the source tree
        return PROGRAM


def is_opinion(generator: str | None) -> bool:
    """Whether the label of an annotation with this `core:generator` is a model's answer.

    Only predictions carry this program's name. A label that it copies from a dataset is the truth
    and has no `core:generator`; a person who takes a prediction for true deletes the field.
    """
    return (generator or "").partition(" ")[0] == PROGRAM


def is_annotated_copy(info: Mapping[str, Any]) -> bool:
    """Whether metadata with this `global` object were written beside somebody's samples here."""
    return "tsddae:model" in info
