# SPDX-License-Identifier: GPL-3.0-or-later
"""The display in real windows: what is painted is what was decided, and nothing stops it."""

from __future__ import annotations

import gc
import itertools
import math
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
import pmt
from gnuradio import blocks
from PyQt5 import sip
from PyQt5.QtCore import QPoint, Qt, QTimer
from PyQt5.QtGui import QColor, QImage
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from gr_tsddae.blocks import classifier, qt_display
from gr_tsddae.blocks.display.paint import Painting
from gr_tsddae.blocks.display.state import INBOX_MESSAGES
from gr_tsddae.blocks.display.theme import DARK

RECORDING = Path(__file__).resolve().parents[3] / "examples" / "data" / "bpsk-kr01.sigmf-data"
RATE_HZ = 9600.0
CLASSES = ("QPSK", "BPSK", "8PSK", "noise")  # an order of its own: neither sorted nor reversed


pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def display():
    made = qt_display(palette="dark", history_s=10.0)
    made.qwidget().resize(800, 480)
    made.qwidget().show()
    yield made
    if not sip.isdeleted(made.qwidget()):
        sip.delete(made.qwidget())  # left to the garbage collector, on any thread


def decision(number=0, best="BPSK", confidence=0.7, count=960, **changes):
    rest = (1 - confidence) / (len(CLASSES) - 1)
    return {
        "model": "m", "label": best, "best": best, "confidence": confidence,
        "probabilities": {c: confidence if c == best else rest for c in CLASSES},
        "windows": 7, "first_sample": number * count, "sample_count": count,
        "time_s": None, "center_frequency_hz": None, "sample_rate_hz": RATE_HZ,
    } | changes  # fmt: skip


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
        self.collector = blocks.message_debug()
        self.top.msg_connect(self.display, "selected", self.collector, "store")

    def __enter__(self):
        self.top.start()
        return self

    def __exit__(self, *_):
        self.top.stop()
        self.top.wait()


def colour(image: QImage, x: float, y: float) -> np.ndarray:
    return np.array(QColor(image.pixel(int(x), int(y))).getRgb()[:3], int)


def painted_bar(image: QImage, cell) -> float:
    """The share of a cell that is filled from the left, before the track's colour begins."""
    y = int(cell.top()) + 1
    track = np.array(QColor(DARK.track).getRgb()[:3])
    xs = range(int(cell.left()) + 1, int(cell.right()))
    filled = next((n for n, x in enumerate(xs) if (colour(image, x, y) == track).all()), len(xs))
    return filled / len(xs)


def test_paints_what_the_classifier_decided(display):
    """A real recording; the same decisions are recorded beside the display."""
    top = gr.top_block("test")
    source = blocks.file_source(gr.sizeof_gr_complex, str(RECORDING))
    judge = classifier(
        model="amc-nano", overflow="block", device="cpu", precision="float32",
        sample_rate_hz=RATE_HZ, center_frequency_hz=436.5e6,
    )  # fmt: skip
    recorder = blocks.message_debug()
    top.connect(source, judge)
    for sink, ports in ((display, ("decisions", "decisions")), (recorder, ("decisions", "store"))):
        top.msg_connect(judge, ports[0], sink, ports[1])
    top.msg_connect(judge, "status", display, "status")
    widget = display.qwidget()
    top.start()
    ended = threading.Thread(target=top.wait)
    ended.start()
    until(lambda: not ended.is_alive(), 60)
    decisions = [pmt.to_python(recorder.get_message(n)) for n in range(recorder.num_messages())]
    until(lambda: widget.state.status.get("samples_pending") == 0)
    until(lambda: len(widget.state.history) >= len(decisions))
    assert len(decisions) > 50
    assert "BPSK" in {d["label"] for d in decisions} and "noise" in {d["label"] for d in decisions}
    assert len(widget.state.history) == len(decisions)
    assert widget.state.decision["label"] == decisions[-1]["label"]
    assert widget.state.history.classes == judge.classes  # in the model's order
    assert widget.state.malformed == 0
    image = widget.grab().toImage()
    layout = widget.layout_now()
    rows = widget.classes_in(layout.rows)
    assert rows == judge.classes
    for row, name in enumerate(rows):
        bar = painted_bar(image, layout.row(layout.bars, row))
        assert bar == pytest.approx(decisions[-1]["probabilities"][name], abs=0.02)
    # Columns: where a decision's middle lies in the last ten seconds, its colours must be.
    ramp = DARK.lut(known=True)
    end = decisions[-1]["first_sample"] + decisions[-1]["sample_count"]
    compared = 0
    for one in decisions:
        ago_s = (end - one["first_sample"] - one["sample_count"] / 2) / RATE_HZ
        x = layout.raster.right() - ago_s / 10.0 * layout.raster.width()
        if x < layout.raster.left() + 2:
            continue
        for row, name in enumerate(rows):
            step = int(one["probabilities"][name] * 255)
            near = ramp[max(0, step - 2) : step + 3, None] >> np.array([16, 8, 0]) & 255
            seen = colour(image, x, layout.row(layout.raster, row).center().y())
            assert (abs(near.astype(int) - seen).max(1) <= 3).any(), (one["first_sample"], name)
            compared += 1
    assert compared > 50 * len(rows)


