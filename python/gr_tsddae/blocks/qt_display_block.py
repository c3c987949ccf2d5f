# SPDX-License-Identifier: GPL-3.0-or-later
"""The TS-DDAE Qt Recognition Display block: decisions and status in, a widget to look at.

The block only passes messages to an inbox; the widget (`display/widget.py`) reads it by a timer on
the GUI's thread. Qt is imported when a block is made, not before.
"""

import functools
import math
from typing import Any

import pmt

from gr_tsddae.blocks.display.application import require_gui
from gr_tsddae.blocks.display.choices import Display
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.listening.content import content_of
from gr_tsddae.blocks.listening.message_sink import MessageSink

SELECTED, CONTROL = pmt.intern("selected"), pmt.intern("control")


class qt_display(Display, MessageSink):
    """Messages `decisions`, `status` in; a widget for the GUI; messages `selected`, `control` out.

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

    HISTORY_S = (1.0, 86400.0)

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
            **self._checked(history_s, palette, update_rate_hz),
            title=str(title),
            classes_shown=_classes_shown(classes_shown),
        )
        self._inbox = Inbox()
        self._widget = RecognitionWidget(self._settings, self._inbox)
        self._widget.selected.connect(self._publish_selected)
        self._widget.model_wanted.connect(self._publish_model)
        for port in (SELECTED, CONTROL):
            self.message_port_register_out(port)

    # --- called by the scheduler ----------------------------------------------------------------

    def start(self) -> bool:
        self._settings.running = True
        self._settings.model_can_change = not pmt.is_null(self.message_subscribers(CONTROL))
        return super().start()

    def stop(self) -> bool:
        super().stop()
        self._settings.running = False
        return True

    def _hear(self, port: str, message: pmt.pmt_base) -> None:
        self._inbox.put(port, functools.partial(content_of, message))

    def _publish_selected(self, stretch: dict[str, Any]) -> None:
        wanted = ("label", "first_sample", "sample_count", "time_s")
        message = pmt.to_pmt({name: stretch[name] for name in wanted})
        self.message_port_pub(SELECTED, message)

    def _publish_model(self, name: str) -> None:
        self.message_port_pub(CONTROL, pmt.to_pmt({"model": name}))

    # --- parameters that other displays do not have -----------------------------------------------

    def set_title(self, title: str) -> None:
        """Change the text at the top."""
        self._set("title", str, title)

    def set_classes_shown(self, classes_shown: int) -> None:
        """Change how many classes have a bar; 0: all that fit."""
        self._set("classes_shown", _classes_shown, classes_shown)


def _classes_shown(value: Any) -> int:
    if not 0 <= value < math.inf:
        raise ValueError(f"classes_shown is {value}: give a number of classes, or 0 for all")
    return int(value)
