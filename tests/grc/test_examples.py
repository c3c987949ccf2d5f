# SPDX-License-Identifier: GPL-3.0-or-later
"""The example flowgraphs that need no hardware, compiled by GNU Radio Companion and run.

Each runs in this process, with its window, and is used through the setters its widgets call.
`file_replay` is run, as a program of its own, in test_companion.py.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
import pmt
from gnuradio import blocks
from PyQt5 import sip
from PyQt5.QtWidgets import QApplication
from radio_example import Example, station

from gr_tsddae import Recognizer, nets, zoo
from gr_tsddae.data import open_dataset
from gr_tsddae.examples import recording
from gr_tsddae.synth.__main__ import main as synth
from gr_tsddae.train.teach import TeachConfig, teach

ROOT = Path(__file__).resolve().parents[2]
L = 128  # window of the shipped models
PATIENCE_S = 120.0  # of a busy machine
QUICKER = 4  # than real time: throttles of examples whose samples are made here


pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The examples keep their files in the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


class Listener(gr.basic_block):
    """Keeps messages as Python values."""

    def __init__(self):
        gr.basic_block.__init__(self, name="listener", in_sig=None, out_sig=None)
        self.heard: list[dict] = []
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.on_message)

    def on_message(self, message):
        self.heard.append(pmt.to_python(message))


@pytest.fixture
def example(platform, tmp_path, monkeypatch):
    """A compiled example's top block, its window made, not started."""
    tops = []

    def made(name: str, flowgraph_file: Path | None = None, **options: object):
        out = tmp_path / "made"
        out.mkdir()
        flowgraph, path = platform.load_and_generate_flow_graph(
            str(flowgraph_file or ROOT / "examples" / f"{name}.grc"), str(out)
        )
        assert flowgraph is not None, f"{name} is not valid"
        assert Path(path).is_file()
        monkeypatch.syspath_prepend(str(out))
        importlib.invalidate_caches()
        tops.append(getattr(importlib.import_module(name), name)(**options))
        return tops[-1]

    yield made
    for top in tops:
        unmake(top)


def unmake(top) -> None:
    """The end of a window and its blocks, here and now.

    Left alone, it comes when Python next looks for garbage, on any thread; Qt wants it on this one.
    Blocks go first: stock sinks close their widgets, which must still be there.
    """
    vars(top).clear()
    gc.collect()
    sip.delete(top)
    QApplication.processEvents()


@contextmanager
def running(top):
    top.start()
    top.show()
    try:
        yield
    finally:
        top.stop()
        top.wait()
        top.hide()
        QApplication.processEvents()


def listen(top, block: str, port: str) -> list[dict]:
    """Messages of a block's port, from when the flowgraph starts."""
    listener = Listener()
    top.listeners = [*getattr(top, "listeners", []), listener]
    top.msg_connect(getattr(top, block), port, listener, "in")
    return listener.heard


def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QApplication.processEvents()
        time.sleep(0.02)


def settled(decisions: list[dict], label: str) -> bool:
    """The last three decisions say so."""
    return [d["label"] for d in decisions[-3:]] == [label] * 3


def goes_on(decisions: list[dict], top) -> None:
    """For some seconds of samples: buffers hide for a while that a chosen source has dried up."""
    enough = decisions[-1]["first_sample"] + 4 * top.samp_rate
    until(lambda: decisions[-1]["first_sample"] > enough)


def test_loopback_names_what_is_chosen(example):
    top = example("loopback")
    top.blocks_throttle_0.set_sample_rate(QUICKER * top.samp_rate)
    decisions = listen(top, "tsddae_classifier_0", "decisions")
    with running(top):
        until(lambda: settled(decisions, "BPSK"))
        for chosen, label in ((1, "QPSK"), (2, "8PSK"), (4, "GFSK"), (5, "CPFSK"), (6, "WBFM"),
                              (7, "AM-DSB"), (3, "QAM16"), (8, "noise")):  # fmt: skip
            top.set_modulation(chosen)
            until(lambda label=label: settled(decisions, label))
            goes_on(decisions, top)
        top.set_modulation(0)
        top.set_gain_db(-40)  # the level does not matter ...
        until(lambda: settled(decisions, "BPSK"))
        goes_on(decisions, top)
        top.set_snr_db(-20)  # ... the SNR does
        until(lambda: settled(decisions, "noise"))


