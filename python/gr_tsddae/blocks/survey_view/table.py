# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of emissions. Sorting and filtering are Qt's own.

All values lie in Qt's model, so Qt calls nothing of Python while it paints the table.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QItemSelectionModel, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import QKeySequence, QPaintEvent, QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QTableView

from gr_tsddae.blocks.display.guards import called_by_qt, without_garbage_collection
from gr_tsddae.blocks.survey_view.emissions import HeardEmission
from gr_tsddae.blocks.survey_view.words import (
    NOTHING,
    bandwidth,
    duration,
    label_text,
    megahertz,
    moment,
    rate,
    tooltip,
)

SORT_ROLE = Qt.UserRole + 1
ID_ROLE = Qt.UserRole + 2
GAP = "\u2002"  # before a text that follows a number
COLUMNS = (
    "no.", GAP + "state", "label", "centre", "bandwidth", "SNR", "symbol rate", "began", "lasted",
    GAP + "consistent with",
)  # fmt: skip
NUMBERS = (0, 3, 4, 5, 6, 7, 8)  # columns flush right
HINTED = 2  # the column with all measurements in its tooltip
ON_AIR, OVER = "on air", "over"
RIGHT = Qt.AlignRight | Qt.AlignVCenter
LEFT = Qt.AlignLeft | Qt.AlignVCenter


def cells(emission: HeardEmission) -> list[tuple[str, Any]]:
    """Text and sorting value of each column."""
    absolute = emission.band_center_hz is not None
    centre = megahertz(emission.center_hz, absolute) + (" MHz" if absolute else " kHz")
    candidates = ", ".join(emission.candidates) or NOTHING
    state = OVER if emission.ended else ON_AIR
    return [
        (str(emission.id), emission.id),
        (GAP + state, state),
        (label_text(emission), emission.label.lower()),
        (centre, emission.center_hz),
        (bandwidth(emission.bandwidth_hz), emission.bandwidth_hz),
        (f"{emission.snr_db:.1f} dB", emission.snr_db),
        (rate(emission.symbol_rate_hz), emission.symbol_rate_hz or 0.0),
        (moment(emission.start_s, emission.time_s), emission.start_s),
        (duration(emission.duration_s), emission.duration_s),
        (GAP + candidates, candidates.lower()),
    ]


def _new_items(number: int) -> list[QStandardItem]:
    items = []
    for column in range(len(COLUMNS)):
        item = QStandardItem()
        item.setData(number, ID_ROLE)
        item.setTextAlignment(RIGHT if column in NUMBERS else LEFT)
        items.append(item)
    return items


def _fill(items: list[QStandardItem], emission: HeardEmission) -> None:
    for item, (text, value) in zip(items, cells(emission), strict=True):
        if item.data(SORT_ROLE) != value:
            item.setData(value, SORT_ROLE)
        if item.text() != text:
            item.setText(text)
    items[HINTED].setToolTip(tooltip(emission))


class EmissionTable(QTableView):
    """A row per emission.

    Signals:
        chosen: a row became the current one (the emission's id).
        tuned: a row was clicked, or Enter was pressed on it (the emission's id).
    """

    chosen = Signal(int)
    tuned = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._model = QStandardItemModel(0, len(COLUMNS), self)
        self._model.setHorizontalHeaderLabels(list(COLUMNS))
        self._items: dict[int, list[QStandardItem]] = {}
        self._showing = False
        self.rows = QSortFilterProxyModel(self)
        self.rows.setSourceModel(self._model)
        self.rows.setSortRole(SORT_ROLE)
        self.rows.setFilterKeyColumn(-1)
        self.rows.setFilterCaseSensitivity(Qt.CaseInsensitive)
        self.rows.setDynamicSortFilter(True)
        self.setModel(self.rows)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.DescendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectRows)
        self.setSelectionMode(QAbstractItemView.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.NoEditTriggers)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        height = self.fontMetrics().height() + 6
        self.verticalHeader().setSectionResizeMode(QHeaderView.Fixed)
        self.verticalHeader().setDefaultSectionSize(height)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        for column in range(len(COLUMNS)):
            side = RIGHT if column in NUMBERS else LEFT
            self._model.setHeaderData(column, Qt.Horizontal, int(side), Qt.TextAlignmentRole)
        samples = ("0000", GAP + "on air", "pi/4-DQPSK 100%", "0000.0000 MHz", "000.0 kHz",
                   "00.0 dB", "000.00 kBd", "00:00:00", "0:00 min")  # fmt: skip
        for column, sample in enumerate(samples):
            widest = max((sample, COLUMNS[column] + "  ▾"), key=len)
            self.setColumnWidth(column, self.fontMetrics().horizontalAdvance(widest) + 20)
        header.setStretchLastSection(True)
        self.clicked.connect(lambda index: self.tuned.emit(self.id_of(index)))
        self.activated.connect(lambda index: self.tuned.emit(self.id_of(index)))
        self.selectionModel().currentRowChanged.connect(self._current)

    @without_garbage_collection
    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)

    @called_by_qt
    def show_news(
        self,
        emissions: dict[int, HeardEmission],
        changed: set[int],
        removed: set[int],
    ) -> None:
        """Bring the rows of some emissions up to date."""
        self.rows.setDynamicSortFilter(False)  # sort once, not at each cell
        for number in removed & set(self._items):
            self._model.removeRow(self._items.pop(number)[0].row())
        for number in sorted(changed):
            emission = emissions[number]
            items = self._items.get(number)
            if items is None:
                self._items[number] = items = _new_items(number)
                _fill(items, emission)
                self._model.appendRow(items)
            else:
                _fill(items, emission)
        self.rows.setDynamicSortFilter(True)

    def filter(self, text: str) -> None:
        """Show only rows that have a text somewhere."""
        self.rows.setFilterFixedString(text)

    def id_of(self, index: Any) -> int:
        return int(index.data(ID_ROLE) or 0)

    def choose(self, number: int | None) -> None:
        """Make the row of an emission the current one, and say nothing about it."""
        self._showing = True
        try:
            if number is None or number not in self._items:
                self.clearSelection()
                return
            index = self.rows.mapFromSource(self._items[number][0].index())
            if index.isValid():
                flags = QItemSelectionModel.ClearAndSelect | QItemSelectionModel.Rows
                self.selectionModel().setCurrentIndex(index, flags)
                self.scrollTo(index)
        finally:
            self._showing = False

    def copy(self) -> str:
        """Put the selected rows on the clipboard as tab-separated text; all where none is."""
        numbers = sorted(index.row() for index in self.selectionModel().selectedRows())
        rows = numbers or range(self.rows.rowCount())
        lines = [tuple(name.strip() for name in COLUMNS)]
        for row in rows:
            lines.append(
                tuple(
                    str(self.rows.index(row, column).data()).strip()
                    for column in range(len(COLUMNS))
                )
            )
        text = "\n".join("\t".join(line) for line in lines) + "\n"
        QApplication.clipboard().setText(text)
        return text

    def keyPressEvent(self, event: Any) -> None:
        if event.matches(QKeySequence.Copy):
            self.copy()
            event.accept()
            return
        super().keyPressEvent(event)

    @called_by_qt
    def _current(self, index: Any, *_: Any) -> None:
        if not self._showing and index.isValid():
            self.chosen.emit(self.id_of(index))
