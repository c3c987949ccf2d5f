# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the Survey block share: a flowgraph that keeps its messages, and signals."""

from __future__ import annotations

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.blocks import survey
from gr_tsddae.blocks.listening.message_block import MessageBlock

PARTS = ("surveyed", "gated", "dropped", "flushed", "pending")


class Listener(MessageBlock):
    """Keeps the messages of a Survey block as Python values, also those of its end."""

    def __init__(self):
        super().__init__(
            "listener",
            hears={
                "emissions": self.on_emissions,
                "spectrum": self.on_spectrum,
                "status": self.on_status,
            },
        )
        self.emissions: list[dict] = []
        self.rows: list[tuple[dict, np.ndarray]] = []
        self.status: list[dict] = []

    def on_emissions(self, message):
        self.emissions.append(pmt.to_python(message))

    def on_spectrum(self, message):
        row = np.array(pmt.f32vector_elements(pmt.cdr(message)), np.float32)
        self.rows.append((pmt.to_python(pmt.car(message)), row))

    def on_status(self, message):
        self.status.append(pmt.to_python(message))


class SurveyFlowgraph(gr.top_block):
    """source -> [between] -> Survey -> listener."""

    def __init__(self, source, *, between=(), ports=("emissions", "spectrum", "status"), **options):
        gr.top_block.__init__(self, "test")
        self.source, self.between = source, between
        self.block = survey(**({"device": "cpu", "model": "none"} | options))
        self.listener = Listener()
        self.connect(source, *between, self.block)
        for port in ports:
            self.msg_connect(self.block, port, self.listener, port)

    @property
    def emissions(self) -> list[dict]:
        return self.listener.emissions

    def ended(self) -> list[dict]:
        """The emissions that ended and were not withdrawn."""
        return [e for e in self.emissions if e["kind"] == "ended" and not e["withdrawn"]]

    def counters(self) -> dict[str, int]:
        counters = self.block.counters()
        assert counters["samples_in"] == sum(counters[f"samples_{part}"] for part in PARTS)
        assert counters["windows_in"] == sum(
            counters[f"windows_{part}"] for part in PARTS if part != "flushed"
        )
        return counters

    def post(self, message):
        self.block.worker.to_basic_block()._post(pmt.intern("control"), pmt.to_pmt(message))


def check_lives(emissions: list[dict]) -> None:
    """Each id begins at most once and ends exactly once, and nothing comes after the end."""
    begun, over = set(), set()
    for emission in emissions:
        number, kind = emission["id"], emission["kind"]
        assert number not in over, f"{kind} after the end"
        if kind == "begun":
            assert number not in begun
            begun.add(number)
        elif kind == "updated":
            assert number in begun
        else:
            assert kind == "ended"
            over.add(number)
    assert begun <= over


def noise(samples: int, seed: int = 1, amplitude: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((2, samples)).astype(np.float32)
    return ((rows[0] + 1j * rows[1]) * amplitude).astype(np.complex64)


def tone(samples: int, hz: float, rate_hz: float, amplitude: float = 0.1) -> np.ndarray:
    turns = (hz / rate_hz) * np.arange(samples)
    return (amplitude * np.exp(2j * np.pi * turns)).astype(np.complex64)