def test_the_label_is_large_and_is_the_one_decided(display):
    widget = display.qwidget()

    def painted(label):
        with Running(display):
            before = display._inbox._put
            post(display, "decisions", decision(best=label))
            until(lambda: display._inbox._put > before and not display._inbox._messages)
            until(lambda: widget.state.decision["label"] == label)
            part = widget.grab(widget.layout_now().label.toRect()).toImage()
            return part.convertToFormat(QImage.Format_RGB32)

    one, other, again = painted("BPSK"), painted("QPSK"), painted("BPSK")
    assert one == again
    assert one != other
    ink = [
        y for y in range(one.height())
        if any(QColor(one.pixel(x, y)).lightness() > 200 for x in range(0, one.width(), 2))
    ]  # fmt: skip
    assert max(ink) - min(ink) > 0.18 * widget.height()


def test_no_letter_of_the_label_is_cut_off(display):
    """A "g" reaches lower than an "e", and still ends inside the label's place."""
    widget = display.qwidget()

    def lowest(label):
        names = (label, "noise")
        probabilities = dict.fromkeys(names, 0.5)
        value = decision(best=label, probabilities=probabilities)
        widget.state.read("decisions", partial(pmt.to_python, pmt.to_pmt(value)), time.monotonic())
        place = widget.layout_now().label.toRect()
        image = widget.grab().toImage()
        inked = [
            y for y in range(place.top(), place.bottom() + 1)
            if any(colour(image, x, y).min() > 120 for x in range(place.left(), place.right()))
        ]  # fmt: skip
        return max(inked), place

    widget.settings.running = True
    (level, _), (deep, place) = lowest("erase"), lowest("garage")
    assert deep - level > 0.08 * place.height()
    assert deep < place.bottom()


def test_a_window_opens_large_enough_and_a_chosen_size_stays():
    """As the windows of GNU Radio: a scroll area in a layout."""

    def opened(resized):
        made = qt_display()
        window, area = QWidget(), QScrollArea()
        content = QWidget()
        QVBoxLayout(content).addWidget(made.qwidget())
        area.setWidgetResizable(True)
        area.setWidget(content)
        QVBoxLayout(window).addWidget(area)
        if resized:
            window.resize(500, 400)
        window.show()
        QTest.qWait(50)
        size = made.qwidget().size(), window.size()
        sip.delete(window)
        return size

    widget, _ = opened(resized=False)
    assert widget.width() >= 780 and widget.height() >= 460
    _, window = opened(resized=True)
    assert (window.width(), window.height()) == (500, 400)


@pytest.mark.parametrize("size", [(480, 300), (640, 400), (800, 480), (1600, 900)])
@pytest.mark.parametrize("class_count", [1, 2, 24, 100])
def test_parts_stay_in_the_widget_and_apart_at_every_size(display, size, class_count):
    widget = display.qwidget()
    widget.resize(*size)
    names = [f"class {n}" for n in range(class_count)]
    probabilities = dict.fromkeys(names, 1 / class_count)
    value = decision(best=names[-1], probabilities=probabilities)
    widget.state.read("decisions", partial(pmt.to_python, pmt.to_pmt(value)), 0.0)
    layout = widget.layout_now()
    down = [layout.top, layout.label, layout.raster, layout.axis, layout.status, layout.note]
    for above, below in itertools.pairwise(down):
        assert above.bottom() <= below.top() + 0.01
    for part in (*down, layout.side, layout.names, layout.bars):
        assert 0 <= part.left() < part.right() <= size[0]
        assert 0 <= part.top() < part.bottom() <= size[1]
    shown = widget.classes_in(layout.rows)
    assert names[-1] in shown and len(shown) == min(class_count, layout.rows)
    assert layout.row_height >= 8 or layout.rows == 1
    widget.grab()
    assert widget.classes_in(layout.rows) == shown


