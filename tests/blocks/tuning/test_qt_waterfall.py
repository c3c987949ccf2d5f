# SPDX-License-Identifier: GPL-3.0-or-later
"""The Qt Waterfall in a real window: signals lie where they are, and hands tune a Conditioner."""

from __future__ import annotations

import gc
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
from PyQt5.QtCore import QPointF, Qt
from PyQt5.QtGui import QImage
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QFileDialog, QToolTip

from gr_tsddae.blocks import conditioner, qt_display, waterfall

RATE_HZ = 200e3
CENTER_HZ = 433.92e6
TONE_HZ = 40e3


pytestmark = pytest.mark.usefixtures("application")


def until(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QTest.qWait(10)


class Tuned(gr.top_block):
    """A tone in noise, for ever -> waterfall, and -> the Conditioner that it tunes."""

    def __init__(self):
        gr.top_block.__init__(self, "tuned by hand")
        rng = np.random.default_rng(3)
        n = np.arange(round(RATE_HZ))  # one second: the tone fits into it
        noise = rng.normal(size=len(n)) + 1j * rng.normal(size=len(n))
        air = np.exp(2j * np.pi * TONE_HZ / RATE_HZ * n) + 0.03 * noise
        self.source = blocks.vector_source_c(air.astype(np.complex64).tolist(), True)
        self.throttle = blocks.throttle(gr.sizeof_gr_complex, RATE_HZ)
        self.shown = waterfall(
            sample_rate_hz=RATE_HZ, center_frequency_hz=CENTER_HZ, tuning=True, offset_hz=-20e3,
            symbol_rate_hz=2e3, highest_symbol_rate_hz=10e3,
        )  # fmt: skip
        self.conditioner = conditioner(
            sample_rate_hz=RATE_HZ, symbol_rate_hz=10e3, samples_per_symbol=8.0, retunable=True,
            center_frequency_hz=CENTER_HZ,
        )  # fmt: skip
        self.heard = blocks.message_debug()
        self.out = blocks.vector_sink_c()
        self.connect(self.source, self.throttle, self.shown)
        self.connect(self.throttle, self.conditioner, self.out)
        self.msg_connect(self.shown, "tune", self.conditioner, "control")
        self.msg_connect(self.shown, "tune", self.heard, "store")

    def told(self) -> list[dict]:
        return [pmt.to_python(self.heard.get_message(n)) for n in range(self.heard.num_messages())]

    def tags(self, key: str) -> list[float]:  # of the output
        return [pmt.to_python(t.value) for t in self.out.tags() if str(t.key) == key]


@pytest.fixture
def top():
    made = Tuned()
    widget = made.shown.qwidget()
    widget.resize(700, 500)
    widget.show()
    QApplication.setActiveWindow(widget)
    made.start()
    yield made
    made.stop()
    made.wait()
    vars(made).clear()
    gc.collect()
    if not sip.isdeleted(widget):
        sip.delete(widget)


def test_a_signal_lies_at_its_frequency_and_time_is_the_streams(top):
    drawn = top.shown.qwidget().state.waterfall
    until(lambda: drawn.newest_s > 1.0)
    levels, _ = drawn.image()
    row = levels[-5]
    at_hz = drawn.low_hz + (row.argmax() + 0.5) * (drawn.high_hz - drawn.low_hz) / len(row)
    assert at_hz == pytest.approx(CENTER_HZ + TONE_HZ, abs=RATE_HZ / len(row))
    assert (drawn.low_hz, drawn.high_hz) == (CENTER_HZ - RATE_HZ / 2, CENTER_HZ + RATE_HZ / 2)
    # A busy machine draws late, and then catches up; a wrong clock never does.
    until(lambda: abs(drawn.newest_s - top.throttle.nitems_written(0) / RATE_HZ) < 0.2)


def test_the_first_message_says_where_to_begin(top):
    until(top.told)
    assert top.told()[0] == pytest.approx(
        {"offset_hz": -20e3, "center_hz": 433.9e6, "symbol_rate_hz": 2e3, "bandwidth_hz": 0.0}
    )


def test_a_double_click_tunes_the_conditioner(top):
    widget = top.shown.qwidget()
    plot = widget.plot
    until(lambda: not widget.state.waterfall.empty and widget.center_hz == CENTER_HZ)
    until(lambda: plot.view.viewRange()[0][0] == CENTER_HZ - RATE_HZ / 2)
    (low_s, high_s) = plot.view.viewRange()[1]
    place = plot.view.mapViewToScene(QPointF(CENTER_HZ + TONE_HZ, (low_s + high_s) / 2))
    target = plot.mapFromScene(place)
    QTest.mouseClick(plot.viewport(), Qt.LeftButton, pos=target)
    QTest.mouseDClick(plot.viewport(), Qt.LeftButton, pos=target)
    QTest.mouseRelease(plot.viewport(), Qt.LeftButton, pos=target)
    until(lambda: widget.offset.value == pytest.approx(TONE_HZ, abs=1e3))
    until(lambda: top.told()[-1]["offset_hz"] == pytest.approx(TONE_HZ, abs=1e3))
    until(lambda: top.tags("rx_freq")[-1] == pytest.approx(CENTER_HZ + TONE_HZ, abs=1e3), 20)
    # the tone is now near 0 Hz, at 16 kS/s
    count = len(top.out.data())
    until(lambda: len(top.out.data()) > count + 9000)
    spectrum = np.abs(np.fft.fft(top.out.data()[-4000:]))
    at_hz = np.fft.fftfreq(4000, 1 / 16e3)[spectrum.argmax()]
    assert abs(at_hz) < 1e3
    low_hz, high_hz = widget.marker.getRegion()
    assert (low_hz + high_hz) / 2 == pytest.approx(top.told()[-1]["center_hz"])
    assert high_hz - low_hz == pytest.approx(2e3)


def test_keys_and_numbers_tune(top):
    widget = top.shown.qwidget()
    until(top.told)
    widget.setFocus()
    QTest.keyClick(widget, Qt.Key_Right)
    assert widget.offset.value == pytest.approx(-20e3 + 20)
    QTest.keyClick(widget, Qt.Key_Up)
    assert widget.symbol_rate.value == pytest.approx(2020)
    widget.symbol_rate.number.setValue(4)  # kBd
    widget.bandwidth.number.setValue(30)
    until(lambda: top.told()[-1]["bandwidth_hz"] == 30e3)
    assert top.told()[-1]["symbol_rate_hz"] == 4e3
    until(lambda: top.conditioner.output_rate_hz == 32e3)
    widget.symbol_rate.slider.setValue(1000)
    assert widget.symbol_rate.value == 10e3


def test_the_frequency_is_told_after_a_change_of_rate(top):
    """GNU Radio moves tags to wrong samples then."""
    widget = top.shown.qwidget()
    until(lambda: len(top.out.data()) > 10_000)
    widget.symbol_rate.set_value(1e3)
    until(lambda: top.conditioner.output_rate_hz == 8e3)
    widget.offset.set_value(30e3)
    until(lambda: top.tags("rx_freq")[-1:] == [CENTER_HZ + 30e3])


def test_sliders_follow_other_blocks(top):
    widget = top.shown.qwidget()
    until(lambda: widget.center_hz == CENTER_HZ)
    post = top.shown.sink.to_basic_block()._post
    post(pmt.intern("tuned"), pmt.to_pmt({"offset_hz": 15e3, "symbol_rate_hz": 5e3}))
    until(lambda: widget.offset.value == 15e3)
    assert widget.symbol_rate.value == 5e3
    post(pmt.intern("tuned"), pmt.cons(pmt.intern("freq"), pmt.from_double(CENTER_HZ - 7e3)))
    until(lambda: widget.offset.value == pytest.approx(-7e3))
    until(lambda: top.told()[-1]["offset_hz"] == pytest.approx(-7e3))  # and the Conditioner follows


def test_text_and_picture_can_be_kept(top, tmp_path, monkeypatch):
    widget = top.shown.qwidget()
    until(lambda: widget.center_hz == CENTER_HZ)
    keep = {action.text(): action for action in widget.actions()}
    keep["Copy text"].trigger()
    assert "signal: 433.9000 MHz" in QApplication.clipboard().text()
    wanted = str(tmp_path / "seen")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (wanted, ""))
    keep["Save picture…"].trigger()
    assert QImage(f"{wanted}.png").width() >= widget.width()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sample_rate_hz": 0}, "sample_rate_hz is 0"),
        ({"offset_hz": 2e6}, "offset_hz is 2e"),
        ({"symbol_rate_hz": 30e3, "highest_symbol_rate_hz": 20e3}, "symbol_rate_hz is 30000"),
        ({"symbol_rate_hz": 0}, "symbol_rate_hz is 0: it must be above 0"),
        ({"symbol_rate_hz": "fast"}, "symbol_rate_hz is 'fast': give a number"),
        ({"palette": "pink"}, "palette is 'pink'"),
    ],
)
def test_bad_values_are_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        waterfall(**{"tuning": True, **wrong})


