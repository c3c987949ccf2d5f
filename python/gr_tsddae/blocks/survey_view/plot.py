# SPDX-License-Identifier: GPL-3.0-or-later
"""The waterfall with its boxes: pyqtgraph's image, axes, zoom and pan, and one item for the boxes.

While the newest spectra are in sight the view follows them. Who moves it into the past stops it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QPoint, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QGraphicsItem, QToolTip

from gr_tsddae.blocks.display.guards import called_by_qt, without_garbage_collection
from gr_tsddae.blocks.display.units import TICKS_S, utc
from gr_tsddae.blocks.survey_view.emissions import HeardEmission, lasts
from gr_tsddae.blocks.survey_view.places import View, box, hit, place_labels
from gr_tsddae.blocks.survey_view.state import SurveyState
from gr_tsddae.blocks.survey_view.theme import SurveyTheme
from gr_tsddae.blocks.survey_view.waterfall import ROWS, loud_level, quiet_level
from gr_tsddae.blocks.survey_view.words import box_texts, tooltip

# At the end of the program pyqtgraph looks at every object there is, and parts of torch warn then.
warnings.filterwarnings("ignore", category=FutureWarning, module="pyqtgraph")

LEAST_VIEW_S = 0.05
LEAST_VIEW_SHARE = 1e-3  # of the band
FLOOR_ROWS = 100  # newest rows that show where the noise floor is
FLOOR_TOLERANCE = 2.0  # levels, before the colours follow it
PAN_SHARE = 0.01  # of the view: who moves it by less still follows
BEHIND_S = 1.0  # most by which the view lags behind the newest spectrum, to scroll evenly
LABEL_PAD_PX = 3.0
MOST_LABELS = 100
MOST_LONG_LABELS = 20  # with more boxes in sight only names stand at them


class FrequencyAxis(pg.AxisItem):
    """Ticks in MHz where the centre is known, else in kHz from the centre."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.enableAutoSIPrefix(False)
        self.absolute: bool | None = None

    def set_absolute(self, absolute: bool) -> None:
        if absolute != self.absolute:
            self.absolute = absolute
            self.setScale(1e-6 if absolute else 1e-3)
            self.setLabel("MHz" if absolute else "kHz from the centre")

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        places = max(0, math.ceil(-math.log10(spacing * scale) - 1e-9))
        sign = "" if self.absolute else "+"
        return [f"{value * scale:{sign if value else ''}.{places}f}" for value in values]


class TimeAxis(pg.AxisItem):
    """Ticks in UTC where it is known, else in seconds of the stream."""

    def __init__(self) -> None:
        super().__init__("left")
        self.enableAutoSIPrefix(False)
        self.setWidth(90)
        self.utc_offset_s: float | None = None
        self.setLabel("s of the stream")

    def set_utc_offset(self, utc_offset_s: float | None) -> None:
        if (utc_offset_s is None) != (self.utc_offset_s is None):
            self.setLabel("s of the stream" if utc_offset_s is None else "UTC")
        self.utc_offset_s = utc_offset_s

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        least_s = (maxVal - minVal) * 45 / max(size, 1)
        step_s = next((tick for tick in TICKS_S if tick >= least_s), TICKS_S[-1])
        offset_s = 0.0 if self.utc_offset_s is None else -self.utc_offset_s % step_s
        return [(step_s, offset_s)]

    def tickValues(
        self, minVal: float, maxVal: float, size: float
    ) -> list[tuple[float, list[float]]]:
        """None from before the stream."""
        ticks = super().tickValues(minVal, maxVal, size)
        return [(step_s, [at_s for at_s in each if at_s > -1e-6]) for step_s, each in ticks]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        places = max(0, math.ceil(-math.log10(spacing) - 1e-9))
        if self.utc_offset_s is None:
            return [f"{value:.{places}f}" for value in values]
        texts = []
        for value in values:
            time_s = round(value + self.utc_offset_s, 6)
            text = utc(time_s, "%H:%M:%S")
            texts.append(text + f"{time_s % 1:.{places}f}"[1:] if places else text)
        return texts


