# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the blocks with a stream out share: small models, sources, flowgraphs."""

from __future__ import annotations

import time

import numpy as np
import pmt
from gnuradio import blocks, gr
from waiting import ends

from gr_tsddae import nets, zoo

L = 128
OPTIONS = {"width": 16, "heads": 1, "feedforward": 16, "layers": 1}
OPTIONS |= {"stride_samples": 4, "kernel_samples": 8, "squeeze": 4}


def save_model(folder, fill, *, task=zoo.DENOISING, classes=(), name="tiny", options=OPTIONS):
    """An untrained model for a task; `fill` gives the weights."""
    if task == zoo.DENOISING:
        network = nets.create_denoiser("tsnet-nano", **options)
    else:
        network = nets.create("tsnet-nano", class_count=len(classes), **options)
    card = zoo.Card(
        name=name, task=task, network="tsnet-nano", network_options=options, classes=classes,
        window_samples=L, scaling="unit_power", samples_per_symbol=8.0, weights_sha256="",
        licence="GPL-3.0-or-later",
    )  # fmt: skip
    zoo.save(folder, card, fill(network))
    return folder


class Collector(gr.basic_block):
    """Keeps messages as Python values."""

    def __init__(self):
        gr.basic_block.__init__(self, name="collector", in_sig=None, out_sig=None)
        self.status, self.anomalies = [], []
        for port in ("status", "anomalies"):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), getattr(self, f"on_{port}"))

    def on_status(self, message):
        self.status.append(pmt.to_python(message))

    def on_anomalies(self, message):
        self.anomalies.append(pmt.to_python(message))


class Flowgraph(gr.top_block):
    """source -> block -> [between] -> sink, and the block's messages -> collector."""

    def __init__(self, source, block, sink, *, ports=("status",), between=()):
        gr.top_block.__init__(self, "test")
        self.source, self.block, self.sink, self.between = source, block, sink, between
        self.collector = Collector()
        self.connect(source, block, *between, sink)
        for port in ports:
            self.msg_connect(block, port, self.collector, port)

    @property
    def status(self):
        return self.collector.status

    def counters(self):
        counters = self.block.counters()
        parts = ("classified", "gated", "dropped", "flushed", "pending")
        assert counters["samples_in"] == sum(counters[f"samples_{part}"] for part in parts)
        return counters

    def post(self, message):
        self.block.worker.to_basic_block()._post(pmt.intern("control"), pmt.to_pmt(message))


class SlowSink(gr.sync_block):
    """Takes a few items at a time, and its time."""

    def __init__(self, dtype, pause_s):
        gr.sync_block.__init__(self, "slow sink", [dtype], None)
        self.pause_s, self.items = pause_s, []

    def work(self, input_items, output_items):
        time.sleep(self.pause_s)
        self.items.append(input_items[0].copy())
        return len(input_items[0])


def noise(count, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=count) + 1j * rng.normal(size=count)).astype(np.complex64)


def vector_source(iq, repeat=False, tags=()):
    return blocks.vector_source_c(iq.tolist(), repeat, 1, list(tags))


def tag(offset, key, value):
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def ended(flowgraph) -> bool:
    """Run a flowgraph that must end by itself, and tell whether it did."""
    flowgraph.start()
    return ends(flowgraph)
