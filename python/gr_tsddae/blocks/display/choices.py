# SPDX-License-Identifier: GPL-3.0-or-later
"""What all displays have: a widget, and settings that may change while it is shown.

A bad value is an error when a block is made. Later it is shown, and the old value stays: setters
are called from GUI slots, where an exception ends the process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

log = logging.getLogger(__name__)

PALETTES = ("auto", "dark", "light")


class Display:
    """The part of a display block that a user's program calls.

    A subclass sets `HISTORY_S`, the least and the most seconds of the past that it can show;
    `_settings`, which has a `complaint`; and `_widget`, which reads them at its next update.
    """

    HISTORY_S: tuple[float, float]
    _settings: Any
    _widget: QWidget

    def _checked(self, history_s: Any, palette: Any, update_rate_hz: Any) -> dict[str, Any]:
        """Check the settings that all displays have.

        Raises:
            ValueError: If one is out of its range.
        """
        return {
            "history_s": self._history_s(history_s),
            "palette": palette_named(palette),
            "update_rate_hz": possible_rate_hz(update_rate_hz),
        }

    def qwidget(self) -> QWidget:
        """The widget, for a layout. It may be closed and deleted at any time."""
        return self._widget

    def set_history_s(self, history_s: float) -> None:
        """Change how much of the past is shown."""
        self._set("history_s", self._history_s, history_s)

    def set_palette(self, palette: str) -> None:
        """Change to "dark", "light" or "auto"."""
        self._set("palette", palette_named, palette)

    def set_update_rate_hz(self, update_rate_hz: float) -> None:
        """Change how often it is painted at most."""
        self._set("update_rate_hz", possible_rate_hz, update_rate_hz)

    def _set(self, name: str, checked: Callable[[Any], Any], value: Any) -> None:
        try:
            setattr(self._settings, name, checked(value))
            self._settings.complaint = ""
        except (ValueError, TypeError, OverflowError) as error:
            why = f"it is {value!r}, give a number" if isinstance(error, TypeError) else error
            self._settings.complaint = f"{name} not changed: {why}"
            log.error("%s", self._settings.complaint)

    def _history_s(self, value: Any) -> float:
        least, most = self.HISTORY_S
        if not least <= value <= most:
            raise ValueError(f"history_s is {value}: give from {least:g} to {most:g} seconds")
        return float(value)


def palette_named(value: Any) -> str:
    """Return the name of a palette, or raise ValueError if it is none."""
    if value not in PALETTES:
        raise ValueError(f"palette is {value!r}: choose one of {', '.join(PALETTES)}")
    return str(value)


def possible_rate_hz(value: Any) -> float:
    """Return a rate of paintings, or raise ValueError if it is out of range."""
    if not 2 <= value <= 60:
        raise ValueError(f"update_rate_hz is {value}: give from 2 to 60 per second")
    return float(value)
