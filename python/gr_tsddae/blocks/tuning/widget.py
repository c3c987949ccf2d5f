# SPDX-License-Identifier: GPL-3.0-or-later
"""The Qt Waterfall as a widget: a survey's waterfall without boxes, and where the signal is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QKeySequence, QShowEvent
from qtpy.QtWidgets import QGridLayout, QShortcut, QSizePolicy, QVBoxLayout, QWidget

from gr_tsddae.blocks.display.first_size import fit_window
from gr_tsddae.blocks.display.guards import called_by_qt
from gr_tsddae.blocks.display.keeping import offer_to_keep
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.display.units import si
from gr_tsddae.blocks.survey_view.plot import WaterfallPlot
from gr_tsddae.blocks.survey_view.state import SurveyState
from gr_tsddae.blocks.survey_view.theme import theme_around
from gr_tsddae.blocks.survey_view.words import frequency
from gr_tsddae.blocks.tuning.dial import Dial

LOWEST_SHARE = 0.01  # of the highest symbol rate, as a Conditioner can follow
KEYS_SHARE = 0.01  # of the symbol rate, for a key
TUNING_HELP = (
    "double-click or drag: tune  ·  ← →: offset  ·  ↑ ↓: symbol rate  ·  + −: zoom  ·  "
    "Home: whole band  ·  Ctrl+C: copy  ·  Ctrl+S: save"
)
HELP = "+ −: zoom  ·  Home: whole band  ·  Space: follow or stay  ·  Ctrl+C: copy  ·  Ctrl+S: save"


@dataclass
class Settings:
    """The user's choices: whole values, replaced from any thread, read at the next update."""

    history_s: float
    palette: str
    update_rate_hz: float
    sample_rate_hz: float
    tuning: dict[str, float] | None  # offset_hz, symbol_rate_hz, highest_symbol_rate_hz, bandwidth
    complaint: str = ""


