# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a worker: rates, latencies, errors, and a warning, without GNU Radio."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from gr_tsddae import zoo
from gr_tsddae.blocks.network import status as status_module
from gr_tsddae.blocks.network.status import LATENCIES_KEPT, WorkerStatus


class Batcher:
    policy = "drop_oldest"
    samples_in = samples_classified = 0

    def counters(self):
        return {"samples_in": self.samples_in, "samples_classified": self.samples_classified}


@pytest.fixture(autouse=True)
def frequent_status():
    """Not here, where one test is about how often a status is told."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until a test moves it."""
    made = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr(status_module.time, "monotonic", lambda: made.now_s)
    return made


@pytest.fixture
def network(model_folder):
    return SimpleNamespace(
        card=zoo.read_card(model_folder), device="cpu", precision="float32", device_failures=1
    )


def message(status, network, *, sample_rate_hz=None, symbol_rate_hz=None):
    return status.message(
        network, sample_rate_hz=sample_rate_hz, symbol_rate_hz=symbol_rate_hz, more={"state": "x"}
    )


def test_rates_are_of_the_time_since_the_last_message(clock, network):
    batcher = Batcher()
    status = WorkerStatus(batcher)
    for samples_in, classified in ((1000, 500), (1000, 1000), (4000, 1000)):
        clock.now_s += 2
        before = batcher.samples_in, batcher.samples_classified
        batcher.samples_in, batcher.samples_classified = samples_in, classified
        said = message(status, network)
        assert said["rate_in_samples_per_s"] == (samples_in - before[0]) / 2
        assert said["rate_classified_samples_per_s"] == (classified - before[1]) / 2
        assert said["samples_in"] == samples_in and said["state"] == "x"


def test_a_message_is_due_every_second_and_when_it_is_wanted(clock, network):
    status = WorkerStatus(Batcher())
    assert not status.due()
    clock.now_s += 1
    assert status.due()
    message(status, network)
    assert not status.due()
    status.wanted.set()
    assert status.due()
    message(status, network)
    assert not status.due()


def test_latencies_are_percentiles_of_the_last_batches(clock, network):
    status = WorkerStatus(Batcher())
    assert "latency_p50_s" not in message(status, network)
    for number in range(10 + LATENCIES_KEPT):
        status.add_latency(9.0 if number < 10 else 0.1)
    said = message(status, network)
    assert said["latency_p50_s"] == said["latency_p99_s"] == pytest.approx(0.1)


def test_the_same_error_is_counted_each_time_and_logged_once(clock, network, caplog):
    status = WorkerStatus(Batcher())
    for _ in range(3):
        status.add_error("batch lost", ValueError("too short"))
    status.add_error("batch lost", ValueError("too long"))
    said = message(status, network)
    assert (said["errors"], said["last_error"]) == (4, "batch lost: ValueError: too long")
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_a_warning_is_said_while_it_holds_and_logged_once(clock, network, caplog):
    status = WorkerStatus(Batcher())
    for _ in range(2):
        said = message(status, network, sample_rate_hz=1e6, symbol_rate_hz=10e3)
        assert "100 samples per symbol" in said["warning"]
    assert len(caplog.records) == 1
    assert message(status, network, sample_rate_hz=80e3, symbol_rate_hz=10e3)["warning"] == ""


def test_failures_of_a_model_that_left_still_count(clock, network):
    status = WorkerStatus(Batcher())
    status.model_left(network)
    assert message(status, network)["device_failures"] == 2
