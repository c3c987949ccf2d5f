# SPDX-License-Identifier: GPL-3.0-or-later
"""The Survey Display in real windows: boxes lie over their signals, clicks say what was clicked."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
pytest.importorskip("qtpy", reason="qtpy is not installed")
pytest.importorskip("pyqtgraph", reason="pyqtgraph is not installed")
import pmt
from gnuradio import blocks
from PyQt5 import sip
from PyQt5.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from PyQt5.QtGui import QColor, QMouseEvent
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QMenu, QToolTip, QVBoxLayout, QWidget

from gr_tsddae.blocks import survey_display
from gr_tsddae.blocks.display.state import INBOX_MESSAGES

CENTER_HZ = 433.92e6
RATE_HZ = 2.4e6
T0_S = 1.79e9
BINS = 600  # 4 kHz each


pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def display():
    made = survey_display(palette="dark", history_s=60.0)
    made.qwidget().resize(1280, 720)
    made.qwidget().show()
    QApplication.setActiveWindow(made.qwidget())  # shortcuts work in the active window only
    yield made
    if not sip.isdeleted(made.qwidget()):
        sip.delete(made.qwidget())  # left to the garbage collector, on any thread


def emission(number=1, kind="updated", **changes):
    return {
        "kind": kind, "id": number, "start_s": 4.0, "stop_s": 8.0, "low_hz": 433.6e6,
        "high_hz": 433.8e6, "snr_db": 15.0, "label": "4-FSK", "confidence": 0.9,
        "probabilities": {"4-FSK": 0.9}, "symbol_rate_hz": 4800.0, "candidates": ["DMR"],
        "measured": {"tones": 4}, "time_s": T0_S + 4.0, "center_frequency_hz": CENTER_HZ,
        "model": "air",
    } | changes  # fmt: skip


def spectrum(start_s, *, signals=(), center_hz=CENTER_HZ):
    """A row of 50 ms: noise at -90 dB, and signals as (low, high) in Hz at -40 dB."""
    about = {
        "start_s": start_s, "stop_s": start_s + 0.05, "low_hz": center_hz - RATE_HZ / 2,
        "high_hz": center_hz + RATE_HZ / 2, "center_frequency_hz": center_hz,
        "time_s": T0_S + start_s, "sample_rate_hz": RATE_HZ,
    }  # fmt: skip
    middles_hz = about["low_hz"] + (np.arange(BINS) + 0.5) * RATE_HZ / BINS
    row = np.full(BINS, -90.0, np.float32)
    for low_hz, high_hz in signals:
        row[(middles_hz > low_hz) & (middles_hz < high_hz)] = -40.0
    return pmt.cons(pmt.to_pmt(about), pmt.init_f32vector(BINS, row.tolist()))


def post(block, port, value):
    """As another block would send it."""
    message = value if isinstance(value, pmt.pmt_base) else pmt.to_pmt(value)
    block.to_basic_block()._post(pmt.intern(port), message)


def until(condition, timeout_s=30.0):
    """Runs the GUI meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QTest.qWait(10)


class Running:
    """A flowgraph in which only the display is, for messages posted by hand."""

    def __init__(self, display):
        self.top = gr.top_block("test")
        self.display = display
        self.collectors = {port: blocks.message_debug() for port in ("tune", "record")}
        for port, collector in self.collectors.items():
            self.top.msg_connect(self.display, port, collector, "store")

    def said(self, port):
        collector = self.collectors[port]
        return [pmt.to_python(collector.get_message(n)) for n in range(collector.num_messages())]

    def __enter__(self):
        self.top.start()
        return self

    def __exit__(self, *_):
        self.top.stop()
        self.top.wait()


@pytest.fixture
def running(display):
    """Ten seconds with a signal of 200 kHz from 4 to 8 s, and its emission."""
    with Running(display) as made:
        for n in range(200):
            signals = [(433.6e6, 433.8e6)] if 80 <= n < 160 else []
            post(display, "spectrum", spectrum(n / 20, signals=signals))
        post(display, "emissions", emission(kind="ended"))
        widget = display.qwidget()
        until(lambda: widget.state.waterfall.newest_s > 9.99 and widget.plot.boxes)
        until(lambda: widget.plot.view.viewRange()[1][1] > 9.99)
        QTest.qWait(100)
        yield made


