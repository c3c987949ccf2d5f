# SPDX-License-Identifier: GPL-3.0-or-later
"""What features tell apart lies apart on a map."""

import numpy as np
import pytest
import torch

from gr_tsddae.data import Dataset, MemoryStore
from gr_tsddae.train.measure.feature_map import map_features


class _Means(torch.nn.Module):
    """Features that tell two classes apart at a glance."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def embed(self, rows):
        return rows.mean(2) * self.weight


def test_maps_keep_apart_what_features_tell_apart():
    pytest.importorskip("sklearn")
    random = np.random.default_rng(1)
    label = np.arange(80) % 2
    rows = random.standard_normal((80, 2, 16)).astype(np.float32)
    rows[:, 0] += 8 * label[:, None] - 4
    data = Dataset(
        kind="npz", path="x.npz", store=MemoryStore(rows), index=np.arange(80), label=label,
        level_db=np.full(80, 6), classes=("a", "b"),
    )  # fmt: skip
    (found,) = map_features(
        _Means(), data, label, scaling="unit_power", levels_db=(-6,), windows=40, seed=1
    )
    assert found.title == "6 dB SNR", "the data set has no -6 dB"
    assert found.points.shape == (40, 2) and set(found.label) == {0, 1}
    distance = np.linalg.norm(found.points[:, None] - found.points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (found.label[distance.argmin(1)] == found.label).mean() > 0.95


def test_a_level_with_few_windows_has_no_map_and_that_is_said(caplog):
    rows = np.ones((5, 2, 16), np.float32)
    data = Dataset(
        kind="npz", path="x.npz", store=MemoryStore(rows), index=np.arange(5),
        label=np.zeros(5, int), level_db=np.zeros(5, int), classes=("a",), level_name=None,
    )  # fmt: skip
    settings = {"scaling": "unit_power", "levels_db": (), "windows": 40, "seed": 1}
    assert map_features(_Means(), data, data.label, **settings) == []
    assert "no map of features for all windows: only 5 windows" in caplog.text
