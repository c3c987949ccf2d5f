# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of engines share: a small network, windows, and compilers that are quick."""

import numpy as np
import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.inference.engines import Engine
from gr_tsddae.nets.tsnet.folded import FoldedTSNet


@pytest.fixture(scope="session")
def folded(fill):
    """A folded tsnet-nano of one layer: quick to compile."""
    return FoldedTSNet(fill(nets.create("tsnet-nano", class_count=4, layers=1)), 128)


@pytest.fixture
def windows():
    """(40, 128) complex64 windows, unlike each other."""
    random = np.random.default_rng(2)
    tones = np.exp(1j * np.outer(np.linspace(-3, 3, 40), np.arange(128)))
    return (tones + 0.2 * random.standard_normal((40, 128))).astype(np.complex64)


@pytest.fixture
def rows():
    return torch.sin(torch.arange(16 * 2 * 128.0) ** 1.3).view(16, 2, 128)


@pytest.fixture
def quick(monkeypatch):
    """Stands for torch.compile: calls the function as it is, and counts the calls."""
    calls = []

    def compiler(function, **options):
        def compiled(*arguments):
            calls.append(len(arguments[0]))
            return function(*arguments)

        return compiled

    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr(Engine, "_fill_cache", lambda self, tune: None)
    return calls
