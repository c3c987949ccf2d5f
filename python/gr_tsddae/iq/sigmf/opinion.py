# SPDX-License-Identifier: GPL-3.0-or-later
"""The author of an annotation: a model of this program, or somebody who knows the truth."""

import functools
import importlib.metadata
from collections.abc import Mapping
from typing import Any

PROGRAM = "gr-tsddae"
CUT_FROM = "tsddae:cut_from"  # in `global`: the recording that an emission was cut out of


@functools.cache  # a look through the installed packages, for every annotation
def generator() -> str:
    """Return name and version of this program, for `core:generator`."""
    try:
        return f"{PROGRAM} {importlib.metadata.version(PROGRAM)}"
    except importlib.metadata.PackageNotFoundError:  # run from the source tree
        return PROGRAM


def is_opinion(generator: str | None) -> bool:
    """Return whether an annotation with this `core:generator` is a prediction of a model.

    Only predictions carry this program's name. A label that it copies from a dataset is the truth
    and has no `core:generator`; a person who takes a prediction for true deletes the field.
    """
    return (generator or "").partition(" ")[0] == PROGRAM


def is_annotated_copy(info: Mapping[str, Any]) -> bool:
    """Return whether `write_annotations` wrote the metadata with this `global` object."""
    return "tsddae:model" in info