def test_lte_replay_names_lte(example):
    """A real recording of 1.92 MS/s, brought to the 10 MS/s that the model wants."""
    top = example("lte_replay")
    decisions = listen(top, "classifier", "decisions")
    with running(top):
        until(lambda: len(decisions) >= 12)
    labels = [d["label"] for d in decisions]
    assert labels.count("LTE") > len(labels) / 2, labels
    assert decisions[0]["model"] == "wtc-small"
    assert decisions[0]["sample_rate_hz"] == pytest.approx(10e6)


def test_every_chooser_is_tried():
    """With a new chooser, a selector or a switch, an example needs a test that it `goes_on`."""
    switched = {
        path.stem
        for path in (ROOT / "examples").glob("*.grc")
        if "id: blocks_selector" in path.read_text()
    }
    assert switched == {"loopback", "record_teach_reload"}


def test_rml_replay_counts_like_a_look_at_the_file(example, home):
    """The report's accuracy is what the network gives on the file's windows, in one go."""
    path = home / "stand-in.pkl"
    assert synth(["rml2016a", str(path), "--windows", "1"]) == 0
    top = example("rml_replay")
    accuracy = listen(top, "tsddae_accuracy_probe_0", "accuracy")
    with running(top):
        until(lambda: accuracy and accuracy[-1]["windows"] == 220)
        until(lambda: "220 windows" in top.accuracy_text)
    report = json.loads((home / "accuracy.json").read_text())
    assert report["windows"] == 220

    dataset = open_dataset("rml2016.10a", path)
    truth = [dataset.classes[n].replace("AM-SSB", "noise") for n in dataset.label]
    rows = dataset.store.read(np.arange(220))  # (220, 2, 128)
    windows = (rows[:, 0] + 1j * rows[:, 1]).astype(np.complex64)
    recognizer = Recognizer("amc-nano", device="cpu")
    probabilities = recognizer.window_probabilities(windows)
    allowed = [name for name in recognizer.classes if name != "AM-SSB"]
    columns = [recognizer.classes.index(name) for name in allowed]
    called = [allowed[n] for n in np.asarray(probabilities)[:, columns].argmax(1)]
    right = np.mean([a == b for a, b in zip(called, truth, strict=True)])
    # amplitudes are scaled by the source's gain, so a tie may fall differently
    assert report["accuracy"] == pytest.approx(right, abs=1.5 / 220)
    assert 0.3 < report["accuracy"] < 0.9


def test_record_teach_reload(example, home):
    top = example("record_teach_reload")
    top.blocks_throttle_0.set_sample_rate(QUICKER * top.samp_rate)
    decisions = listen(top, "tsddae_classifier_0", "decisions")
    with running(top):
        for chosen, name in enumerate(("doorbell", "sensor", "radar")):
            top.set_kind(chosen)
            top.set_record_as(name)
            seen = len(decisions)
            until(lambda seen=seen: len(decisions) > seen + 1)
            top.set_record(True)
            assert top.recording.startswith(str(home / "my_emitters" / name))
            path = Path(top.recording)
            until(lambda path=path: path.is_file() and path.stat().st_size > 150 * L * 8)
            top.set_record(False)
            assert top.recording == os.devnull
        assert {d["model"] for d in decisions} == {"amc-nano"}
        mine = home / "my-models" / "mine"
        teach(
            TeachConfig(
                captures=home / "my_emitters", base="amc-nano", out=mine, shots=60, epochs=2,
                device="cpu",
            )
        )  # fmt: skip
        assert zoo.read_card(mine).sample_rate_hz == top.samp_rate
        top.set_model("~/my-models/mine")
        for chosen, name in enumerate(("doorbell", "sensor", "radar")):
            top.set_kind(chosen)
            until(lambda name=name: settled(decisions, name))
            goes_on(decisions, top)
        assert decisions[-1]["model"] == "mine"


