# SPDX-License-Identifier: GPL-3.0-or-later
"""The Survey Display as a Qt widget: reads its inbox by a timer; only the GUI's thread touches it.

Above the waterfall, below the table of the same emissions, between them what can be done with the
chosen one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QPoint, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from gr_tsddae.blocks.display import live_widget
from gr_tsddae.blocks.display.guards import called_by_qt
from gr_tsddae.blocks.display.keeping import ask_and_save
from gr_tsddae.blocks.display.state import Inbox
from gr_tsddae.blocks.survey_view.emissions import HeardEmission
from gr_tsddae.blocks.survey_view.live_waterfall import LiveWaterfall
from gr_tsddae.blocks.survey_view.table import EmissionTable
from gr_tsddae.blocks.survey_view.theme import SurveyTheme
from gr_tsddae.blocks.survey_view.words import bandwidth, frequency, label_text, rate

LISTING_S = 0.2  # between updates of the table: faster, nobody can read it
MINIMUM_SIZE = QSize(880, 560)
KEYS = (
    "Space: follow or stay  ·  Home: whole band  ·  + −: zoom  ·  {}"
    "Esc: choose none  ·  Ctrl+F: filter  ·  Ctrl+C: copy  ·  Ctrl+S: save"
)


@dataclass(kw_only=True)
class Settings(live_widget.Settings):
    """The choices of all displays, and which of "tune" and "record" a block listens to."""

    heard: frozenset[str] = frozenset()


class SurveyWidget(LiveWaterfall):
    """Waterfall with boxes, table of emissions, and what can be done with one of them.

    What nobody listens to is not offered.

    Signals:
        tune: an emission was clicked, or a frequency double-clicked: see `tune_message`.
        record: an emission is to be recorded: see `record_message`.
    """

    tune = Signal(dict)
    record = Signal(dict)

    def __init__(self, settings: Settings, inbox: Inbox):
        super().__init__(settings, inbox)
        self.recorded: dict[int, str] = {}  # what the user calls emissions, by id
        self._listed_at_s = time.monotonic()
        self.table = EmissionTable()
        self._make_controls()
        self._lay_out()
        self.setMinimumSize(MINIMUM_SIZE)
        self._paint_in(self.theme)
        self._connect()
        self._show_offers()

    def sizeHint(self) -> QSize:
        return QSize(1240, 660)

    # --- building -------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        self.live = QPushButton()
        self.live.setCheckable(True)
        self.live.setToolTip("Follow the newest spectra, or stay (Space)")
        self._show_following(True)
        self.whole = QPushButton("Whole band")
        self.whole.setToolTip("Show the whole band again (Home)")
        self.chosen_text = QLabel()
        self.chosen_text.setTextFormat(Qt.PlainText)
        self.tune_button = QPushButton("Tune")
        self.tune_button.setToolTip("Tune the Conditioner to the chosen emission (T)")
        self.name = QLineEdit()
        self.name.setPlaceholderText("name to teach")
        self.name.setToolTip("What the emission shall be called")
        self.name.setMaximumWidth(180)
        self.record_button = QPushButton("Record this")
        self.record_button.setToolTip("Record the chosen emission under this name (R)")
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter rows (Ctrl+F)")
        self.filter.setToolTip("Show only the rows that contain this text")
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(260)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the selected rows, or all, for a spreadsheet (Ctrl+C)")
        self.foot = QLabel()
        self.foot.setTextFormat(Qt.PlainText)
        for label in (self.chosen_text, self.foot):  # a long text must not widen the window
            label.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Preferred)

    def _lay_out(self) -> None:
        actions = QHBoxLayout()
        actions.setContentsMargins(6, 2, 6, 2)
        for control in (self.live, self.whole):
            actions.addWidget(control)
        actions.addSpacing(10)
        actions.addWidget(self.chosen_text, 1)
        for control in (self.tune_button, self.name, self.record_button):
            actions.addWidget(control)
        actions.addSpacing(10)
        for control in (self.filter, self.copy_button):
            actions.addWidget(control)
        below = QWidget()
        lower = QVBoxLayout(below)
        lower.setContentsMargins(0, 0, 0, 0)
        lower.setSpacing(2)
        lower.addLayout(actions)
        lower.addWidget(self.table, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(6, 0, 6, 2)
        foot.addWidget(self.foot)
        lower.addLayout(foot)
        self.splitter = QSplitter(Qt.Vertical)
        self.splitter.addWidget(self.plot)
        self.splitter.addWidget(below)
        self.splitter.setStretchFactor(0, 5)
        self.splitter.setStretchFactor(1, 3)
        self.splitter.setSizes([400, 260])
        self.splitter.setChildrenCollapsible(False)
        self.plot.setMinimumHeight(220)
        self.table.setMinimumHeight(120)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.splitter)

    def _connect(self) -> None:
        self.plot.chosen.connect(self._clicked)
        self.plot.asked.connect(self._ask)
        self.plot.pointed.connect(self._point)
        self.plot.followed.connect(self._show_following)
        self.table.chosen.connect(self.choose)
        self.table.tuned.connect(self._clicked)
        self.live.clicked.connect(self.plot.follow)
        self.whole.clicked.connect(self.plot.show_all)
        self.tune_button.clicked.connect(self.tune_to_chosen)
        self.record_button.clicked.connect(self.record_chosen)
        self.name.returnPressed.connect(self.record_chosen)
        self.filter.textChanged.connect(self.table.filter)
        self.copy_button.clicked.connect(self.table.copy)
        self._offer_keys({
            "Space": self.live.click,
            "T": self.tune_to_chosen,
            "R": self.record_chosen,
            "Ctrl+F": self.filter.setFocus,
            "Ctrl+S": lambda: ask_and_save(self),
            "Esc": lambda: self.choose(0),
        })  # fmt: skip

    def _paint_in(self, theme: SurveyTheme) -> None:
        super()._paint_in(theme)
        # Under a style sheet, such as GNU Radio's dark one, a table takes no palette.
        self.table.setStyleSheet(
            f"QTableView {{ color: {theme.base.text}; background-color: {theme.base.background}; "
            f"alternate-background-color: {theme.base.track} }}"
        )

    # --- called by Qt ---------------------------------------------------------------------------

    def _take_settings(self) -> None:
        super()._take_settings()
        if self.settings.heard != self._offered:
            self._show_offers()

    def _show(self, has_news: bool, now_s: float) -> None:
        if now_s - self._listed_at_s >= LISTING_S:
            self._listed_at_s = now_s
            self._list()
        super()._show(has_news, now_s)
        text, warns = self.state.foot(self.inbox.skipped)
        if self.settings.complaint:
            text, warns = f"✖ {self.settings.complaint}", True
        if text != self.foot.text():
            self.foot.setText(text)
            self.foot.setToolTip(text)
        colour = self.theme.base.warning if warns else self.theme.base.muted
        self.foot.setStyleSheet(f"color: {colour}")

    def _list(self) -> None:
        """Bring the table up to date."""
        changed, removed = self.state.log.news()
        for number in removed:
            self.recorded.pop(number, None)
        if changed or removed:
            self.table.show_news(self.state.log.emissions, changed, removed)
            if self.plot.chosen_id in changed | removed:
                self._show_chosen()

    # --- the chosen emission --------------------------------------------------------------------

    @property
    def chosen(self) -> HeardEmission | None:
        """The emission that buttons are about."""
        return self.state.log.emissions.get(self.plot.chosen_id or 0)

    def choose(self, number: int) -> None:
        """Choose an emission by its number; 0 for none."""
        self.plot.chosen_id = number or None
        self.table.choose(number or None)
        self._show_chosen()
        self.plot.advance(0.0, True)

    @called_by_qt
    def _clicked(self, number: int) -> None:
        self.choose(number)
        if number:
            self.tune_to_chosen()

    @called_by_qt
    def _point(self, frequency_hz: float) -> None:
        center_hz = self.state.band_center_hz
        self.tune.emit({"offset_hz": frequency_hz - (center_hz or 0.0), "center_hz": frequency_hz})

    @called_by_qt
    def _ask(self, number: int, where: QPoint) -> None:
        self.choose(number)
        menu = QMenu(self)
        if "tune" in self._offered:
            menu.addAction("Tune to it", self.tune_to_chosen)
        if "record" in self._offered:
            menu.addAction("Record this", self.record_chosen)
        menu.addAction("Copy its row", self.table.copy)
        menu.addAction("Save picture… (Ctrl+S)", lambda: ask_and_save(self))
        menu.setAttribute(Qt.WA_DeleteOnClose)
        menu.popup(where)

    @called_by_qt
    def tune_to_chosen(self, *_: Any) -> None:
        """Tell listeners of `tune` where the chosen emission is."""
        if self.chosen is not None:
            self.tune.emit(tune_message(self.chosen))

    @called_by_qt
    def record_chosen(self, *_: Any) -> None:
        """Tell listeners of `record` to record the chosen emission; it needs a name first."""
        if self.chosen is None or "record" not in self._offered:
            return
        name = self.name.text().strip()
        if not name:
            self.name.setFocus()
            return
        self.record.emit(record_message(self.chosen, name))
        self.recorded[self.chosen.id] = name
        self._show_chosen()
        self.table.setFocus()

    def _show_following(self, follows: bool) -> None:
        self.live.setChecked(follows)
        self.live.setText("● Live" if follows else "Back to live")

    def _show_offers(self) -> None:
        """Offer what a block listens to, and nothing else."""
        self._offered = self.settings.heard
        self.tune_button.setVisible("tune" in self._offered)
        for control in (self.name, self.record_button):
            control.setVisible("record" in self._offered)
        self._show_chosen()

    def _show_chosen(self) -> None:
        emission = self.chosen
        for control in (self.tune_button, self.record_button, self.name):
            control.setEnabled(emission is not None)
        if emission is None:
            gives = "to tune to it" if "tune" in self._offered else "for its measurements"
            text = f"click a box or a row {gives}; keys: point here"
        else:
            pieces = [
                f"{emission.id}: {label_text(emission)}",
                frequency(emission.center_hz, emission.band_center_hz is not None),
                bandwidth(emission.bandwidth_hz),
            ]
            if emission.symbol_rate_hz is not None:
                pieces.append(rate(emission.symbol_rate_hz))
            if emission.id in self.recorded:
                pieces.insert(0, f"● recorded as {self.recorded[emission.id]}")
            text = "  ·  ".join(pieces)
        self.chosen_text.setText(text)
        offers = {"tune": "T: tune  ·  ", "record": "R: record  ·  "}
        keys = KEYS.format("".join(offers[port] for port in offers if port in self._offered))
        self.chosen_text.setToolTip(f"{text}\n{keys}")


def tune_message(emission: HeardEmission) -> dict[str, Any]:
    """What the Conditioner needs to know of an emission."""
    message: dict[str, Any] = {
        "id": emission.id,
        "label": emission.label,
        "offset_hz": emission.offset_hz,
        "center_hz": emission.center_hz,
        "occupied_bandwidth_hz": emission.bandwidth_hz,
    }
    if emission.symbol_rate_hz is not None:
        message["symbol_rate_hz"] = emission.symbol_rate_hz
    return message


def record_message(emission: HeardEmission, name: str) -> dict[str, Any]:
    """What a recorder needs to know of an emission, and the name that the user gave it."""
    return tune_message(emission) | {
        "kind": "ended" if emission.ended else "updated",
        "label": name,
        "low_hz": emission.low_hz,
        "high_hz": emission.high_hz,
        "snr_db": emission.snr_db,
        "start_s": emission.start_s,
        "stop_s": emission.stop_s,
        "first_sample": emission.first_sample,
        "sample_count": emission.sample_count,
        "center_frequency_hz": emission.band_center_hz,
    }
