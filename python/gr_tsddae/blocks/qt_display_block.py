# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Qt Recognition Display block: decisions and status in, a widget to look at.

The block only passes messages to an inbox; the widget (`display/widget.py`) reads it by a timer on
the GUI's thread. Qt is imported when a block is made, not before.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pmt

from gr_tsddae.blocks.display.application import require_gui
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.listening.message_sink import MessageSink

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

log = logging.getLogger(__name__)

PALETTES = ("auto", "dark", "light")


class qt_display(MessageSink):
    """Messages `decisions` and `status` in, a widget for the GUI, message `selected` out.

    Shows a classifier's decisions to an operator, across the room, for days. The block's
    documentation (grc/tsddae_qt_display.block.yml) gives the messages' formats.

    Args:
        title: stands at the top; empty: the model's name.
        history_s: seconds of the past that the raster shows.
        classes_shown: most classes with a bar; 0: all that fit.
        palette: "dark", "light", or "auto": as the application.
        update_rate_hz: most paintings per second.

    Raises:
        ValueError: when an argument is out of its range.
        ImportError: without Qt or qtpy.
        RuntimeError: without a QApplication, or not on its thread.
    """

    def __init__(
        self,
        title: str = "",
        history_s: float = 60.0,
        classes_shown: int = 0,
        palette: str = "auto",
        update_rate_hz: float = 10.0,
    ):
        require_gui("qt_display")
        from gr_tsddae.blocks.display.widget import RecognitionWidget, Settings

        super().__init__("TS-DDAE Qt Display")
        self._settings = Settings(
            title=_text(title),
            history_s=_history_s(history_s),
            classes_shown=_classes_shown(classes_shown),
            palette=_palette(palette),
            update_rate_hz=_update_rate_hz(update_rate_hz),
        )
        self._inbox = Inbox()
        self._widget = RecognitionWidget(self._settings, self._inbox)
        self._widget.selected.connect(self._publish_selected)
        self._selected_port = pmt.intern("selected")
        self.message_port_register_out(self._selected_port)

    def qwidget(self) -> QWidget:
        """The widget, for a layout. It may be closed and deleted at any time."""
        return self._widget

    # --- called by the scheduler ----------------------------------------------------------------

    def start(self) -> bool:
        self._settings.running = True
        return super().start()

    def stop(self) -> bool:
        super().stop()
        self._settings.running = False
        return True

    def _hear(self, port: str, message: pmt.pmt_base) -> None:
        self._inbox.put(port, functools.partial(pmt.to_python, message))

    def _publish_selected(self, stretch: dict[str, Any]) -> None:
        wanted = ("label", "first_sample", "sample_count", "time_s")
        message = pmt.to_pmt({name: stretch[name] for name in wanted})
        self.message_port_pub(self._selected_port, message)

    # --- parameters. A bad value is shown, and the old one stays. ---------------------------------

    def set_title(self, title: str) -> None:
        """Change the text at the top."""
        self._set("title", _text, title)

    def set_history_s(self, history_s: float) -> None:
        """Change how much of the past is shown."""
        self._set("history_s", _history_s, history_s)

    def set_classes_shown(self, classes_shown: int) -> None:
        """Change how many classes have a bar; 0: all that fit."""
        self._set("classes_shown", _classes_shown, classes_shown)

    def set_palette(self, palette: str) -> None:
        """Change to "dark", "light" or "auto"."""
        self._set("palette", _palette, palette)

    def set_update_rate_hz(self, update_rate_hz: float) -> None:
        """Change how often it is painted at most."""
        self._set("update_rate_hz", _update_rate_hz, update_rate_hz)

    def _set(self, name: str, checked: Callable[[Any], Any], value: Any) -> None:
        try:
            setattr(self._settings, name, checked(value))
            self._settings.complaint = ""
        except (ValueError, TypeError, OverflowError) as error:
            self._settings.complaint = f"{name} not changed: {error}"
            log.error("%s", self._settings.complaint)


def _text(value: Any) -> str:
    return str(value)


def _history_s(value: Any) -> float:
    if not 1 <= value <= 86400:
        raise ValueError(f"history_s is {value}: give from 1 to 86400 seconds")
    return float(value)


def _classes_shown(value: Any) -> int:
    if not 0 <= value < math.inf:
        raise ValueError(f"classes_shown is {value}: give a number of classes, or 0 for all")
    return int(value)


def _palette(value: Any) -> str:
    if value not in PALETTES:
        raise ValueError(f"palette is {value!r}: choose one of {', '.join(PALETTES)}")
    return str(value)


def _update_rate_hz(value: Any) -> float:
    if not 2 <= value <= 60:
        raise ValueError(f"update_rate_hz is {value}: give from 2 to 60 per second")
    return float(value)
