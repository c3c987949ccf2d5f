# SPDX-License-Identifier: GPL-3.0-or-later
"""The recognition display as a Qt widget: reads its inbox by a timer, paints itself.

Nothing outside the GUI's thread touches it. `state` keeps what is shown, `theme` has places and
colours, `paint` draws.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QFont, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QToolTip

from gr_tsddae.blocks.display import live_widget
from gr_tsddae.blocks.display.guards import called_by_qt, without_garbage_collection
from gr_tsddae.blocks.display.keeping import offer_to_keep
from gr_tsddae.blocks.display.model_chooser import ModelChooser
from gr_tsddae.blocks.display.paint import Painting
from gr_tsddae.blocks.display.state import DisplayState, Inbox, Message
from gr_tsddae.blocks.display.theme import Layout, theme_for
from gr_tsddae.blocks.display.words import stretch_text

TEXT_SHARE = 0.85  # of the base size: the letters of the list of models
HELP = (
    "point at the history: what was decided when  ·  click: choose it  ·  "
    "Ctrl+C: copy  ·  Ctrl+S: save"
)


@dataclass(kw_only=True)
class Settings(live_widget.Settings):
    """The choices of all displays, and this one's.

    Attributes:
        running: whether the flowgraph runs.
        model_can_change: whether a classifier hears which model the user chooses.
    """

    title: str
    classes_shown: int
    running: bool = False
    model_can_change: bool = False


class RecognitionWidget(live_widget.LiveWidget):
    """Label, confidence, probabilities now and over time, and how the classifier is doing."""

    selected = Signal(dict)  # a stretch of the raster was clicked
    model_wanted = Signal(str)  # a model was chosen

    def __init__(self, settings: Settings, inbox: Inbox):
        super().__init__(settings, inbox)
        self.state = DisplayState(settings.history_s)
        self.selection: dict[str, Any] | None = None
        self.models = ModelChooser(self)
        self.models.hide()
        self.models.wanted.connect(self._want_model)
        self._shown: tuple[str, ...] = ()
        self._painted = ()
        self._note = ""
        self.setMinimumSize(480, 300)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.ClickFocus)  # for the keys of offer_to_keep
        offer_to_keep(self, self.text)

    def sizeHint(self) -> QSize:
        return QSize(800, 480)

    def _take_settings(self) -> None:
        self.state.history.span_s = self.settings.history_s

    def _hear(self, port: str, message: Message, now_s: float) -> None:
        self.state.read(port, message, now_s)

    def _show(self, has_news: bool, now_s: float) -> None:
        self._show_models()
        # What can change without a message: settings, and the age of the label in seconds.
        appearance = (*vars(self.settings).values(), int(self.state.stale_s(now_s)))
        if has_news or appearance != self._painted:
            self._painted = appearance
            self.update()

    def _show_models(self) -> None:
        """Show the list of models if a classifier hears of a choice."""
        if not self.settings.model_can_change:
            self.models.hide()
            return
        self.models.show_model(self.state.asked_for or self.state.model)
        layout = self.layout_now()
        theme = theme_for(self.settings.palette, self.palette())
        self.models.place(layout.top, TEXT_SHARE * layout.base_px, theme)
        self.models.show()

    @called_by_qt
    def _want_model(self, name: str) -> None:
        self.state.ask_for(name)
        self.model_wanted.emit(name)
        self.update()

    def layout_now(self) -> Layout:
        """Lay out the parts for the present size."""
        classes = self.state.history.classes
        font = QFont(self.font())
        font.setPixelSize(100)
        metrics = QFontMetricsF(font)
        name_ems = max((metrics.horizontalAdvance(name) for name in classes), default=400) / 100
        wanted = self.settings.classes_shown or len(classes)
        return Layout(self.width(), self.height(), min(wanted, len(classes)) or 1, name_ems)

    def classes_in(self, rows: int) -> tuple[str, ...]:
        """Choose the classes that have a row, in the model's order.

        All have one where there is room. Otherwise the choice changes only when the class decided
        upon is not in it: that class takes the row of the least probable.
        """
        history, decision = self.state.history, self.state.decision
        if rows >= len(history.classes):
            return history.classes
        best = decision["best"] if decision else None
        kept = set(self._shown) & set(history.classes)
        if len(kept) != rows or best not in kept:
            mean = dict(zip(history.classes, history.mean_probabilities(), strict=True))
            by_mean = sorted(history.classes, key=lambda c: (c != best, c not in kept, -mean[c]))
            kept = set(by_mean[:rows])
        self._shown = tuple(c for c in history.classes if c in kept)
        return self._shown

    @without_garbage_collection
    @called_by_qt
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            layout = self.layout_now()
            left = layout.top.left()
            if self.settings.model_can_change:
                left = self.models.geometry().right() + layout.base_px
            painting = Painting(
                painter,
                layout,
                theme_for(self.settings.palette, self.palette()),
                self.state,
                classes=self.classes_in(layout.rows),
                settings=self.settings,
                selection=self.selection,
                skipped=self.inbox.skipped,
                title_left=left,
                now_s=time.monotonic(),
            )
            painting.paint(self.rect())
            self._note = painting.note
        finally:
            painter.end()

    def moment_at(self, position: QPointF) -> float | None:
        """Find the moment on the axis under a position; None beside the raster."""
        raster = self.layout_now().raster
        if not raster.contains(position):
            return None
        history = self.state.history
        ago = (raster.right() - position.x()) / raster.width()
        return history.edge_s - ago * history.span_s

    @called_by_qt
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what was decided where the pointer is; elsewhere the last line in full, and keys."""
        moment_s = self.moment_at(event.localPos())
        history = self.state.history
        stretch = None if moment_s is None else history.stretch_at(moment_s)
        if stretch is None:
            self.setToolTip(f"{self._note}\n{HELP}".strip())
            return
        self.setToolTip("")
        QToolTip.showText(event.globalPos(), stretch_text(stretch, history.edge_s), self)

    def text(self) -> str:
        """What is seen, in words: the decision, the classes' probabilities, and the last line."""
        decision = self.state.decision
        if decision is None:
            return "no decision yet\n"
        lines = [f"{decision['label']}\t{decision['confidence']:.1%}"]
        by_probability = sorted(decision["probabilities"].items(), key=lambda each: -each[1])
        lines += [f"{name}\t{probability:.1%}" for name, probability in by_probability]
        if self.selection:
            lines.append(stretch_text(self.selection, self.state.history.edge_s))
        return "\n".join([*lines, self._note]) + "\n"

    @called_by_qt
    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.LeftButton:
            return
        moment_s = self.moment_at(event.localPos())
        self.selection = None if moment_s is None else self.state.history.stretch_at(moment_s)
        if self.selection:
            self.selected.emit(self.selection)
        self.update()
