# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the recognition display, once, top to bottom."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRect, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen

from gr_tsddae.blocks.display.state import DisplayState
from gr_tsddae.blocks.display.theme import Layout, Theme
from gr_tsddae.blocks.display.units import TICKS_S, si, utc
from gr_tsddae.blocks.display.words import note, status_pieces
from gr_tsddae.labels import UNKNOWN

WAITING = "waiting for decisions"
LEFT, RIGHT = Qt.AlignLeft | Qt.AlignVCenter, Qt.AlignRight | Qt.AlignVCenter
CENTRE = Qt.AlignCenter


class Painting:
    """One painting of the display. `paint` does it; the other methods are its parts.

    Attributes:
        note: The last line in full, also where it did not fit.
    """

    note = ""

    def __init__(
        self,
        painter: QPainter,
        layout: Layout,
        theme: Theme,
        state: DisplayState,
        *,
        classes: tuple[str, ...],
        settings: Any,
        selection: dict[str, Any] | None,
        skipped: int,
        title_left: float,
        now_s: float,
    ):
        self.painter, self.layout, self.theme, self.state = painter, layout, theme, state
        self.classes, self.settings, self.selection = classes, settings, selection
        self.skipped, self.title_left, self.now_s = skipped, title_left, now_s
        self.stale_s = state.stale_s(now_s)
        self.old = self.stale_s > 0 or not settings.running

    def paint(self, area: QRect) -> None:
        self.painter.fillRect(area, QColor(self.theme.background))
        self.painter.setRenderHint(QPainter.TextAntialiasing)
        self._top()
        self._label()
        if self.state.decision is not None:
            self._side()
            self._rows()
            self._raster()
            self._axis()
        self._status()
        self._note()

    # --- text -----------------------------------------------------------------------------------

    def _font(self, pixels: float, bold: bool = False) -> QFontMetricsF:
        font = QFont(self.painter.font())
        font.setPixelSize(max(1, round(pixels)))
        font.setBold(bold)
        self.painter.setFont(font)
        return QFontMetricsF(font)

    def _text(self, where: QRectF, how: int, text: str, colour: str) -> None:
        """Draw text in the current font, with an ellipsis where it does not fit."""
        metrics = QFontMetricsF(self.painter.font())
        self.painter.setPen(QColor(colour))
        elided = metrics.elidedText(text, Qt.ElideRight, where.width() + 1)
        self.painter.drawText(where, int(how) | Qt.TextSingleLine, elided)

    def _fitted(self, where: QRectF, how: int, text: str, colour: str, most: float = 1.0) -> None:
        """Draw bold text as large as it fits, its capitals at most `most` of the height.

        It is flush left or right, as `how` says, and centred vertically.
        """
        trial = self._font(100, bold=True)
        pixels = 100 * min(
            most * where.height() / trial.capHeight(),
            where.height() / (trial.capHeight() + trial.descent()),
            where.width() / max(trial.horizontalAdvance(text), 1),
        )
        metrics = self._font(math.floor(pixels), bold=True)
        if how == LEFT:  # flush with the small text: large letters have a wide side
            left = where.left() - metrics.leftBearing(text[0])
        else:
            left = where.right() - metrics.horizontalAdvance(text)
        # Capitals and descenders together lie in the middle, so that a "g" is not cut off.
        baseline = where.center().y() + (metrics.capHeight() - metrics.descent()) / 2
        self.painter.setPen(QColor(colour))
        self.painter.drawText(QPointF(left, baseline), text)

    # --- head -----------------------------------------------------------------------------------

    def _top(self) -> None:
        """Draw the title on the left, the receiver's frequency and rate on the right."""
        metrics = self._font(0.95 * self.layout.base_px)
        decision = self.state.decision or {}
        facts = []
        if decision.get("center_frequency_hz") is not None:
            facts.append(f"{decision['center_frequency_hz'] / 1e6:.10g} MHz")
        if decision.get("sample_rate_hz"):
            facts.append(si(decision["sample_rate_hz"], "S/s", 7))
        text = "  ·  ".join(facts)
        where = self.layout.top
        self._text(where, RIGHT, text, self.theme.text)
        left = where.adjusted(0, 0, -metrics.horizontalAdvance(text) - self.layout.base_px, 0)
        left.setLeft(self.title_left)
        title = self.settings.title
        if not title and not self.settings.model_can_change:  # else the list names the model
            title = decision.get("model", "")
        self._text(left, LEFT, title, self.theme.muted)

    def _label(self) -> None:
        decision, theme = self.state.decision, self.theme
        if decision is None:
            where = self.layout.label.united(self.layout.side)
            self._fitted(where, LEFT, WAITING, theme.muted, most=0.3)
            return
        colour = theme.muted if self.old or decision["label"] == UNKNOWN else theme.text
        self._fitted(self.layout.label, LEFT, decision["label"], colour, most=0.68)

    def _side(self) -> None:
        """Draw the confidence, and the time of the decision."""
        decision, theme, base = self.state.decision, self.theme, self.layout.base_px
        where = self.layout.side
        number = where.adjusted(0, 0, 0, -0.36 * where.height())
        colour = theme.text if decision["label"] == UNKNOWN else theme.accent
        colour = theme.muted if self.old else colour
        self._fitted(number, RIGHT, f"{decision['confidence']:.0%}", colour, most=0.62)
        below = QRectF(where.left(), number.bottom(), where.width(), 1.35 * base)
        self._font(0.95 * base)
        if decision["label"] == UNKNOWN:
            self._text(below, RIGHT, f"best: {decision['best']}", theme.text)
            below.translate(0, 1.3 * base)
        if not self.settings.running:
            self._text(below, RIGHT, "stopped", theme.warning)
        elif self.stale_s:
            self._text(below, RIGHT, f"silent for {self.stale_s:.0f} s", theme.warning)
        elif decision["time_s"] is not None:
            self._text(below, RIGHT, utc(decision["time_s"], "%H:%M:%S UTC"), theme.muted)

    # --- classes: now, and over time ------------------------------------------------------------

    def _rows(self) -> None:
        """Draw name and bar of each class."""
        layout, theme, decision = self.layout, self.theme, self.state.decision
        metrics = self._font(layout.row_px)
        room_for_number = metrics.horizontalAdvance("100 ")
        for number, name in enumerate(self.classes):
            probability = decision["probabilities"][name]
            best = name == decision["best"]
            strong = best and not self.old and decision["label"] != UNKNOWN
            self._text(
                layout.row(layout.names, number), LEFT, name, theme.text if best else theme.muted
            )
            cell = layout.row(layout.bars, number)
            self.painter.fillRect(cell, QColor(theme.track))
            bar = QRectF(cell)
            bar.setWidth(cell.width() * min(probability, 1.0))
            self.painter.fillRect(bar, QColor(theme.accent if strong else theme.bar))
            air = 0.3 * layout.row_px
            percent = f"{100 * probability:.0f}"
            if bar.right() + room_for_number < cell.right():
                if percent != "0":
                    beside = cell.adjusted(bar.width() + air, 0, 0, 0)
                    self._text(beside, LEFT, percent, theme.muted)
            else:
                self._text(bar.adjusted(0, 0, -air, 0), RIGHT, percent, theme.background)

    def _raster(self) -> None:
        """Draw the raster: rows are classes, columns are moments, brightness is probability."""
        layout, history, where = self.layout, self.state.history, self.layout.raster
        scale = self.painter.device().devicePixelRatioF()
        columns = max(1, round(where.width() * scale))
        probabilities, known, covered = history.columns(columns)  # (K, columns)
        rows = [history.classes.index(name) for name in self.classes]
        level = np.clip(probabilities[rows] * 255, 0, 255).astype(np.uint8)
        pixels = np.where(known, self.theme.lut(True)[level], self.theme.lut(False)[level])
        background = np.uint32(QColor(self.theme.background).rgb())
        pixels = np.where(covered, pixels, background).astype(np.uint32, order="C")
        image = QImage(pixels.data, columns, len(rows), 4 * columns, QImage.Format_RGB32)
        for number in range(len(rows)):
            source = QRectF(0, number, columns, 1)
            self.painter.drawImage(layout.row(where, number), image, source)
        self.painter.setPen(QColor(self.theme.line))
        self.painter.drawLine(where.topLeft(), where.bottomLeft())
        if self.selection:
            ends = [
                min(max(self._x_of(self.selection[end]), where.left()), where.right())
                for end in ("start_s", "end_s")
            ]
            if ends[1] > ends[0]:
                self.painter.setPen(QPen(QColor(self.theme.text), max(1.0, layout.base_px / 8)))
                self.painter.setBrush(Qt.NoBrush)
                box = QRectF(ends[0], where.top(), ends[1] - ends[0], where.height())
                self.painter.drawRect(box)

    def _x_of(self, moment_s: float) -> float:
        history, where = self.state.history, self.layout.raster
        return where.right() - (history.edge_s - moment_s) / history.span_s * where.width()

    def _axis(self) -> None:
        """Draw seconds before the newest moment; under them, where it is known, UTC."""
        layout, theme, history = self.layout, self.theme, self.state.history
        where = layout.axis
        metrics = self._font(0.85 * layout.base_px)
        line = 1.05 * layout.base_px
        self.painter.setPen(QColor(theme.line))
        self.painter.drawLine(where.topLeft(), where.topRight())
        width_of_tick = 1.6 * metrics.horizontalAdvance("00:00:00")
        least_s = history.span_s * width_of_tick / where.width()
        step_s = next((tick for tick in TICKS_S if tick >= least_s), 3600.0)
        for number in range(int(history.span_s / step_s + 1e-9) + 1):
            text = f"−{number * step_s:g}" if number else "0 s"
            self._tick(self._x_of(history.edge_s - number * step_s), text, where.top(), line)
        offset_s = history.utc_offset_s
        if layout.axis_lines > 1 and offset_s is not None:
            now_s = history.edge_s + offset_s
            pattern = "%H:%M:%S" if step_s < 60 else "%H:%M"
            step_s = max(step_s, 1.0)
            last = math.floor(now_s / step_s) * step_s
            for number in range(int(history.span_s / step_s) + 1):
                time_s = last - number * step_s
                x = self._x_of(time_s - offset_s)
                self._tick(x, utc(time_s, pattern), where.top() + line, line)
            beside = QRectF(layout.bars.left(), where.top() + 1.2 * line, layout.bars.width(), line)
            self._text(beside, RIGHT, "UTC", theme.muted)

    def _tick(self, x: float, text: str, top: float, line: float) -> None:
        """Draw a number on one of the axis' two lines; the upper one has marks, and an end."""
        where = self.layout.axis
        half = 0.5 * QFontMetricsF(self.painter.font()).horizontalAdvance(text)
        if x - half < where.left():
            return
        if top == where.top():
            self.painter.setPen(QColor(self.theme.line))
            self.painter.drawLine(QPointF(x, top), QPointF(x, top + 0.25 * line))
            x = min(x, where.right() - half)
        elif x + half > where.right():
            return
        box = QRectF(x - half - 1, top + 0.2 * line, 2 * half + 2, line)
        self._text(box, CENTRE, text, self.theme.muted)

    # --- foot -----------------------------------------------------------------------------------

    def _status(self) -> None:
        """Draw the classifier's status in pieces; short ones where the long do not fit."""
        pieces = status_pieces(self.state, self.theme)
        base, where = self.layout.base_px, self.layout.status
        for use_long in (True, False):
            metrics = self._font((0.95 if use_long else 0.9) * base)
            gap = (1.4 if use_long else 0.9) * base
            texts = [(long if use_long else short, colour) for long, short, colour in pieces]
            wide = sum(metrics.horizontalAdvance(text) + gap for text, _ in texts) - gap
            if wide <= where.width():
                break
        x = where.left()
        for text, colour in texts:
            width = min(metrics.horizontalAdvance(text), where.right() - x)
            self._text(QRectF(x, where.top(), max(width, 0), where.height()), LEFT, text, colour)
            x += width + gap

    def _note(self) -> None:
        self.note, colour = note(
            self.state, self.theme, self.settings.complaint, self.selection, self.skipped
        )
        self._font(0.95 * self.layout.base_px)
        self._text(self.layout.note, LEFT, self.note, colour)
