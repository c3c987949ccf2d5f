# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on disk: a folder with a card and weights becomes a ready network."""

from gr_tsddae.labels import UNKNOWN
from gr_tsddae.zoo.card import (
    CARD_FILE,
    DENOISING,
    FEATURES,
    FORMAT_VERSION,
    MAX_WINDOW_SAMPLES,
    Card,
    need_classes,
    read_card,
)
from gr_tsddae.zoo.errors import (
    ModelCorruptError,
    ModelError,
    ModelMismatchError,
    ModelNotFoundError,
    ModelVersionError,
)
from gr_tsddae.zoo.folder import (
    PATH_VARIABLE,
    WEIGHTS_FILE,
    Model,
    find,
    is_model,
    load,
    names,
    round_as_stored,
    save,
    search_path,
    user_folder,
)
from gr_tsddae.zoo.options import add_model_option
