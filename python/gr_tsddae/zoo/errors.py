# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a model cannot be used."""


class ModelError(ValueError):
    """A model cannot be used; the message says which file, why, and what to do."""


class ModelNotFoundError(ModelError):
    """There is no such model, or one of its two files is missing."""


class ModelCorruptError(ModelError):
    """A file is damaged, truncated, or not what its name says."""


class ModelMismatchError(ModelError):
    """Card and weights, or card and this program, do not belong together."""


class ModelVersionError(ModelError):
    """The card is of a format this program does not know."""
