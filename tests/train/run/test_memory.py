# SPDX-License-Identifier: GPL-3.0-or-later
"""Freed memory that is kept: looked at from outside, in a process of its own."""

import subprocess
import sys

import pytest

from gr_tsddae.train import __main__ as command

FAULTS = """
import resource, torch
from gr_tsddae.train.run.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
plain = faults()
print(keep_freed_memory(), plain, (faults(), faults())[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_what_was_freed_is_not_fetched_again():
    said = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    ).stdout.split()
    if said[0] == "False":
        pytest.skip("the C library cannot be told")
    plain, kept = map(int, said[1:])
    assert plain >= 10  # with huge pages at least one for each tensor
    assert kept < plain / 5


def test_commands_keep_memory(monkeypatch):
    called = []
    monkeypatch.setattr(command, "keep_freed_memory", lambda: called.append(True))
    monkeypatch.setattr(command.sys, "argv", ["train", "finetune", "--no_such_option", "1"])
    assert command.main() == 1
    assert called == [True]
