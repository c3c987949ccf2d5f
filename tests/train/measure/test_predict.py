# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs belong to their windows, whatever the batch; what is not finite is not measured."""

import numpy as np
import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.data import Dataset, MemoryStore
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.train.measure.predict import logits, measure, predict, predict_finite


@pytest.fixture
def network(model_folder):
    return zoo.load(model_folder).network


@pytest.fixture
def windows():
    """20 windows at two SNRs; numbers 3 and 12 hold a NaN."""
    rows = np.random.default_rng(3).standard_normal((20, 2, 128)).astype(np.float32)
    rows[[3, 12], 1, 5] = np.nan
    number = np.arange(20)
    return Dataset(
        kind="npz", path="x.npz", store=MemoryStore(rows), index=number, label=number % 12,
        level_db=number % 2 * 10, classes=tuple("abcdefghijkl"), group=number // 4,
    )  # fmt: skip


def test_windows_are_scaled_and_the_batch_does_not_matter(network):
    rows = 7 * torch.sin(torch.arange(10 * 2 * 128).float() ** 1.1).view(10, 2, 128)
    network.train()  # measured in evaluation mode all the same
    found = logits(network, rows, scaling="unit_power", batch=3)
    assert network.training
    with torch.inference_mode():
        wanted = network.eval()(SCALINGS["unit_power"](rows))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_outputs_come_in_the_order_of_the_windows(network, windows):
    whole, finite = predict(network, windows, scaling="unit_power")
    pieces, _ = predict(network, windows, scaling="unit_power", batch=7)
    assert np.flatnonzero(~finite).tolist() == [3, 12]
    torch.testing.assert_close(whole[finite], pieces[finite], rtol=1e-4, atol=1e-5)
    alone = logits(network, torch.from_numpy(windows.rows(np.array([4]))), scaling="unit_power")
    torch.testing.assert_close(whole[4:5], alone, rtol=1e-4, atol=1e-5)


def test_windows_that_are_not_finite_are_not_measured(network, windows):
    outputs, label, held = predict_finite(network, windows, scaling="unit_power")
    assert len(outputs) == len(label) == len(held) == 18
    assert held.index.tolist() == [n for n in range(20) if n not in (3, 12)]
    found = measure(network, windows, scaling="unit_power")
    assert found["windows"] == 18
    right = outputs.argmax(1) == label
    assert found["accuracy"] == pytest.approx(right.float().mean().item(), abs=6e-5)
    assert found["accuracy_per_snr"].keys() == {0, 10}