def test_a_storm_neither_blocks_the_gui_nor_fills_the_memory(display):
    widget, sent = display.qwidget(), 20_000
    message = [pmt.to_pmt(decision(n, count=96)) for n in range(200)]
    beats = []
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(time.monotonic()))
    with Running(display):
        heart.start(10)

        def storm():
            for n in range(sent):
                post(display, "decisions", message[n % 200])
                if n % 1000 == 999:
                    time.sleep(0.1)  # 10 000 in a second

        sender = threading.Thread(target=storm)
        sender.start()
        until(lambda: not sender.is_alive() and display._inbox._put == sent, 60)
        until(lambda: not display._inbox._messages)
    heart.stop()
    assert len(beats) > 3
    assert max(np.diff(beats)) < 2.0
    inbox = display._inbox
    assert inbox._messages.maxlen == INBOX_MESSAGES
    assert inbox.skipped > 0  # said in the last line
    assert inbox.skipped + inbox._taken == sent
    assert widget.state.malformed == 0


def test_malformed_messages_are_counted_and_the_next_good_one_is_shown(display):
    good = decision()
    bad = [
        ("decisions", pmt.PMT_NIL), ("decisions", pmt.intern("BPSK")), ("decisions", {}),
        ("decisions", good | {"probabilities": {}}), ("decisions", good | {"best": "GSM"}),
        ("decisions", good | {"confidence": math.nan}), ("decisions", good | {"sample_count": 0}),
        ("decisions", good | {"first_sample": "x"}), ("decisions", good | {"sample_rate_hz": -1.0}),
        ("decisions", good | {"probabilities": {"BPSK": "much"}}),
        ("decisions", good | {"label": ""}),
        ("decisions", good | {"best": "", "probabilities": {"": 1.0}}),
        ("status", pmt.from_long(3)), ("status", {"rate_in_samples_per_s": "fast"}),
    ]  # fmt: skip
    widget = display.qwidget()
    with Running(display):
        for port, value in bad:
            post(display, port, value)
        until(lambda: widget.state.malformed == len(bad))
        assert widget.state.decision is None
        widget.grab()
        post(display, "decisions", good)
        until(lambda: widget.state.decision is not None)
        widget.grab()
    assert widget.state.malformed == len(bad)


def test_rows_follow_a_model_of_other_classes_through_every_size(display):
    widget = display.qwidget()

    def decide(names):
        value = decision(best=names[0], probabilities=dict.fromkeys(names, 1 / len(names)))
        widget.state.read("decisions", partial(pmt.to_python, pmt.to_pmt(value)), 0.0)

    decide(("BPSK", "QPSK", "8PSK", "GFSK", "CPFSK", "PAM4"))
    display.set_classes_shown(5)
    widget.grab()
    gone = widget.classes_in(5)[-1]
    display.set_classes_shown(0)
    widget.grab()
    decide([name for name in widget.state.history.classes if name != gone])
    widget.grab()
    display.set_classes_shown(4)
    widget.grab()
    shown = widget.classes_in(4)
    assert len(shown) == 4 and set(shown) <= set(widget.state.history.classes)