def place_of(plot, frequency_hz, time_s) -> QPoint:
    """Where on the plot's viewport a frequency at a moment is."""
    scene = plot.view.mapViewToScene(QPointF(frequency_hz, time_s))
    return plot.mapFromScene(scene)


def click(plot, frequency_hz, time_s, button=Qt.LeftButton):
    QTest.mouseClick(plot.viewport(), button, pos=place_of(plot, frequency_hz, time_s))
    QTest.qWait(50)


def test_the_box_lies_round_the_signal(display, running):
    """The picture is bright inside the box, and dark beside it and before it."""
    plot = display.qwidget().plot
    image = plot.grab().toImage()

    def lightness(frequency_hz, time_s):
        place = place_of(plot, frequency_hz, time_s)
        return QColor(image.pixel(place)).lightness()

    assert lightness(433.7e6, 6.0) > 150
    assert lightness(433.61e6, 4.2) > 150 and lightness(433.79e6, 7.8) > 100
    for frequency_hz, time_s in ((433.57e6, 6.0), (433.83e6, 6.0), (433.7e6, 3.7), (434.5e6, 8.5)):
        assert lightness(frequency_hz, time_s) < 60
    assert plot.state.utc_offset_s == T0_S
    (number, box), = plot.boxes  # fmt: skip
    corner = plot.view.mapSceneToView(plot.view.mapToScene(box.bottomLeft()))
    assert number == 1
    assert corner.x() == pytest.approx(433.6e6, abs=3e3)
    assert corner.y() == pytest.approx(4.0, abs=0.05)


def test_a_box_grows_while_its_emission_lasts(display):
    plot = display.qwidget().plot
    with Running(display):
        post(display, "spectrum", spectrum(4.0))
        post(display, "emissions", emission(kind="begun", start_s=3.0, stop_s=4.0))
        until(lambda: plot.boxes)
        heights = []
        for n in range(1, 21):
            post(display, "spectrum", spectrum(4.0 + n / 20))
            until(lambda n=n: plot.state.waterfall.newest_s > 4.04 + n / 20)
            QTest.qWait(60)
            heights.append(plot.boxes[0][1].height())
        assert heights[-1] > heights[0] and (np.diff(heights) >= -0.01).all()
        post(display, "emissions", emission(kind="ended", start_s=3.0, stop_s=4.2))
        until(lambda: plot.boxes[0][1].height() < heights[-1])


def test_a_click_on_a_box_tunes(display, running):
    widget = display.qwidget()
    click(widget.plot, 433.7e6, 6.0)
    until(lambda: running.said("tune"))
    (said,) = running.said("tune")
    assert said["offset_hz"] == pytest.approx(433.7e6 - CENTER_HZ)
    assert said["center_hz"] == pytest.approx(433.7e6)
    assert said["occupied_bandwidth_hz"] == pytest.approx(200e3)
    assert said["symbol_rate_hz"] == pytest.approx(4800.0)
    assert (said["id"], said["label"]) == (1, "4-FSK")
    assert widget.chosen.id == 1
    assert "433.7000 MHz" in widget.chosen_text.text()
    QTest.qWait(QApplication.doubleClickInterval())
    click(widget.plot, 434.5e6, 6.0)  # beside all boxes
    assert widget.chosen is None
    assert len(running.said("tune")) == 1


def test_a_double_click_beside_all_boxes_tunes_there(display, running):
    plot = display.qwidget().plot
    place = place_of(plot, 434.5e6, 6.0)
    QTest.mouseClick(plot.viewport(), Qt.LeftButton, pos=place)
    QTest.mouseDClick(plot.viewport(), Qt.LeftButton, pos=place)
    QTest.mouseRelease(plot.viewport(), Qt.LeftButton, pos=place)
    until(lambda: running.said("tune"))
    (said,) = running.said("tune")
    assert said["center_hz"] == pytest.approx(434.5e6, abs=3e3)
    assert said["offset_hz"] == pytest.approx(434.5e6 - CENTER_HZ, abs=3e3)
    assert "symbol_rate_hz" not in said


