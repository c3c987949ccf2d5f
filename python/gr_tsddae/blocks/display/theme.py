# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours and proportions of the recognition display.

Blue to yellow on dark, white to blue on light: lightness alone carries the value, so that nobody
needs to tell hues apart. Red and amber come with a sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor, QPalette

AXIS_ROOM = 1.5  # heights of a line, in units of the base font size
MAX_BASE_PX, MIN_BASE_PX = 24.0, 9.0
MIN_ROW_PX = 9.0  # of a class


@dataclass(frozen=True)
class Theme:
    """Colours as #rrggbb; `ramp` and `grey_ramp` are stops from probability 0 to 1."""

    background: str
    text: str
    muted: str
    line: str
    track: str
    bar: str
    accent: str
    warning: str
    bad: str
    ramp: tuple[str, ...]
    grey_ramp: tuple[str, ...]

    def lut(self, known: bool) -> np.ndarray:
        """Compute the ramp in 256 steps as 0xffRRGGBB, (256,) uint32; grey for "unknown"."""
        stops = self.ramp if known else self.grey_ramp
        rgb = np.array([QColor(stop).getRgb()[:3] for stop in stops], float)  # (stops, 3)
        at = np.linspace(0, len(stops) - 1, 256)
        red, green, blue = (
            np.rint(np.interp(at, range(len(stops)), channel)).astype(np.uint32)
            for channel in rgb.T
        )
        return 0xFF000000 | red << 16 | green << 8 | blue

    def palette(self) -> QPalette:
        """Colours for the stock widgets: buttons, table, text."""
        palette = QPalette()
        for role, colour in (
            (QPalette.Window, self.background),
            (QPalette.WindowText, self.text),
            (QPalette.Base, self.background),
            (QPalette.AlternateBase, self.track),
            (QPalette.Text, self.text),
            (QPalette.Button, self.track),
            (QPalette.ButtonText, self.text),
            (QPalette.PlaceholderText, self.muted),
            (QPalette.Light, self.line),
            (QPalette.Midlight, self.line),
            (QPalette.Mid, self.line),
            (QPalette.Dark, self.line),
            (QPalette.ToolTipBase, self.track),
            (QPalette.ToolTipText, self.text),
            (QPalette.Highlight, self.bar),
            (QPalette.HighlightedText, self.background),
        ):
            palette.setColor(role, QColor(colour))
        for role in (QPalette.ButtonText, QPalette.Text, QPalette.WindowText):
            palette.setColor(QPalette.Disabled, role, QColor(self.muted))
        return palette


DARK = Theme(
    background="#11151a", text="#f2f5f7", muted="#93a1ad", line="#3a4652", track="#1d242c",
    bar="#3f86ad", accent="#ffd04a", warning="#ffb454", bad="#ff7a6b",
    ramp=("#1d242c", "#24506e", "#4f9aa8", "#c9c56a", "#ffdc5e"),
    grey_ramp=("#1d242c", "#4a525a", "#9aa3ab"),
)  # fmt: skip
LIGHT = Theme(
    background="#ffffff", text="#11161b", muted="#56626d", line="#c2cad1", track="#eef1f4",
    bar="#86b1d1", accent="#0b4f8a", warning="#8a5200", bad="#b3261e",
    ramp=("#eef1f4", "#b5d0e4", "#6ba3cd", "#2a6fa8", "#08305a"),
    grey_ramp=("#eef1f4", "#b4bac0", "#6d757c"),
)  # fmt: skip


def theme_for(name: str, palette: QPalette) -> Theme:
    """Choose a theme by name; "auto" goes with the application's palette."""
    if name == "auto":
        name = "dark" if palette.color(QPalette.Window).lightness() < 128 else "light"
    return DARK if name == "dark" else LIGHT


class Layout:
    """Where things are, for one size of the widget.

    Attributes:
        base_px: Size of ordinary text; everything else is in proportion.
        top, label, side, status, note: Title line, the label, what stands beside it, two lines at
            the bottom.
        names, bars, raster: Three columns of the same `rows` rows.
        axis: Under the raster; two lines high where there is room, `axis_lines`.
    """

    def __init__(self, width: float, height: float, classes: int, name_ems: float):
        base = self.base_px = min(max(min(height / 30, width / 52), MIN_BASE_PX), MAX_BASE_PX)
        line = 1.35 * base
        margin = min(max(min(width, height) * 0.022, 4.0), 18.0)
        left, inner = margin, max(width - 2 * margin, 1.0)
        self.top = QRectF(left, margin * 0.6, inner, line)
        self.note = QRectF(left, height - margin * 0.6 - line, inner, line)
        self.status = self.note.translated(0, -line)
        label_height = max(0.29 * height, 2 * line)
        side_width = max(0.26 * inner, 7.5 * base)
        self.label = QRectF(left, self.top.bottom(), inner - side_width - base, label_height)
        self.side = QRectF(self.label.right() + base, self.top.bottom(), side_width, label_height)
        self.axis_lines = 2 if height >= 400 else 1
        axis_height = AXIS_ROOM * base * (0.6 + 0.7 * self.axis_lines)
        rows_top = self.label.bottom() + 0.3 * base
        rows_height = max(self.status.top() - 0.3 * base - axis_height - rows_top, 1.0)
        self.rows = max(1, min(classes, int(rows_height / MIN_ROW_PX)))
        self.row_height = min(rows_height / self.rows, 5 * base)
        rows_height = self.row_height * self.rows
        self.row_px = min(max(0.8 * self.row_height, 8.0), 1.25 * base)
        names_width = name_ems * self.row_px + 0.6 * base
        bars_width = min(max(0.17 * width, 44.0), 300.0)
        self.names = QRectF(left, rows_top, names_width, rows_height)
        self.bars = QRectF(self.names.right(), rows_top, bars_width, rows_height)
        raster_left = self.bars.right() + 0.7 * base
        self.raster = QRectF(
            raster_left, rows_top, max(left + inner - raster_left, 1.0), rows_height
        )
        self.axis = QRectF(self.raster.left(), self.raster.bottom(), self.raster.width(),
                           axis_height)  # fmt: skip

    def row(self, column: QRectF, number: int) -> QRectF:
        """Return the cell of a column, with a little air between rows."""
        air = 1.0 if self.row_height < 14 else 2.0
        top = column.top() + number * self.row_height
        return QRectF(column.left(), top, column.width(), max(self.row_height - air, 1.0))