def test_a_mistake_of_the_display_is_logged_and_ends_nothing(display, monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("a mistake")

    escaped = []  # PyQt5 ends the process, unless there is a hook of one's own
    monkeypatch.setattr(sys, "excepthook", lambda *error: escaped.append(error))
    widget = display.qwidget()
    for owner, name in ((Painting, "paint"), (widget, "moment_at"), (display._inbox, "take")):
        with monkeypatch.context() as broken:
            broken.setattr(owner, name, fails)
            caplog.clear()
            for _ in range(3):
                widget.grab()
                QTest.mouseClick(widget, Qt.LeftButton)
                widget._timer.timeout.emit()
            (logged,) = [record for record in caplog.records if record.exc_info]
            assert "a mistake" in str(logged.exc_info[1])
    assert not escaped


def test_closing_and_deleting_the_window_while_it_runs(display):
    window = QWidget()
    QVBoxLayout(window).addWidget(display.qwidget())
    window.show()
    with Running(display):
        post(display, "decisions", decision())
        until(lambda: display.qwidget().state.decision is not None)
        window.close()
        QTest.qWait(50)
        sip.delete(window)
        assert sip.isdeleted(display.qwidget())
        for n in range(2 * INBOX_MESSAGES):
            post(display, "decisions", decision(n))
        display.set_title("nobody sees it")
        until(lambda: display._inbox._put == 2 * INBOX_MESSAGES + 1)
        assert len(display._inbox._messages) == INBOX_MESSAGES


def test_starts_again_and_says_when_it_is_stopped(display):
    widget = display.qwidget()
    for run in range(3):
        with Running(display):
            assert display._settings.running
            for n in range(5):  # the stream counts from 0 again
                post(display, "decisions", decision(n))
            until(lambda wanted=5 * (run + 1): len(widget.state.history) == wanted)
        assert not display._settings.running
        widget.grab()
        post(display, "decisions", decision(5))  # too late, and not for the next run
    assert len(widget.state.history) == 15
    assert widget.state.history.edge_s == pytest.approx(1.5)
    assert widget.state.malformed == 0


def test_the_end_of_one_sender_is_not_that_of_the_others(display):
    with Running(display):
        post(display, "system", pmt.cons(pmt.intern("done"), pmt.from_long(1)))
        QTest.qWait(600)
        post(display, "decisions", decision())
        until(lambda: display.qwidget().state.decision is not None, 10)


def test_a_click_selects_the_run_of_one_label(display):
    widget = display.qwidget()
    labels = ["noise"] * 20 + ["BPSK"] * 30 + ["QPSK"] * 10
    with Running(display) as running:
        for n, label in enumerate(labels):
            post(display, "decisions", decision(n, best=label, time_s=1.7e9 + n / 10))
        until(lambda: len(widget.state.history) == 60)
        raster = widget.layout_now().raster
        x = raster.right() - 2.0 / 10 * raster.width()  # 2 s ago, BPSK
        QTest.mouseClick(widget, Qt.LeftButton, pos=QPoint(int(x), int(raster.center().y())))
        until(lambda: running.collector.num_messages() == 1)
        # nothing is where nothing was decided
        before = QPoint(int(raster.left() + 3), int(raster.center().y()))
        QTest.mouseClick(widget, Qt.LeftButton, pos=before)
        assert widget.selection is None
        chosen = pmt.to_python(running.collector.get_message(0))
    assert chosen.pop("time_s") == pytest.approx(1.7e9 + 2.0)
    assert chosen == {"label": "BPSK", "first_sample": 20 * 960, "sample_count": 30 * 960}


def test_settings_while_running_and_bad_ones(display):
    display.set_history_s(30)
    display.set_classes_shown(2)
    display.set_title("north mast")
    widget = display.qwidget()
    widget.state.read("decisions", partial(pmt.to_python, pmt.to_pmt(decision(best="noise"))), 0.0)
    QTest.qWait(250)
    assert widget.state.history.span_s == 30
    assert len(widget.classes_in(widget.layout_now().rows)) == 2
    for bad in (-1, math.nan, "x", None):
        display.set_history_s(bad)
        assert "history_s" in display._settings.complaint
        assert display._settings.history_s == 30
    display.set_palette("pink")
    assert "pink" in display._settings.complaint
    for wrong in ({"history_s": 0}, {"update_rate_hz": 1000}, {"classes_shown": -1},
                  {"palette": ""}):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(wrong))):
            qt_display(**wrong)


def test_without_a_qapplication_it_says_so_and_a_script_ends_cleanly():
    script = """
import sys
from gr_tsddae.blocks import qt_display
try:
    qt_display()
except RuntimeError as error:
    assert 'QApplication' in str(error) and 'QT GUI' in str(error), error
else:
    raise SystemExit('made without a QApplication')
assert 'torch' not in sys.modules and 'PyQt5.QtGui' not in dir(sys.modules.get('gr_tsddae'))
from PyQt5.QtWidgets import QApplication
application = QApplication([])
display = qt_display()
display.qwidget().show()
application.processEvents()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_no_garbage_is_collected_while_it_paints(display, monkeypatch):
    """A window of an earlier flowgraph may be garbage, and Qt ends the process when it goes now."""
    collections: list[bool] = []
    painting, painted = False, 0
    paint = Painting.paint

    def paint_and_look(self, area):
        nonlocal painting, painted
        painting, painted = True, painted + 1
        paint(self, area)
        _ = [[] for _ in range(1000)]  # enough for a collection
        painting = False

    monkeypatch.setattr(Painting, "paint", paint_and_look)
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
