# SPDX-License-Identifier: GPL-3.0-or-later
"""CUDA graphs hand out batches and put the results together."""

import threading

import numpy as np
import pytest
import torch

from gr_tsddae import Recognizer
from gr_tsddae.inference.engines import graphs as graphs_module
from gr_tsddae.inference.engines.graphs import Graphs


class Slot:
    """Stands for a graph with its buffers: computes when it is launched."""

    def __init__(self, compute, window_samples, size, work, pool):
        self.size, self.compute = size, compute
        self.received = torch.zeros(size, 2)
        self.done = self
        self.busy = False

    def launch(self, windows, copies, work):
        assert not self.busy, "a slot is used again only when its result was fetched"
        assert len(windows) <= self.size
        self.busy = True
        self.received[: len(windows)] = self.compute(torch.from_numpy(windows))

    def synchronize(self):
        self.busy = False


@pytest.mark.parametrize("count", [0, 1, 4, 5, 15, 16, 17, 33, 80])
def test_results_come_in_order(monkeypatch, count):
    """Without a GPU: slots in turn, padding, a size that fits."""
    for name in ("Stream", "graph_pool_handle"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(graphs_module, "_Slot", Slot)
    monkeypatch.setattr(torch.cuda, "device", lambda device: threading.Lock())
    graphs = Graphs(
        lambda windows: torch.view_as_real(windows[:, 0]), 3, (4, 16), torch.device("cpu")
    )
    windows = (np.arange(count * 3).reshape(count, 3) * (1 + 2j)).astype(np.complex64)
    found = np.full((count, 2), np.nan, np.float32)
    graphs.fill(found, windows)
    assert np.array_equal(found, np.stack([windows[:, 0].real, windows[:, 0].imag], 1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_graphs_agree_with_the_cpu(model_folder, windows):
    options = {"precision": "float32", "batch_windows": 16}
    gpu = Recognizer(model_folder, device="cuda", engine="graphs", **options)
    cpu = Recognizer(model_folder, device="cpu", engine="eager", **options)
    wanted = cpu.window_probabilities(windows)
    assert "graphs" in gpu.engine
    np.testing.assert_allclose(gpu.window_probabilities(windows), wanted, atol=1e-3)
    gpu._engine.wait()
    np.testing.assert_allclose(gpu.window_probabilities(windows), wanted, atol=1e-3)