class WaterfallWidget(QWidget):
    """A waterfall; with tuning also the signal's place in it, and sliders.

    Signals:
        tune: the user tunes: offset_hz, center_hz, symbol_rate_hz, bandwidth_hz.
    """

    tune = Signal(dict)

    def __init__(self, settings: Settings, inbox: Inbox):
        super().__init__()
        self.settings, self.inbox = settings, inbox
        self.state = SurveyState(settings.history_s)
        self.theme = theme_around(self, settings.palette)
        self._updated_at_s = time.monotonic()
        self.plot = WaterfallPlot(self.state, self.theme)
        self.plot.setMinimumHeight(160)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot, 1)
        self.setMinimumSize(400, 200)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setAutoFillBackground(True)
        self.setToolTip(TUNING_HELP if settings.tuning else HELP)
        keys = {
            "Space": lambda: self.plot.follow(not self.plot.follows),
            "Home": self.plot.show_all,
            "+": lambda: self.plot.zoom(0.5),
            "-": lambda: self.plot.zoom(2.0),
        }
        if settings.tuning:
            layout.addLayout(self._make_dials(settings.tuning))
            keys |= {
                "Left": lambda: self._step(self.offset, -1),
                "Right": lambda: self._step(self.offset, 1),
                "Up": lambda: self._step(self.symbol_rate, 1),
                "Down": lambda: self._step(self.symbol_rate, -1),
            }
        for key, action in keys.items():
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)
        self.setFocusPolicy(Qt.StrongFocus)
        self._paint_in(self.theme)
        offer_to_keep(self, self.text)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._update)
        self._timer.start(round(1000 / settings.update_rate_hz))

    def sizeHint(self) -> QSize:
        return QSize(640, 340)

    @called_by_qt
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        fit_window(self)

    def _make_dials(self, tuning: dict[str, float]) -> QGridLayout:
        half_hz = self.settings.sample_rate_hz / 2
        highest_bd = tuning["highest_symbol_rate_hz"]
        self.offset = Dial("Offset", "Hz", -half_hz, half_hz, tuning["offset_hz"])
        self.symbol_rate = Dial(
            "Symbol rate", "Bd", LOWEST_SHARE * highest_bd, highest_bd, tuning["symbol_rate_hz"],
            logarithmic=True,
        )  # fmt: skip
        self.bandwidth = Dial("Bandwidth", "Hz", 0.0, 2 * half_hz, tuning["bandwidth_hz"])
        self.bandwidth.number.setSpecialValueText("widest")
        grid = QGridLayout()
        grid.setContentsMargins(6, 0, 6, 4)
        grid.setVerticalSpacing(2)
        for dial in (self.offset, self.symbol_rate, self.bandwidth):
            dial.changed.connect(self._send)
            dial.lay_out(grid)
        self.marker = pg.LinearRegionItem(movable=True)
        self.marker.setZValue(5)
        for line in self.marker.lines:  # the whole moves: edges have the slider
            line.setMovable(False)
        self.marker.sigRegionChangeFinished.connect(self._dragged)
        self.plot.addItem(self.marker)
        self.plot.pointed.connect(self._point)
        self._mark()
        return grid

    def _paint_in(self, theme: Any) -> None:
        self.setPalette(theme.palette())
        self.plot.set_theme(theme)
        if self.settings.tuning:
            fill = QColor(theme.chosen_box)
            fill.setAlpha(50)
            self.marker.setBrush(fill)
            for line in self.marker.lines:
                line.setPen(theme.chosen_box)

    # --- where the signal is --------------------------------------------------------------------

    @property
    def center_hz(self) -> float:
        return self.state.band_center_hz or 0.0

    def tuning(self) -> dict[str, float]:
        """Where the signal is, as a Conditioner takes it."""
        return {
            "offset_hz": self.offset.value,
            "center_hz": self.center_hz + self.offset.value,
            "symbol_rate_hz": self.symbol_rate.value,
            "bandwidth_hz": self.bandwidth.value,
        }

    @called_by_qt
    def _send(self, *_: Any) -> None:
        self._mark()
        self.tune.emit(self.tuning())

    def _mark(self) -> None:
        """Draw the signal where it is, as wide as its symbol rate; not while it is dragged."""
        if self.marker.moving:
            return
        middle_hz, half_hz = self.center_hz + self.offset.value, self.symbol_rate.value / 2
        wanted = (middle_hz - half_hz, middle_hz + half_hz)
        if self.marker.getRegion() != wanted:
            self.marker.blockSignals(True)
            self.marker.setRegion(wanted)
            self.marker.blockSignals(False)

    @called_by_qt
    def _point(self, frequency_hz: float) -> None:
        self.offset.set_value(frequency_hz - self.center_hz)

    @called_by_qt
    def _dragged(self, *_: Any) -> None:
        low_hz, high_hz = self.marker.getRegion()
        self.offset.set_value((low_hz + high_hz) / 2 - self.center_hz)

    def _step(self, dial: Dial, direction: int) -> None:
        dial.set_value(dial.value + direction * KEYS_SHARE * self.symbol_rate.value)

    def _follow(self, wanted: Any) -> None:
        """Show, and pass on, where another block has tuned to; also a pair ("freq" . Hz)."""
        if isinstance(wanted, tuple) and wanted[0] == "freq":
            wanted = {"offset_hz": float(wanted[1]) - self.center_hz}
        if not isinstance(wanted, dict):
            raise ValueError(f"a dictionary is wanted, not {wanted!r}")
        for name, dial in (
            ("offset_hz", self.offset),
            ("symbol_rate_hz", self.symbol_rate),
            ("bandwidth_hz", self.bandwidth),
        ):
            if name in wanted:
                dial.show_value(float(wanted[name]))
        self._send()

    def text(self) -> str:
        """What is seen, in words."""
        absolute = self.state.band_center_hz is not None
        words = [f"band: {frequency(self.center_hz, absolute)}, "
                 f"{si(self.settings.sample_rate_hz, 'Hz')} wide"]  # fmt: skip
        if self.settings.tuning:
            now = self.tuning()
            words.append(f"signal: {frequency(now['center_hz'], absolute)}")
            words.append(f"offset: {now['offset_hz']:+.0f} Hz")
            words.append(f"symbol rate: {si(now['symbol_rate_hz'], 'Bd')}")
        return "\n".join(words) + "\n"

    # --- called by Qt ---------------------------------------------------------------------------

    @called_by_qt
    def _update(self) -> None:
        """Take in all messages since the last update, and scroll on."""
        settings = self.settings
        interval_ms = round(1000 / settings.update_rate_hz)
        if interval_ms != self._timer.interval():
            self._timer.setInterval(interval_ms)
        theme = theme_around(self, settings.palette)
        if theme is not self.theme:
            self.theme = theme
            self._paint_in(theme)
        self.state.set_history_s(settings.history_s)
        messages = self.inbox.take()
        for port, message in messages:
            if port == "spectrum":
                self.state.read(port, message)
            elif settings.tuning:
                self._follow(message())
        now_s = time.monotonic()
        passed_s, self._updated_at_s = now_s - self._updated_at_s, now_s
        self.plot.advance(passed_s, bool(messages))
        if settings.tuning:
            self._mark()