def test_record_this_needs_a_name_and_says_the_box(display, running):
    widget = display.qwidget()
    assert not widget.record_button.isEnabled()
    click(widget.plot, 433.7e6, 6.0)
    QTest.mouseClick(widget.record_button, Qt.LeftButton)
    assert running.said("record") == []
    QTest.keyClicks(widget.name, " garage + t ")  # its letters are no shortcuts
    QTest.mouseClick(widget.record_button, Qt.LeftButton)
    until(lambda: running.said("record"))
    (said,) = running.said("record")
    assert said["label"] == "garage + t"
    assert (said["start_s"], said["stop_s"]) == (4.0, 8.0)
    assert (said["low_hz"], said["high_hz"]) == (433.6e6, 433.8e6)
    assert said["offset_hz"] == pytest.approx(433.7e6 - CENTER_HZ)


def test_what_nobody_listens_to_is_not_offered(display):
    """Without a recorder nothing may say that something is recorded."""
    widget = display.qwidget()
    flowgraph = gr.top_block("test")
    tuned = blocks.message_debug()
    flowgraph.msg_connect(display, "tune", tuned, "store")
    flowgraph.start()
    post(display, "emissions", emission())
    until(lambda: widget.table.rows.rowCount() == 1 and widget.tune_button.isVisible())
    assert not widget.record_button.isVisible() and not widget.name.isVisible()
    widget.choose(1)
    widget.name.setText("garage")
    QTest.keyClick(widget.table, Qt.Key_R)
    assert widget.recorded == {} and "recorded" not in widget.chosen_text.text()
    assert "T: tune" in widget.chosen_text.toolTip() and "R:" not in widget.chosen_text.toolTip()
    widget._ask(1, QPoint(0, 0))
    (menu,) = widget.findChildren(QMenu)
    names = {action.text() for action in menu.actions()}
    menu.close()
    assert "Tune to it" in names and "Record this" not in names
    flowgraph.stop()
    flowgraph.wait()


def test_a_waterfall_shows_nothing_from_before_its_stream(display):
    plot = display.qwidget().plot
    with Running(display):
        post(display, "spectrum", spectrum(2.0))
        until(lambda: plot.view.viewRange()[1][1] > 2)
    assert plot.image.mapRectToView(plot.image.boundingRect()).top() == pytest.approx(0, abs=0.05)
    ticks_s = [at_s for _, each in plot.time_axis.tickValues(-8.0, 2.0, 300) for at_s in each]
    assert min(ticks_s) >= 0 and max(ticks_s) > 0


def test_rows_can_be_read_under_a_dark_style_sheet(display, application):
    """GNU Radio's sheet gives every widget of the window white letters on black."""
    table, window = display.qwidget().table, QWidget()
    QVBoxLayout(window).addWidget(display.qwidget())
    display.set_palette("auto")
    window.show()
    application.setStyleSheet("QWidget { color: white; background-color: black }")
    try:
        with Running(display):
            for number in (1, 2, 3):
                post(display, "emissions", emission(number))
            until(lambda: table.rows.rowCount() == 3)
            picture = table.viewport().grab().toImage()
            for row in range(3):
                place = table.visualRect(table.rows.index(row, 9)).bottomRight() - QPoint(4, 4)
                assert picture.pixelColor(place).lightness() < 80
    finally:
        application.setStyleSheet("")
        sip.delete(window)


def test_the_menu_of_a_box(display, running):
    widget = display.qwidget()
    click(widget.plot, 433.7e6, 6.0, Qt.RightButton)
    until(lambda: widget.findChildren(QMenu))
    (menu,) = widget.findChildren(QMenu)
    names = {action.text(): action for action in menu.actions()}
    names["Tune to it"].trigger()
    until(lambda: len(running.said("tune")) == 1)
    names["Copy its row"].trigger()
    menu.close()
    assert "433.7000 MHz" in QApplication.clipboard().text()


def test_the_pointer_shows_the_measurements(display, running):
    plot = display.qwidget().plot
    QTest.mouseMove(plot.viewport(), place_of(plot, 433.7e6, 6.0))
    until(QToolTip.isVisible)
    assert all(word in QToolTip.text() for word in ("4-FSK", "15.0 dB", "4.8 kBd", "DMR", "tones"))
    plot._hover(plot.view.mapViewToScene(QPointF(434.5e6, 6.0)))
    until(lambda: not QToolTip.isVisible())