class Boxes(QGraphicsItem):
    """The boxes and labels, in pixels of the view; `draw` says what, painting only draws it."""

    def __init__(self, parent: pg.ViewBox):
        super().__init__(parent)
        self.setZValue(10)
        self.setAcceptedMouseButtons(Qt.NoButton)
        self.font = QFont()
        self._frames: list[tuple[QPen, list[QRectF], list[QRectF]]] = []
        self._labels: list[tuple[QRectF, str, QColor]] = []
        self._chip = QColor()

    def draw(
        self,
        frames: list[tuple[QPen, list[QRectF], list[QRectF]]],
        labels: list[tuple[QRectF, str, QColor]],
        chip: QColor,
    ) -> None:
        """Show other boxes.

        Args:
            frames: pens, each with the boxes that are closed, and those that go on at their top.
            labels: place, text and colour of each.
            chip: colour under the labels.
        """
        self._frames, self._labels, self._chip = frames, labels, chip
        self.update()

    def boundingRect(self) -> QRectF:
        return self.parentItem().rect()

    def paint(self, painter: QPainter, *_: Any) -> None:
        painter.setBrush(Qt.NoBrush)
        for pen, closed, open_ones in self._frames:
            painter.setPen(pen)
            painter.drawRects(closed)
            for one in open_ones:
                painter.drawPolyline(
                    [one.topLeft(), one.bottomLeft(), one.bottomRight(), one.topRight()]
                )
        painter.setFont(self.font)
        for where, text, colour in self._labels:
            painter.fillRect(where, self._chip)
            painter.setPen(colour)
            painter.drawText(where, int(Qt.AlignCenter), text)


