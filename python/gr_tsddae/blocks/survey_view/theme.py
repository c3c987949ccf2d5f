# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of the Survey Display, on dark and on light.

The waterfall goes from dark to bright in one hue, so lightness alone carries the power. Boxes have
the other hue, and differ by the line: whole where the emission has a name, broken where not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QApplication, QWidget

from gr_tsddae.blocks.display import theme as shared
from gr_tsddae.blocks.survey_view.waterfall import BLANK, STEP_DB

BELOW_DB, ABOVE_DB = 6.0, 34.0  # the colours reach from under the floor to over it
LOUDER_DB = 15.0  # and so far over what much of the band passes


@dataclass(frozen=True)
class SurveyTheme:
    """Colours as #rrggbb; `ramp` has stops from under the floor to the strongest signals."""

    base: shared.Theme
    ramp: tuple[str, ...]
    blank: str
    box: str
    unknown_box: str
    chosen_box: str

    def lut(self, floor_level: float, loud_level: float = 0.0) -> np.ndarray:
        """The colour of each level, uint8 (256, 4).

        Args:
            floor_level: where the noise floor is.
            loud_level: that much of the band passes. If it is high, as where a filter has left
                little of the band, the colours reach over it.
        """
        rgb = np.array([QColor(stop).getRgb()[:3] for stop in self.ramp], float)  # (stops, 3)
        over_db = (np.arange(256) - floor_level) * STEP_DB
        above_db = max(ABOVE_DB, (loud_level - floor_level) * STEP_DB + LOUDER_DB)
        at = (over_db + BELOW_DB) / (BELOW_DB + above_db) * (len(rgb) - 1)
        colours = np.stack([np.interp(at, range(len(rgb)), line) for line in rgb.T], 1)
        colours[BLANK] = QColor(self.blank).getRgb()[:3]
        return np.concatenate([np.rint(colours), np.full((256, 1), 255)], 1).astype(np.uint8)


DARK = SurveyTheme(
    base=shared.DARK,
    ramp=("#0b1016", "#12293c", "#1f5a7d", "#5db0c2", "#eafafa"),
    blank="#33302e",
    box="#ffb454",
    unknown_box="#f2f5f7",
    chosen_box="#ff5f87",
)
LIGHT = SurveyTheme(
    base=shared.LIGHT,
    ramp=("#ffffff", "#dcebf5", "#8fbfdf", "#2f77ad", "#06233f"),
    blank="#d8d2c8",
    box="#b34700",
    unknown_box="#3a3f45",
    chosen_box="#c2185b",
)


def theme_for(name: str, palette: QPalette) -> SurveyTheme:
    """Choose a theme by name; "auto" goes with the application's palette."""
    return DARK if shared.theme_for(name, palette) is shared.DARK else LIGHT


def theme_around(widget: QWidget, name: str) -> SurveyTheme:
    """Choose a theme by name; "auto" goes with what is around a widget: desktop or style sheet."""
    parent = widget.parentWidget()
    return theme_for(name, QApplication.palette() if parent is None else parent.palette())
