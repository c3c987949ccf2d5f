# SPDX-License-Identifier: GPL-3.0-or-later
"""Which class of a model is meant by the classes of a data set."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from gr_tsddae.data import Dataset, DatasetError


def match_classes(
    dataset: Dataset, model_classes: tuple[str, ...], rename: Mapping[str, str]
) -> dict[int, int]:
    """Which class of the model each class of a data set is, for classes that have windows.

    A name fits exactly, or without regard to case, spaces, '-' and '_' where that is unambiguous.

    Args:
        dataset: its classes.
        model_classes: names, in the order of the model's outputs.
        rename: class of the data set -> class of the model, for names that differ.

    Returns:
        Label of the data set -> index into `model_classes`.

    Raises:
        DatasetError: listing both sides, when a class has no counterpart.
    """
    if unknown := sorted(rename.keys() - set(dataset.classes)):
        raise DatasetError(
            f"--rename names {', '.join(unknown)}, which {dataset.path} has not; "
            f"its classes: {', '.join(dataset.classes)}"
        )
    loose: dict[str, list[int]] = {}
    for index, name in enumerate(model_classes):
        loose.setdefault(_loosely(name), []).append(index)
    found, missing = {}, []
    for label in np.unique(dataset.label).tolist():
        name = rename.get(dataset.classes[label], dataset.classes[label])
        candidates = loose.get(_loosely(name), [])
        if name in model_classes:
            found[label] = model_classes.index(name)
        elif len(candidates) == 1:
            found[label] = candidates[0]
        else:
            missing.append(name)
    if missing:
        raise DatasetError(
            f"{dataset.path} has classes the model does not know: {', '.join(missing)}; "
            f"the model's: {', '.join(model_classes)}. Give --rename.CLASS=MODEL_CLASS for a class "
            f"with another name, or --leave_out '[{', '.join(missing)}]'"
        )
    return found


def _loosely(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()