class WaterfallPlot(pg.PlotWidget):
    """A waterfall with a labelled box round every emission.

    Signals:
        chosen: an emission's box was clicked (its id); 0: beside all boxes.
        asked: the menu of an emission is wanted (its id, where on the screen).
        pointed: a place beside all boxes was double-clicked (its frequency in Hz).
        followed: whether the view follows the newest spectra has changed.
    """

    chosen = Signal(int)
    asked = Signal(int, QPoint)
    pointed = Signal(float)
    followed = Signal(bool)

    def __init__(self, state: SurveyState, theme: SurveyTheme):
        self.frequency_axis, self.time_axis = FrequencyAxis(), TimeAxis()
        super().__init__(
            axisItems={"bottom": self.frequency_axis, "left": self.time_axis},
            enableMenu=False,
        )
        self.state, self.theme = state, theme
        self.follows = True
        self.chosen_id: int | None = None
        self.boxes: list[tuple[int, QRectF]] = []  # on the screen, the most important first
        self._shown_s = 0.0  # upper edge of the view while it follows
        self._view_s = min(10.0, state.waterfall.span_s)
        self._coloured_for: tuple[float, float] | None = None  # floor, loud
        self._drawn: tuple[Any, ...] = ()
        self.hideButtons()
        self.view = self.getPlotItem().getViewBox()
        self.view.disableAutoRange()
        self.view.setDefaultPadding(0.0)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.addItem(self.image)
        self.box_item = Boxes(self.view)
        self.view.sigRangeChangedManually.connect(self._moved)
        self.view.sigRangeChanged.connect(self._place)
        self.view.sigResized.connect(self._place)
        self.scene().sigMouseMoved.connect(self._hover)
        self.scene().sigMouseClicked.connect(self._click)
        self.set_theme(theme)

    @without_garbage_collection
    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)

    def set_theme(self, theme: SurveyTheme) -> None:
        """Change all colours."""
        self.theme = theme
        self.setBackground(theme.base.background)
        for axis in (self.frequency_axis, self.time_axis):
            axis.setPen(theme.base.line)
            axis.setTextPen(theme.base.text)
        self._coloured_for = None
        self._drawn = ()

    # --- what is shown --------------------------------------------------------------------------

    @called_by_qt
    def advance(self, passed_s: float, news: bool) -> None:
        """Show what has come, and scroll on.

        Args:
            passed_s: seconds since the last call.
            news: whether messages have come since then.
        """
        waterfall = self.state.waterfall
        if waterfall.empty:
            return
        self.frequency_axis.set_absolute(self.state.band_center_hz is not None)
        self.time_axis.set_utc_offset(self.state.utc_offset_s)
        levels, first_s = waterfall.image()
        drawn = (waterfall.low_hz, waterfall.high_hz, first_s, waterfall.newest_s)
        if drawn != self._drawn:
            if drawn[:2] != self._drawn[:2]:
                self._show_band()
            self._colour(levels)
            before = max(0, round(-first_s / waterfall.row_s))  # rows, when the stream was not yet
            self.image.setImage(levels[before:], autoLevels=False, levels=None)
            width_hz = waterfall.high_hz - waterfall.low_hz
            height_s = (ROWS - before) * waterfall.row_s
            begin_s = first_s + before * waterfall.row_s
            self.image.setRect(QRectF(waterfall.low_hz, begin_s, width_hz, height_s))
            self._drawn = drawn
        newest_s = waterfall.newest_s
        moved_s = min(self._shown_s + passed_s, newest_s)
        if not newest_s - BEHIND_S <= moved_s:
            moved_s = newest_s
        if self.follows and (moved_s != self._shown_s or self.view.viewRange()[1][1] != moved_s):
            self._shown_s = moved_s
            self.view.setYRange(moved_s - self._view_s, moved_s, padding=0)
        elif news:
            self._place()

    def follow(self, wanted: bool = True) -> None:
        """Go back to the newest spectra, or stay where the view is."""
        if wanted != self.follows:
            self.follows = wanted
            self.followed.emit(wanted)
        if wanted:
            self.advance(0.0, True)

    def show_all(self) -> None:
        """Show the whole band, and as much of the past as at first."""
        self._view_s = min(10.0, self.state.waterfall.span_s)
        self._show_band()
        self.follow()

    def zoom(self, factor: float) -> None:
        """Show so many times the frequencies, around the middle of the view."""
        self.view.scaleBy((factor, 1.0))

    def _show_band(self) -> None:
        waterfall = self.state.waterfall
        low_hz, high_hz = waterfall.low_hz, waterfall.high_hz
        self.view.setLimits(
            xMin=low_hz,
            xMax=high_hz,
            minXRange=LEAST_VIEW_SHARE * (high_hz - low_hz),
            maxXRange=high_hz - low_hz,
            minYRange=LEAST_VIEW_S,
            maxYRange=waterfall.span_s,
        )
        self.view.setXRange(low_hz, high_hz, padding=0)

    def _colour(self, levels: Any) -> None:
        """Let the colours follow the noise floor, slowly enough not to flicker."""
        rows = levels[-FLOOR_ROWS:]
        quiet, loud = quiet_level(rows), loud_level(rows)
        if quiet is None or loud is None:
            return
        before = self._coloured_for
        if before is None or max(abs(quiet - before[0]), abs(loud - before[1])) > FLOOR_TOLERANCE:
            self._coloured_for = quiet, loud
            self.image.setLookupTable(self.theme.lut(quiet, loud))

    @called_by_qt
    def _moved(self, *_: Any) -> None:
        """The user has zoomed or moved the view."""
        (_, _), (oldest_s, newest_s) = self.view.viewRange()
        zoomed = abs((newest_s - oldest_s) - self._view_s) > 1e-6 * self._view_s
        if zoomed:
            self._view_s = newest_s - oldest_s
            if self.follows:
                self.advance(0.0, True)
            return
        if self.follows == (newest_s >= self._shown_s - PAN_SHARE * self._view_s):
            return
        self.follow(not self.follows)

    def view_now(self) -> View:
        (low_hz, high_hz), (oldest_s, newest_s) = self.view.viewRange()
        rect = self.view.rect()
        return View(low_hz, high_hz, oldest_s, newest_s, rect.width(), rect.height())

    @called_by_qt
    def _place(self, *_: Any) -> None:
        """Find the places of boxes and labels, and draw them."""
        view = self.view_now()
        newest_s = self.state.waterfall.newest_s
        seen: list[tuple[HeardEmission, QRectF, bool]] = []
        for emission in self.state.log.emissions.values():
            grows = lasts(emission, newest_s)
            stop_s = max(emission.stop_s, newest_s) if grows else emission.stop_s
            where = box(view, emission.low_hz, emission.high_hz, emission.start_s, stop_s)
            if where is not None:
                seen.append((emission, where, grows))
        seen.sort(key=lambda each: (each[0].id != self.chosen_id, not each[2], -each[0].snr_db))
        self.boxes = [(emission.id, where) for emission, where, _ in seen]
        self._draw(seen[:MOST_LABELS], view, seen)

    def _draw(self, labelled: list[Any], view: View, seen: list[Any]) -> None:
        theme = self.theme
        frames: dict[tuple[str, bool, bool], tuple[list[QRectF], list[QRectF]]] = {}
        for emission, where, grows in seen:
            chosen = emission.id == self.chosen_id
            closed, open_ones = frames.setdefault(
                (self._colour_of(emission), emission.known, chosen), ([], [])
            )
            (open_ones if grows else closed).append(where)
        pens = []
        for (colour, known, chosen), (closed, open_ones) in frames.items():
            pen = QPen(QColor(colour), 2.5 if chosen else 1.5)
            pen.setStyle(Qt.SolidLine if known else Qt.DashLine)
            pens.append((pen, closed, open_ones))
        metrics = QFontMetricsF(self.box_item.font)
        crowded = len(labelled) > MOST_LONG_LABELS
        texts = [
            box_texts(emission)[crowded and emission.id != self.chosen_id :]
            for emission, *_ in labelled
        ]
        places = place_labels(
            [where for _, where, _ in labelled],
            [
                [metrics.horizontalAdvance(text) + 2 * LABEL_PAD_PX for text in each]
                for each in texts
            ],
            metrics.height(),
            view,
        )
        labels = []
        for (emission, *_), each, place in zip(labelled, texts, places, strict=True):
            if place is not None:
                text, where = place
                labels.append((where, each[text], QColor(self._colour_of(emission))))
        chip = QColor(theme.base.background)
        chip.setAlpha(205)
        self.box_item.draw(pens, labels, chip)

    def _colour_of(self, emission: HeardEmission) -> str:
        if emission.id == self.chosen_id:
            return self.theme.chosen_box
        return self.theme.box if emission.known else self.theme.unknown_box

    # --- the pointer ----------------------------------------------------------------------------

    def emission_at(self, scene_place: Any) -> int | None:
        """The number of the emission under a place of the scene."""
        if not self.view.sceneBoundingRect().contains(scene_place):
            return None
        return hit(self.boxes, self.view.mapFromScene(scene_place))

    @called_by_qt
    def _hover(self, scene_place: Any) -> None:
        number = self.emission_at(scene_place)
        if number is None:
            QToolTip.hideText()
            self.viewport().unsetCursor()
            return
        self.viewport().setCursor(Qt.PointingHandCursor)
        where = self.mapToGlobal(self.mapFromScene(scene_place))
        QToolTip.showText(where, tooltip(self.state.log.emissions[number]), self)

    @called_by_qt
    def _click(self, event: Any) -> None:
        if not self.view.sceneBoundingRect().contains(event.scenePos()):
            return
        number = self.emission_at(event.scenePos())
        if event.button() == Qt.RightButton:
            if number is not None:
                self.asked.emit(number, event.screenPos().toPoint())
        elif event.button() == Qt.LeftButton:
            if event.double() and number is None:
                self.pointed.emit(self.view.mapSceneToView(event.scenePos()).x())
            elif not event.double():
                self.chosen.emit(number or 0)
