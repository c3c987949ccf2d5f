# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of models in the recognition display: of those that `tsddae models` lists."""

from __future__ import annotations

from collections.abc import Iterator

from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtWidgets import QComboBox, QWidget

from gr_tsddae import zoo
from gr_tsddae.blocks.display.guards import called_by_qt
from gr_tsddae.blocks.display.theme import Theme

ROOM_EMS, ARROW_PX = 1.5, 28  # air around the name
HELP = "the running model: choose another one, or the same one to load it anew"


class ModelChooser(QComboBox):
    """Shows which model runs, and lets the user choose another one.

    The list is made when it is opened, so that a model that was just taught is in it.

    Signals:
        wanted: the name of a model was chosen, perhaps of the one that runs.
    """

    wanted = Signal(str)

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._placed: tuple = ()
        self.setToolTip(HELP)
        self.setFocusPolicy(Qt.ClickFocus)
        self.activated.connect(self._chosen)

    def show_model(self, name: str) -> None:
        """Name the running model, or the one that is being loaded; not while the list is open."""
        if name != self.currentText() and not self.view().isVisible():
            if self.findText(name) < 0:
                self.addItem(name)
            self.setCurrentText(name)

    def place(self, where: QRectF, font_px: float, theme: Theme) -> None:
        """Lie at the left of a line of text, no wider than half of it, in its size and colours."""
        wanted = where, font_px, theme, self.currentText()
        if wanted == self._placed:
            return
        self._placed = wanted
        font = self.font()
        font.setPixelSize(round(font_px))
        self.setFont(font)
        for widget in (self, self.view()):  # the list is a window of its own
            widget.setPalette(theme.palette())
        text_px = self.fontMetrics().horizontalAdvance(self.currentText())
        width = min(text_px + ROOM_EMS * font_px + ARROW_PX, where.width() / 2)
        left, top = round(where.left()), round(where.top())
        self.setGeometry(left, top, round(width), round(where.height()))

    @called_by_qt
    def showPopup(self) -> None:
        running = self.currentText()
        self.clear()
        for name, about in _models():
            self.addItem(name)
            self.setItemData(self.count() - 1, about, Qt.ToolTipRole)
        self.show_model(running)
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0))
        super().showPopup()

    @called_by_qt
    def _chosen(self, at: int) -> None:
        self.wanted.emit(self.itemText(at))


def _models() -> Iterator[tuple[str, str]]:
    """Yield name and description of each model; not of those that a classifier cannot run."""
    for name in zoo.names():
        try:
            card = zoo.read_card(zoo.find(name))
        except zoo.ModelError as error:  # who chooses it is told so
            yield name, str(error)
            continue
        if card.classes:
            yield name, f"{len(card.classes)} classes, windows of {card.window_samples} samples"