def test_the_history_says_what_was_decided_when():
    shown = qt_display(history_s=10.0)
    widget = shown.qwidget()
    widget.resize(800, 480)
    for number, (best, confidence) in enumerate([("BPSK", 0.9), ("BPSK", 0.7), ("noise", 0.8)]):
        other = "noise" if best == "BPSK" else "BPSK"
        decision = {
            "model": "m", "label": best, "best": best, "confidence": confidence,
            "probabilities": {best: confidence, other: 1 - confidence}
            if best == "noise" else {other: 1 - confidence, best: confidence},
            "windows": 7, "first_sample": number * 9600, "sample_count": 9600,
            "time_s": 1.79e9 + number, "center_frequency_hz": None, "sample_rate_hz": 9600.0,
        }  # fmt: skip
        widget.state.read("decisions", lambda decision=decision: decision, 0.0)
    raster = widget.layout_now().raster
    place = QPointF(raster.right() - 0.2 * raster.width(), raster.center().y())
    widget.show()
    QTest.mouseMove(widget, place.toPoint())
    until(lambda: "BPSK" in QToolTip.text())
    assert QToolTip.text().splitlines() == [
        "BPSK, mean confidence 80%", "14:13:20 to 14:13:22 UTC, for 2.00 s", "samples 0 to 19,199",
    ]  # fmt: skip
    assert widget.text().startswith("noise\t80.0%\n")
    sip.delete(widget)
