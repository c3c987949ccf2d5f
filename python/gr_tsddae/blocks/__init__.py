# SPDX-License-Identifier: GPL-3.0-or-later
"""GNU Radio blocks. Thin: they own threads and ports, never maths.

The only room that imports gnuradio. Each block is a module of its own and is imported when it is
first asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["classifier", "window_batcher"]

_HOMES = {
    "classifier": "gr_tsddae.blocks.classifier_block",
    "window_batcher": "gr_tsddae.bindings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no block {name!r}; there are: {__all__}")
    try:
        importlib.import_module("gnuradio.gr")
    except ImportError as error:
        raise ImportError(
            f"the block {name} needs GNU Radio 3.10, which this Python cannot import ({error}). "
            "Install it (Debian, Ubuntu: apt install gnuradio gnuradio-dev), then run "
            "`make setup` in gr-tsddae; `python -m gr_tsddae.doctor` says what is missing"
        ) from error
    block = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = block
    return block


def __dir__() -> list[str]:
    return sorted(__all__)
