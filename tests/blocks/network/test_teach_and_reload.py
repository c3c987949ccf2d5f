# SPDX-License-Identifier: GPL-3.0-or-later
"""See, record, teach, see: a running flowgraph takes the taught model, and loses nothing by it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from waiting import until

gr = pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
import pmt
from gnuradio import blocks

from gr_tsddae import zoo
from gr_tsddae.blocks import classifier

teaching = pytest.importorskip("gr_tsddae.train.teach")

L = 128
RATE_HZ = 100e3


class Collector(gr.basic_block):
    """Keeps decisions and status as Python values."""

    def __init__(self):
        gr.basic_block.__init__(self, name="collector", in_sig=None, out_sig=None)
        self.decisions: list[dict] = []
        self.status: list[dict] = []
        for port in ("decisions", "status"):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), getattr(self, f"on_{port}"))

    def on_decisions(self, message):
        self.decisions.append(pmt.to_python(message))

    def on_status(self, message):
        self.status.append(pmt.to_python(message))


def record(path, kind: str, windows: int, seed: int) -> None:
    """A remote control that sends on-off pulses, or a sensor that sends two tones."""
    random = np.random.default_rng(seed)
    count = windows * L
    bits = np.repeat(random.integers(0, 2, count // 16 + 1), 16)[:count]
    if kind == "remote":
        iq = bits * np.exp(2j * np.pi * 0.01 * np.arange(count))
    else:
        iq = np.exp(2j * np.pi * np.cumsum(0.15 * (2 * bits - 1)))
    noise = random.standard_normal((2, count)) * 0.05
    path.parent.mkdir(parents=True, exist_ok=True)
    (iq + noise[0] + 1j * noise[1]).astype(np.complex64).tofile(path)


def test_a_running_block_takes_the_taught_model(model_folder, tmp_path):
    for seed, kind in enumerate(("remote", "sensor")):
        record(tmp_path / "emitters" / kind / "monday.cf32", kind, 60, seed)
    record(tmp_path / "tuesday.cf32", "sensor", 200, seed=9)
    mine = tmp_path / "mine"

    def teach(out, **changes):
        teaching.teach(
            teaching.TeachConfig(
                captures=tmp_path / "emitters",
                base=str(model_folder),
                out=out,
                name=out.name,
                shots=30,
                epochs=0,
                device="cpu",
                **changes,
            )
        )

    flowgraph = gr.top_block()
    source = blocks.file_source(gr.sizeof_gr_complex, str(tmp_path / "tuesday.cf32"), True)
    throttle = blocks.throttle(gr.sizeof_gr_complex, RATE_HZ)
    block = classifier(
        model=str(model_folder), device="cpu", precision="float32", sample_rate_hz=RATE_HZ,
        batch_windows=16, overflow="block",
    )  # fmt: skip
    collector = Collector()
    flowgraph.connect(source, throttle, block)
    for port in ("decisions", "status"):
        flowgraph.msg_connect(block, port, collector, port)
    decisions, base = collector.decisions, zoo.read_card(model_folder)

    def load(folder):
        message = pmt.to_pmt({"model": str(folder)})
        block.worker.to_basic_block()._post(pmt.intern("control"), message)

    def errors():
        return collector.status[-1]["errors"] if collector.status else 0

    flowgraph.start()
    try:
        until(lambda: decisions)
        teach(mine)  # while the flowgraph runs
        load(mine)
        until(lambda: decisions[-1]["model"] == "mine")
        seen = len(decisions)
        until(lambda: len(decisions) > seen + 3)
        assert {d["label"] for d in decisions[seen:]} == {"sensor"}

        # Taught again while the block looks: new weights lie beside the old card for a moment. The
        # new name sorts elsewhere, so that these are other weights.
        shutil.move(tmp_path / "emitters" / "sensor", tmp_path / "emitters" / "beacon")
        teach(tmp_path / "next")
        shutil.copy(tmp_path / "next" / zoo.WEIGHTS_FILE, mine)
        load(mine)
        until(errors)
        assert "sha256" in collector.status[-1]["last_error"]
        seen = len(decisions)
        until(lambda: len(decisions) > seen + 1)
        assert decisions[-1]["model"] == "mine"
        shutil.copy(tmp_path / "next" / zoo.CARD_FILE, mine)
        load(mine)
        until(lambda: decisions[-1]["model"] == "next")
        seen = len(decisions)
        until(lambda: len(decisions) > seen + 3)
        assert {d["label"] for d in decisions[seen:]} == {"beacon"}
        assert errors() == 1
    finally:
        flowgraph.stop()
        flowgraph.wait()

    classes = {
        base.name: set(base.classes),
        "mine": {"remote", "sensor", "noise"},
        "next": {"remote", "beacon", "noise"},
    }
    assert list(dict.fromkeys(d["model"] for d in decisions)) == list(classes)
    assert all(set(d["probabilities"]) == classes[d["model"]] for d in decisions)
    # No sample was lost or decided on twice over either change.
    ends = [d["first_sample"] + d["sample_count"] for d in decisions]
    assert [d["first_sample"] for d in decisions[1:]] == ends[:-1]
    counters = block.counters()
    parts = ("classified", "gated", "dropped", "flushed", "pending")
    assert counters["samples_in"] == sum(counters[f"samples_{part}"] for part in parts)
    assert counters["samples_gated"] == counters["samples_pending"] == 0
    # What was decided after stop() had no one left to go to: less than an interval and a batch.
    undelivered = counters["windows_classified"] - sum(d["windows"] for d in decisions)
    assert 0 <= undelivered * L < 0.5 * RATE_HZ
