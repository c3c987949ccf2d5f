# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of models in the display: a click in it changes the model of a running classifier."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest
from waiting import ends

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
from gnuradio import blocks
from PyQt5 import sip
from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication

from gr_tsddae import zoo
from gr_tsddae.blocks import classifier, qt_display

RECORDING = Path(__file__).resolve().parents[3] / "examples" / "data" / "bpsk-kr01.sigmf-data"
RATE_HZ = 9600.0


pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def own_models(model_folder, tmp_path, monkeypatch) -> Path:
    """The folder for a user's own models, with `mine` in it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    model = zoo.load(model_folder)
    card = dataclasses.replace(model.card, name="mine")
    zoo.save(zoo.user_folder() / "mine", card, model.network)
    return zoo.user_folder()


@pytest.fixture
def display():
    made = qt_display(palette="dark")
    made.qwidget().resize(800, 480)
    made.qwidget().show()
    yield made
    sip.delete(made.qwidget())


def until(condition, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QTest.qWait(20)


class Flowgraph(gr.top_block):
    """A recording -> classifier -> display, which changes the classifier's model."""

    def __init__(self, display, model, repeat=True, connected=True):
        gr.top_block.__init__(self, "choose a model")
        self.source = blocks.file_source(gr.sizeof_gr_complex, str(RECORDING), repeat)
        self.throttle = blocks.throttle(gr.sizeof_gr_complex, RATE_HZ if repeat else 1e9)
        self.classifier = classifier(
            model=model, device="cpu", precision="float32", engine="eager", overflow="block",
            sample_rate_hz=RATE_HZ,
        )  # fmt: skip
        self.connect(self.source, self.throttle, self.classifier)
        for port in ("decisions", "status"):
            self.msg_connect(self.classifier, port, display, port)
        if connected:
            self.msg_connect(display, "control", self.classifier, "control")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.wait()


def choose(widget, name):
    """Open the list by a click, and take a name by the keyboard, as a user may."""
    box = widget.models
    QTest.mouseClick(box, Qt.LeftButton)
    assert box.view().isVisible()
    item = box.model().index(box.findText(name), 0)
    assert item.isValid(), f"{name} is not in the list"
    box.view().setCurrentIndex(item)
    QTest.keyClick(box.view(), Qt.Key_Return)
    assert not box.view().isVisible()


def names(widget):
    return [widget.models.itemText(row) for row in range(widget.models.count())]


def test_the_next_decisions_come_from_the_chosen_model(display, model_folder, own_models):
    widget = display.qwidget()
    with Flowgraph(display, str(model_folder)):
        until(lambda: widget.state.decision is not None)
        until(lambda: widget.models.isVisible() and widget.models.currentText() == "amc-untrained")
        choose(widget, "mine")
        assert set(zoo.names()) - set(names(widget)) == {
            name for name in zoo.names() if not zoo.read_card(zoo.find(name)).classes
        }  # those are no classifiers
        until(lambda: widget.state.decision["model"] == "mine")
        until(lambda: widget.models.currentText() == "mine")
        assert widget.state.asked_for == "" and widget.state.status["errors"] == 0
        # a model that was taught in the meantime is in the list
        os.rename(own_models / "mine", own_models / "newer")
        choose(widget, "newer")


def test_why_a_model_cannot_be_loaded_is_said_until_another_one_runs(
    display, model_folder, own_models
):
    (own_models / "broken").mkdir()
    (own_models / "broken" / zoo.CARD_FILE).write_text("name: broken")
    widget = display.qwidget()
    with Flowgraph(display, str(model_folder)):
        until(lambda: widget.state.decision is not None and widget.models.isVisible())
        choose(widget, "broken")
        until(lambda: "✖ model not changed" in widget.text())
        assert "format_version" in widget.text()
        until(lambda: widget.models.currentText() == "amc-untrained")
        assert widget.state.decision["model"] == "amc-untrained"
        choose(widget, "mine")
        until(lambda: widget.state.model == "mine" and widget.state.status["model"] == "mine")
        until(lambda: "✖" not in widget.text())
        assert widget.state.status["errors"] == 1


def test_a_model_is_chosen_by_mouse_alone(display, own_models):
    """Not at once: Qt ignores clicks in a list that opened less than a double click ago."""
    widget, wanted = display.qwidget(), []
    widget.model_wanted.connect(wanted.append)
    widget.settings.model_can_change = True
    until(widget.models.isVisible)
    QTest.mouseClick(widget.models, Qt.LeftButton)
    rows = widget.models.view()
    until(rows.isVisible)
    QTest.qWait(QApplication.doubleClickInterval() + 100)
    item = rows.model().index(widget.models.findText("mine"), 0)
    rows.scrollTo(item)
    place = rows.visualRect(item).center()
    QTest.mouseMove(rows.viewport(), place)
    QTest.mouseClick(rows.viewport(), Qt.LeftButton, pos=place)
    until(lambda: wanted == ["mine"], timeout_s=5)
    assert not rows.isVisible() and widget.state.asked_for == "mine"


def test_what_is_loading_is_said(display, model_folder, own_models):
    widget = display.qwidget()
    with Flowgraph(display, str(model_folder)) as flowgraph:
        until(lambda: widget.state.decision is not None and widget.models.isVisible())
        flowgraph.msg_disconnect(display, "control", flowgraph.classifier, "control")
        widget.models.wanted.emit("mine")
        until(lambda: widget.models.currentText() == "mine")
        until(lambda: widget.text().splitlines()[-1] == "loading mine …")


def test_without_a_classifier_that_hears_it_there_is_no_list(display, model_folder):
    widget = display.qwidget()
    with Flowgraph(display, str(model_folder), connected=False):
        until(lambda: widget.state.decision is not None)
        QTest.qWait(300)
        assert not widget.models.isVisible()


def test_a_classifier_that_listens_keeps_nothing_from_ending(display, model_folder):
    flowgraph = Flowgraph(display, str(model_folder), repeat=False)
    flowgraph.start()
    assert ends(flowgraph)
    samples = RECORDING.stat().st_size // 8
    until(lambda: display.qwidget().state.status.get("samples_in") == samples)
    assert display.qwidget().state.status["samples_pending"] == 0
