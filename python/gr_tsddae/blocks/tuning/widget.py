# SPDX-License-Identifier: GPL-3.0-or-later
"""The Qt Waterfall as a widget: a survey's waterfall without boxes, and where the signal is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QGridLayout, QVBoxLayout

from gr_tsddae.blocks.display import live_widget
from gr_tsddae.blocks.display.guards import called_by_qt
from gr_tsddae.blocks.display.keeping import offer_to_keep
from gr_tsddae.blocks.display.state import Inbox, Message
from gr_tsddae.blocks.display.units import si
from gr_tsddae.blocks.survey_view.live_waterfall import LiveWaterfall
from gr_tsddae.blocks.survey_view.theme import SurveyTheme
from gr_tsddae.blocks.survey_view.words import frequency
from gr_tsddae.blocks.tuning.dial import Dial

LOWEST_SHARE = 0.01  # of the highest symbol rate, as a Conditioner can follow
KEYS_SHARE = 0.01  # of the symbol rate, for a key
TUNING_HELP = (
    "double-click or drag: tune  ·  ← →: offset  ·  ↑ ↓: symbol rate  ·  + −: zoom  ·  "
    "Home: whole band  ·  Ctrl+C: copy  ·  Ctrl+S: save"
)
HELP = "+ −: zoom  ·  Home: whole band  ·  Space: follow or stay  ·  Ctrl+C: copy  ·  Ctrl+S: save"


@dataclass(kw_only=True)
class Settings(live_widget.Settings):
    """The choices of all displays, the stream's rate, and where the signal is at first."""

    sample_rate_hz: float
    tuning: dict[str, float] | None  # offset_hz, symbol_rate_hz, highest_symbol_rate_hz, bandwidth


class WaterfallWidget(LiveWaterfall):
    """A waterfall; with tuning also the signal's place in it, and sliders.

    Signals:
        tune: the user tunes: offset_hz, center_hz, symbol_rate_hz, bandwidth_hz.
    """

    tune = Signal(dict)

    def __init__(self, settings: Settings, inbox: Inbox):
        super().__init__(settings, inbox)
        self.plot.setMinimumHeight(160)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot, 1)
        self.setMinimumSize(400, 200)
        self.setToolTip(TUNING_HELP if settings.tuning else HELP)
        keys = {"Space": lambda: self.plot.follow(not self.plot.follows)}
        if settings.tuning:
            layout.addLayout(self._make_dials(settings.tuning))
            keys |= {
                "Left": lambda: self._step(self.offset, -1),
                "Right": lambda: self._step(self.offset, 1),
                "Up": lambda: self._step(self.symbol_rate, 1),
                "Down": lambda: self._step(self.symbol_rate, -1),
            }
        self._offer_keys(keys)
        self.setFocusPolicy(Qt.StrongFocus)
        self._paint_in(self.theme)
        offer_to_keep(self, self.text)

    def sizeHint(self) -> QSize:
        return QSize(640, 340)

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

    def _paint_in(self, theme: SurveyTheme) -> None:
        super()._paint_in(theme)
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

    def _hear(self, port: str, message: Message, now_s: float) -> None:
        if port == "spectrum":
            super()._hear(port, message, now_s)
        elif self.settings.tuning:
            self._follow(message())

    def _show(self, has_news: bool, now_s: float) -> None:
        super()._show(has_news, now_s)
        if self.settings.tuning:
            self._mark()
