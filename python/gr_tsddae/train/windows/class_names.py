# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that classes may have, and the matching of a data set's classes with a model's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gr_tsddae.data import Dataset, DatasetError
from gr_tsddae.labels import UNKNOWN, match_class


def check_class_names(path: Path | str | None, classes: Sequence[str]) -> None:
    """Raise DatasetError when a class has a name that no class may have."""
    if UNKNOWN in classes:
        raise DatasetError(
            f"{path}: no class may be called {UNKNOWN!r}, the word for decisions that "
            "are not sure; rename it, e.g. to 'other'"
        )


def match_classes(
    dataset: Dataset, model_classes: tuple[str, ...], rename: Mapping[str, str]
) -> dict[int, int]:
    """Match the classes of a data set that have windows with the classes of a model.

    A name fits exactly, or without regard to case, spaces, '-' and '_' where that is unambiguous.

    Args:
        dataset: Its classes are matched.
        model_classes: Names, in the order of the model's outputs.
        rename: Class of the data set -> class of the model, for names that differ.

    Returns:
        Label of the data set -> index into `model_classes`.

    Raises:
        DatasetError: A class has no counterpart; the message lists both sides.
    """
    if unknown := sorted(rename.keys() - set(dataset.classes)):
        raise DatasetError(
            f"--rename names {', '.join(unknown)}, which {dataset.path} has not; "
            f"its classes: {', '.join(dataset.classes)}"
        )
    found, missing = {}, []
    for label in np.unique(dataset.label).tolist():
        name = rename.get(dataset.classes[label], dataset.classes[label])
        index = match_class(name, model_classes)
        if index is None:
            missing.append(name)
        else:
            found[label] = index
    if missing:
        raise DatasetError(
            f"{dataset.path} has classes the model does not know: {', '.join(missing)}; "
            f"the model's: {', '.join(model_classes)}. Give --rename.CLASS=MODEL_CLASS for a class "
            f"with another name, or --leave_out '[{', '.join(missing)}]'"
        )
    return found
