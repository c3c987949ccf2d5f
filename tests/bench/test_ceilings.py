# SPDX-License-Identifier: GPL-3.0-or-later
"""Ceilings are measured after warming up, and leave torch as it was."""

import torch

from gr_tsddae.bench import ceilings


def test_ceilings_leave_torch_as_it_was(monkeypatch):
    monkeypatch.setattr(ceilings, "_sides", lambda device: (128, 256))  # bfloat16 may be emulated
    before = torch.get_float32_matmul_precision()
    found = ceilings.ceilings_flops(torch.device("cpu"), 0.01)
    assert set(found) == {"float32", "bfloat16"}
    assert min(found.values()) > 1e6
    assert torch.get_float32_matmul_precision() == before


def test_durations_come_after_warming_up():
    calls = []
    found = ceilings.durations_s(lambda: calls.append(1), seconds=0, least=4)
    assert (len(found), len(calls)) == (4, 6)
