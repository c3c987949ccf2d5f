# SPDX-License-Identifier: GPL-3.0-or-later
"""A widget that takes messages at a rate: what all displays have in common."""

from __future__ import annotations

import time
from dataclasses import dataclass

from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from gr_tsddae.blocks.display.first_size import fit_window
from gr_tsddae.blocks.display.guards import called_by_qt
from gr_tsddae.blocks.display.state import Inbox, Message


@dataclass(kw_only=True)
class Settings:
    """The user's choices: whole values, replaced from any thread, read at the next update."""

    history_s: float
    palette: str
    update_rate_hz: float
    complaint: str = ""


class LiveWidget(QWidget):
    """Reads its inbox by a timer, on the GUI's thread, and enlarges its window at its first start.

    A subclass says in `_take_settings`, `_hear` and `_show` what an update does, in this order.
    """

    def __init__(self, settings: Settings, inbox: Inbox):
        super().__init__()
        self.settings, self.inbox = settings, inbox
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._update)
        self._timer.start(self._interval_ms())

    def _take_settings(self) -> None:
        """Take over what the user has changed."""
        raise NotImplementedError

    def _hear(self, port: str, message: Message, now_s: float) -> None:
        """Take in one message, on the clock `time.monotonic`."""
        raise NotImplementedError

    def _show(self, has_news: bool, now_s: float) -> None:
        """Show what was heard; `has_news` tells whether that was anything."""
        raise NotImplementedError

    def _interval_ms(self) -> int:
        return round(1000 / self.settings.update_rate_hz)

    @called_by_qt
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        fit_window(self)

    @called_by_qt
    def _update(self) -> None:
        """Take in all messages since the last update, then show them at once."""
        if self._timer.interval() != self._interval_ms():
            self._timer.setInterval(self._interval_ms())
        self._take_settings()
        messages = self.inbox.take()
        now_s = time.monotonic()
        for port, message in messages:
            self._hear(port, message, now_s)
        self._show(bool(messages), now_s)
