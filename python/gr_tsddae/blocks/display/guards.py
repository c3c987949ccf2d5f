# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards of methods that Qt calls: no exception leaves them, no garbage is collected in them."""

from __future__ import annotations

import functools
import gc
import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


def called_by_qt(method: Callable[..., None]) -> Callable[..., None]:
    """Log errors of a method, each kind once per object: PyQt5 would end the process for them."""

    @functools.wraps(method)
    def guarded(self: Any, *arguments: Any) -> None:
        try:
            method(self, *arguments)
        except Exception as error:
            kind = method.__name__, type(error)
            logged = vars(self).setdefault("_logged", set())
            if kind not in logged:
                logged.add(kind)
                log.exception("the display is not up to date")

    return guarded


def without_garbage_collection(method: Callable[..., None]) -> Callable[..., None]:
    """Keep Python from collecting garbage in a paintEvent.

    The window of an earlier flowgraph may be garbage. When it is destroyed while Qt paints another
    window, that painter has nothing left to paint on, and its next call is a segmentation fault.
    """

    @functools.wraps(method)
    def guarded(self: Any, *arguments: Any) -> None:
        if not gc.isenabled():
            return method(self, *arguments)
        gc.disable()
        try:
            method(self, *arguments)
        finally:
            gc.enable()

    return guarded
