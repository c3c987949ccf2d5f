# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-tsddae: what is this signal? Recognition of radio signals, live in GNU Radio and offline.

    from gr_tsddae import Recognizer          # offline; needs no GNU Radio
    from gr_tsddae import blocks              # GNU Radio blocks

Importing the package is light: torch is imported when a model is first needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gr_tsddae.inference.decision import Decision
    from gr_tsddae.inference.denoiser import Denoiser
    from gr_tsddae.inference.recognizer import Recognition, Recognizer

__version__ = "0.1.0"
__all__ = ["Decision", "Denoiser", "Recognition", "Recognizer", "__version__"]

_HOMES = {
    "Decision": "gr_tsddae.inference.decision",
    "Denoiser": "gr_tsddae.inference.denoiser",
    "Recognition": "gr_tsddae.inference.recognizer",
    "Recognizer": "gr_tsddae.inference.recognizer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        try:
            return getattr(importlib.import_module(_HOMES[name]), name)
        except ImportError as error:
            from gr_tsddae.missing import explained

            raise explained(error) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
