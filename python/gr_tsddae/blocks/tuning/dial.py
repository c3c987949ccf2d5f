# SPDX-License-Identifier: GPL-3.0-or-later
"""A slider and a number for one quantity, which also follow what others set."""

from __future__ import annotations

import math

from qtpy.QtCore import QObject, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QSlider

STEPS = 1000


class Dial(QObject):
    """A label, a slider and a number in kHz or kBd: a row of a grid.

    GNU Radio's RangeWidget does not follow a value that comes from elsewhere, and has no
    logarithmic slider.

    Signals:
        changed: the user has set another value.
    """

    changed = Signal(float)

    def __init__(
        self, label: str, unit: str, low: float, high: float, value: float, *,
        logarithmic: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.low, self.high, self._logarithmic = low, high, logarithmic
        self.slider = QSlider(Qt.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setMinimumWidth(90)
        self.number = QDoubleSpinBox()
        self.number.setDecimals(3)
        self.number.setRange(low / 1e3, high / 1e3)
        self.number.setSingleStep(max((high - low) / 1e3 / STEPS, 1e-3))
        self.number.setSuffix(f" k{unit}")
        self.number.setKeyboardTracking(False)
        self.label = QLabel(label)
        self.show_value(value)
        self.slider.valueChanged.connect(self._slid)
        self.number.valueChanged.connect(self._typed)

    def lay_out(self, grid: QGridLayout) -> None:
        """Add a row to a grid."""
        row = grid.rowCount()
        for column, widget in enumerate((self.label, self.slider, self.number)):
            grid.addWidget(widget, row, column)

    @property
    def value(self) -> float:
        return 1e3 * self.number.value()

    def set_value(self, value: float) -> None:
        """Set a value as if the user had; beyond an end it is that end."""
        self.number.setValue(value / 1e3)

    def show_value(self, value: float) -> None:
        """Follow a value that somebody else has set."""
        blocked = QSignalBlocker(self.number), QSignalBlocker(self.slider)
        self.number.setValue(value / 1e3)
        self.slider.setValue(self._place_of(self.value))
        del blocked

    def _place_of(self, value: float) -> int:
        if self._logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(STEPS * share)

    def _slid(self, place: int) -> None:
        share = place / STEPS
        if self._logarithmic:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        self.set_value(float(f"{value:.3g}"))

    def _typed(self, _: float) -> None:
        self.show_value(self.value)
        self.changed.emit(self.value)
