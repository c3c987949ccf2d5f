# SPDX-License-Identifier: GPL-3.0-or-later
"""A result says what it was measured on, also where the system tells little."""

import platform
from pathlib import Path

import torch

from gr_tsddae.bench import machine


def test_a_machine_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert machine.describe()["commit"] == ""


def test_a_system_without_cpuinfo(monkeypatch):
    def none(self, **_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", none)
    assert machine.processor() == platform.machine()
    threads = torch.get_num_threads()
    assert machine.device_name(torch.device("cpu")) == f"{platform.machine()}, {threads} threads"


def test_only_a_measurement_on_one_device_names_it():
    assert "device" not in machine.describe()
    assert machine.describe("cpu")["device"] == "cpu"
