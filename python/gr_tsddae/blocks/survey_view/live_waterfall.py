# SPDX-License-Identifier: GPL-3.0-or-later
"""A live widget with a waterfall in it: what the Qt Waterfall and the Survey Display share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut

from gr_tsddae.blocks.display.live_widget import LiveWidget, Settings
from gr_tsddae.blocks.display.state import Inbox, Message
from gr_tsddae.blocks.survey_view.plot import WaterfallPlot
from gr_tsddae.blocks.survey_view.state import SurveyState
from gr_tsddae.blocks.survey_view.theme import SurveyTheme, theme_around


class LiveWaterfall(LiveWidget):
    """Scrolls a waterfall, and paints in the colours of its palette."""

    def __init__(self, settings: Settings, inbox: Inbox):
        super().__init__(settings, inbox)
        self.state = SurveyState(settings.history_s)
        self.theme = theme_around(self, settings.palette)
        self.plot = WaterfallPlot(self.state, self.theme)
        self._shown_at_s = time.monotonic()
        self.setAutoFillBackground(True)

    def _offer_keys(self, actions: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys, by their names, to actions; those of every waterfall are bound too."""
        of_all = {
            "Home": self.plot.show_all,
            "+": lambda: self.plot.zoom(0.5),
            "-": lambda: self.plot.zoom(2.0),
        }
        for keys, action in (of_all | dict(actions)).items():
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)

    def _paint_in(self, theme: SurveyTheme) -> None:
        self.setPalette(theme.base.palette())
        self.plot.set_theme(theme)

    def _take_settings(self) -> None:
        theme = theme_around(self, self.settings.palette)
        if theme is not self.theme:
            self.theme = theme
            self._paint_in(theme)
        self.state.set_history_s(self.settings.history_s)

    def _hear(self, port: str, message: Message, now_s: float) -> None:
        self.state.read(port, message)

    def _show(self, has_news: bool, now_s: float) -> None:
        passed_s, self._shown_at_s = now_s - self._shown_at_s, now_s
        self.plot.advance(passed_s, has_news)