def test_the_table_sorts_by_value_filters_and_copies(display, running):
    table = display.qwidget().table
    for number, snr_db, label in ((2, 9.0, "FM"), (3, 100.0, "OFDM"), (4, -1.0, "FM")):
        post(display, "emissions", emission(number, snr_db=snr_db, label=label, candidates=[]))
    until(lambda: table.rows.rowCount() == 4)

    def column(number):
        return [table.rows.index(row, number).data().strip() for row in range(4)]

    table.sortByColumn(5, Qt.AscendingOrder)
    assert column(5) == ["-1.0 dB", "9.0 dB", "15.0 dB", "100.0 dB"], "numbers, not texts"
    display.qwidget().filter.setText("fm")
    assert table.rows.rowCount() == 2
    table.selectAll()
    text = table.copy()
    assert QApplication.clipboard().text() == text
    lines = [line.split("\t") for line in text.splitlines()]
    assert lines[0][:3] == ["no.", "state", "label"]
    assert [line[0] for line in lines[1:]] == ["4", "2"]
    display.qwidget().filter.setText("dmr")
    assert table.rows.rowCount() == 1
    display.qwidget().filter.setText("")
    post(display, "emissions", emission(2, kind="ended", withdrawn=True))
    until(lambda: table.rows.rowCount() == 3)


def test_a_click_on_a_row_tunes_and_arrows_only_choose(display, running):
    widget = display.qwidget()
    post(display, "emissions", emission(2, low_hz=434.0e6, high_hz=434.1e6))
    until(lambda: widget.table.rows.rowCount() == 2)
    cell = widget.table.visualRect(widget.table.rows.index(0, 2)).center()
    QTest.mouseClick(widget.table.viewport(), Qt.LeftButton, pos=cell)
    until(lambda: running.said("tune"))
    assert running.said("tune")[0]["id"] == 2 == widget.chosen.id, "the newest is the first row"
    QTest.keyClick(widget.table, Qt.Key_Down)
    QTest.qWait(50)
    assert widget.chosen.id == 1
    assert len(running.said("tune")) == 1
    QTest.keyClick(widget.table, Qt.Key_T)
    until(lambda: len(running.said("tune")) == 2)


def test_who_looks_at_the_past_stays_there(display, running):
    widget = display.qwidget()
    plot = widget.plot
    place = place_of(plot, 434.5e6, 5.0)
    QTest.mousePress(plot.viewport(), Qt.LeftButton, pos=place)
    for step in range(1, 9):  # QTest's own moves hold no button
        to = QPointF(place - QPoint(0, 15 * step))
        event = QMouseEvent(QEvent.MouseMove, to, Qt.LeftButton, Qt.LeftButton, Qt.NoModifier)
        QApplication.sendEvent(plot.viewport(), event)
        QTest.qWait(20)
    QTest.mouseRelease(plot.viewport(), Qt.LeftButton, pos=place - QPoint(0, 120))
    assert not plot.follows and widget.live.text() == "Back to live"
    past = plot.view.viewRange()[1]
    for n in range(20):
        post(display, "spectrum", spectrum(10.0 + n / 20))
    until(lambda: plot.state.waterfall.newest_s > 10.99)
    QTest.qWait(100)
    assert plot.view.viewRange()[1] == past
    QTest.mouseClick(widget.live, Qt.LeftButton)
    until(lambda: plot.view.viewRange()[1][1] > 10.99)
    assert widget.live.isChecked()


def test_the_wheel_zooms_and_home_shows_the_whole_band(display, running):
    plot = display.qwidget().plot
    plot.view.scaleBy((0.1, 1.0))
    low_hz, high_hz = plot.view.viewRange()[0]
    assert high_hz - low_hz == pytest.approx(RATE_HZ / 10)
    QTest.keyClick(plot, Qt.Key_Home)
    assert plot.view.viewRange()[0] == pytest.approx(
        [CENTER_HZ - RATE_HZ / 2, CENTER_HZ + RATE_HZ / 2]
    )
    post(display, "spectrum", spectrum(10.0, center_hz=868e6))
    until(lambda: plot.view.viewRange()[0][0] == pytest.approx(868e6 - RATE_HZ / 2))