def test_survey_teach_records_what_is_named_by_mouse(example, home):
    top = example("survey_teach")
    widget = top.display.qwidget()
    log = widget.state.log.emissions
    centers_hz = {"doorbell": -70e3, "sensor": 5e3, "radar": 80e3}

    def on_air(name):
        near = [
            each for each in log.values()
            if not each.ended and abs(each.center_hz - centers_hz[name]) < 6e3
        ]  # fmt: skip
        return max(near, key=lambda each: each.bandwidth_hz, default=None)

    with running(top):
        for name in centers_hz:
            until(lambda name=name: on_air(name) is not None)
            widget.choose(on_air(name).id)
            widget.name.setText(name)
            widget.record_button.click()
            assert widget.recorded[widget.chosen.id] == name
        until(lambda: widget.state.waterfall.newest_s > 4)
    entries = json.loads((home / "my_band" / "band.sigmf-meta").read_text())["annotations"]
    named = {each["core:label"]: each for each in entries if "core:generator" not in each}
    assert set(named) == set(centers_hz)
    for name, center_hz in centers_hz.items():
        low_hz, high_hz = (named[name][f"core:freq_{edge}_edge"] for edge in ("lower", "upper"))
        assert low_hz < center_hz < high_hz


@pytest.mark.parametrize("name", ["survey_rtl_sdr", "survey_rtl_sdr_soapy", "survey_usrp"])
def test_a_survey_with_a_receiver_records_when_its_recorder_is_enabled(
    name, example, home, tmp_path
):
    """The recorder is there, disabled: nobody's disk fills unasked."""
    changed = Example(name, tmp_path)
    air = tmp_path / "air.cf32"
    station(1e6, 0.5, offset_hz=-200e3).tofile(air)
    changed.replace_radio(air)
    recorder = changed.block("recorder")
    assert recorder["states"]["state"] == "disabled"
    recorder["states"]["state"] = "enabled"
    changed.block("survey")["parameters"]["overflow"] = "block"  # the file can wait
    top = example(name, changed.write(), model="none", sample_rate_hz=1e6, frequency_hz=100e6)
    widget = top.display.qwidget()
    log = widget.state.log.emissions

    def wide():
        return next((each for each in log.values() if each.bandwidth_hz > 50e3), None)

    with running(top):
        until(lambda: wide() is not None and widget.record_button.isVisible())
        widget.choose(wide().id)
        widget.name.setText("station")
        widget.record_button.click()
        until(lambda: widget.state.waterfall.newest_s > 3)
    about = json.loads((home / "my_band" / "band.sigmf-meta").read_text())
    (named,) = (each for each in about["annotations"] if each.get("core:label") == "station")
    assert named["core:freq_lower_edge"] < 99.8e6 < named["core:freq_upper_edge"]
    assert about["captures"][0]["core:frequency"] == 100e6


@pytest.fixture
def denoiser_model(tmp_path, monkeypatch):
    """The shipped denoiser; where there is none, an untrained one under its name. Is it trained?"""
    if "denoise-mini" in zoo.names():
        return True
    card = zoo.Card(
        name="denoise-mini", task="denoising", network="tsnet-nano", classes=(), window_samples=L,
        scaling="unit_power", samples_per_symbol=8.0, weights_sha256="",
        licence="GPL-3.0-or-later",
    )  # fmt: skip
    zoo.save(tmp_path / "models" / "denoise-mini", card, nets.create("tsnet-nano").eval())
    monkeypatch.setenv(zoo.PATH_VARIABLE, str(tmp_path / "models"))
    return False


def test_denoise_takes_noise_away(example, denoiser_model):
    top = example("denoise")
    probe = {name: blocks.vector_sink_c() for name in ("sent", "received", "denoised")}
    for name, block in (("sent", top.blocks_throttle_0), ("received", top.channels_channel_model_0),
                        ("denoised", top.tsddae_denoiser_0)):  # fmt: skip
        top.connect(block, probe[name])
    with running(top):
        until(lambda: len(probe["denoised"].data()) > 300 * L)
    signal = {name: np.array(sink.data()) for name, sink in probe.items()}
    # the channel's interpolator begins some samples into its input
    sent, received = signal["sent"], signal["received"][:10_000]
    early = int(np.argmax([abs(np.vdot(sent[n : n + 10_000], received)) for n in range(16)]))
    count = min(len(sent) - early, len(signal["denoised"]))
    sent = sent[early : early + count]
    signal = {name: signal[name][:count] for name in ("received", "denoised")}
    found = signal["denoised"] != 0  # what was dropped is zeros
    assert found.mean() > 0.2
    noise = {name: np.mean(abs(iq - sent)[found] ** 2) for name, iq in signal.items()}
    assert noise["received"] == pytest.approx(10 ** (-top.snr_db / 10), rel=0.1)
    if denoiser_model:
        assert noise["denoised"] < 0.5 * noise["received"]


def test_anomaly_tells_the_intruder(example, denoiser_model):
    top = example("anomaly")
    events = listen(top, "tsddae_anomaly_detector_0", "anomalies")
    status = listen(top, "tsddae_anomaly_detector_0", "status")
    top.tsddae_anomaly_detector_0.set_learn_s(2)
    with running(top):
        until(lambda: status and status[-1]["state"] == "watching")
        quiet = len(events)
        top.set_intruder(True)
        assert abs(top.intruder_level.k()) == pytest.approx(10 ** (top.intruder_db / 20))
        if denoiser_model:
            until(lambda: sum(e["windows"] for e in events[quiet:]) > 50)
            assert events[-1]["score"] > events[-1]["threshold"]
    learned = [s for s in status if s["state"] == "watching"]
    assert learned[-1]["threshold"] > 0
    if denoiser_model:
        assert sum(e["windows"] for e in events[:quiet]) < 20


def test_survey_file_finds_both_radiosondes(example):
    pytest.importorskip("pyqtgraph", reason="pyqtgraph is not installed")
    top = example("survey_file")
    emissions = listen(top, "survey", "emissions")

    def measured(center_hz: float) -> bool:
        return any(
            abs(e["center_hz"] - center_hz) < 1e3
            and e["symbol_rate_hz"] == pytest.approx(2500, rel=1e-3)
            and "Graw DFM radiosonde" in e["candidates"]
            for e in emissions
        )

    with running(top):
        until(lambda: measured(-10.4e3))
        top.set_minimum_snr_db(60.0)
        top.set_model("none")
        until(lambda: any(e["model"] == "none" for e in emissions))
    assert {round(e["center_hz"], -4) for e in emissions} == {-10e3, 10e3}


def test_survey_file_takes_a_recording_of_ones_own(example, tmp_path):
    """By options; the shipped recording under another name, as if received at 403 MHz."""
    pytest.importorskip("pyqtgraph", reason="pyqtgraph is not installed")
    own = tmp_path / "own.cu8"
    own.write_bytes(Path(recording("fsk-radiosondes")).read_bytes())
    top = example(
        "survey_file", recording=str(own), frequency_hz=403e6, model="none", minimum_snr_db=8.0,
        confidence=0.9,
    )  # fmt: skip
    emissions = listen(top, "survey", "emissions")
    with running(top):
        until(lambda: any(abs(e["center_hz"] - (403e6 - 10.4e3)) < 1e3 for e in emissions))
    assert {e["model"] for e in emissions} == {"none"}