def test_a_storm_neither_blocks_the_gui_nor_fills_the_memory(display):
    widget, sent, beats = display.qwidget(), 5000, []
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(time.thread_time()))  # not that of other programs
    with Running(display):
        heart.start(10)

        def storm():
            for n in range(sent):
                post(display, "emissions", emission(n, start_s=n / 100, stop_s=n / 100 + 5))
                if n % 500 == 499:
                    time.sleep(0.1)

        sender = threading.Thread(target=storm)
        sender.start()
        until(lambda: not sender.is_alive() and display._inbox._put == sent, 60)
        until(lambda: not display._inbox._messages)
        QTest.qWait(200)
    heart.stop()
    assert max(np.diff(beats)) < 1.0
    assert display._inbox._messages.maxlen == INBOX_MESSAGES
    assert len(widget.state.log.emissions) <= 500
    assert widget.table.rows.rowCount() == len(widget.state.log.emissions)
    assert widget.state.malformed == 0


def test_malformed_messages_are_counted_and_the_next_good_one_is_shown(display):
    bad = [
        ("emissions", pmt.PMT_NIL), ("emissions", {}), ("emissions", emission(snr_db=math.nan)),
        ("spectrum", pmt.intern("x")), ("spectrum", pmt.cons(pmt.PMT_NIL, pmt.PMT_NIL)),
        ("spectrum", pmt.cons(pmt.from_long(3), pmt.init_f32vector(2, [1, 2]))),
        ("status", pmt.from_long(3)),
    ]  # fmt: skip
    widget = display.qwidget()
    with Running(display):
        for port, value in bad:
            post(display, port, value)
        until(lambda: widget.state.malformed == len(bad))
        post(display, "emissions", emission())
        until(lambda: widget.table.rows.rowCount() == 1)
        until(lambda: "unreadable" in widget.foot.text())


def test_settings_while_running_and_bad_ones(display):
    widget = display.qwidget()
    display.set_history_s(30)
    until(lambda: widget.state.waterfall.span_s == 30)
    display.set_palette("light")
    until(lambda: widget.grab().toImage().pixelColor(20, 20).lightness() > 200)
    for wrong in (-1, math.nan, "x", None):
        display.set_history_s(wrong)
        assert "history_s" in display._settings.complaint
        assert display._settings.history_s == 30
    for wrong in ({"history_s": 0}, {"update_rate_hz": 1000}, {"palette": ""}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            survey_display(**wrong)


def test_everything_can_be_read_at_its_least_size(display, running):
    widget = display.qwidget()
    assert widget.minimumWidth() <= 1280 and widget.minimumHeight() <= 700
    widget.resize(widget.minimumSize())
    QTest.qWait(50)
    for control in (widget.live, widget.whole, widget.tune_button, widget.record_button,
                    widget.copy_button):  # fmt: skip
        wanted = control.fontMetrics().horizontalAdvance(control.text())
        assert control.width() >= wanted, control.text()
    assert widget.plot.height() >= 200 and widget.table.height() >= 100


def test_without_a_qapplication_it_says_so_and_a_script_ends_cleanly():
    script = """
import sys
from gr_tsddae.blocks import survey_display
try:
    survey_display()
except RuntimeError as error:
    assert 'QApplication' in str(error) and 'QT GUI' in str(error), error
else:
    raise SystemExit('made without a QApplication')
from PyQt5.QtWidgets import QApplication
application = QApplication([])
display = survey_display()
display.qwidget().show()
application.processEvents()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def test_no_garbage_is_collected_while_it_paints(display, running, monkeypatch):
    """A window of an earlier flowgraph may be garbage, and Qt ends the process when it goes now."""
    from gr_tsddae.blocks.survey_view.plot import Boxes

    collections: list[bool] = []
    painting, painted = False, 0
    paint = Boxes.paint

    def paint_and_look(self, painter, *rest):
        nonlocal painting, painted
        painting, painted = True, painted + 1
        paint(self, painter, *rest)
        _ = [[] for _ in range(1000)]  # enough for a collection
        painting = False

    monkeypatch.setattr(Boxes, "paint", paint_and_look)
    thresholds = gc.get_threshold()
    gc.callbacks.append(look := lambda phase, info: collections.append(painting))
    try:
        gc.set_threshold(1)
        display.qwidget().grab()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(look)
    assert painted and collections and not any(collections)
    assert gc.isenabled()
