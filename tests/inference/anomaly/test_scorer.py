# SPDX-License-Identifier: GPL-3.0-or-later
"""Either kind of model gives scores; others are refused."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae import Recognizer, nets, zoo
from gr_tsddae.inference.anomaly.scorer import AnomalyScorer
from gr_tsddae.inference.denoiser import Denoiser

L = 64
OPTIONS = {"width": 16, "heads": 1, "feedforward": 16, "layers": 1}
OPTIONS |= {"stride_samples": 4, "kernel_samples": 8, "squeeze": 4}
CPU = {"device": "cpu", "precision": "float32", "batch_windows": 16}


@pytest.fixture
def save(tmp_path, fill):
    def make(task, classes=()):
        card = zoo.Card(
            name="tiny", task=task, network="tsnet-nano", network_options=OPTIONS, classes=classes,
            window_samples=L, scaling="unit_power", samples_per_symbol=None, weights_sha256="",
            licence="GPL-3.0-or-later",
        )  # fmt: skip
        if task == zoo.DENOISING:
            network = nets.create_denoiser("tsnet-nano", **OPTIONS)
        else:
            network = nets.create("tsnet-nano", class_count=len(classes), **OPTIONS)
        zoo.save(tmp_path / "tiny", card, fill(network))
        return tmp_path / "tiny"

    return make


@pytest.fixture
def windows():
    return np.random.default_rng(1).standard_normal((5, 2 * L)).astype(np.float32).view("c8")


@pytest.mark.parametrize("classes", [("normal", "anomaly"), ("jammer", "normal", "spur")])
def test_the_probability_of_not_being_normal(save, windows, classes):
    folder = save("anomaly", classes)
    scorer = AnomalyScorer(folder, **CPU)
    others = [i for i, name in enumerate(classes) if name != "normal"]
    wanted = Recognizer(folder, **CPU).window_probabilities(windows)[:, others].sum(1)
    np.testing.assert_allclose(scorer.scores(windows), wanted, atol=1e-6)
    assert scorer.probability and scorer.batch_windows == 16 and scorer.precision == "float32"


def test_the_error_of_a_denoiser(save, windows):
    folder = save(zoo.DENOISING)
    scorer = AnomalyScorer(folder, **CPU)
    np.testing.assert_array_equal(
        scorer.scores(windows), Denoiser(folder, **CPU).scores(windows, draws=1)
    )
    assert not scorer.probability and scorer.window_samples == L and scorer.device_failures == 0


def test_other_models_are_refused(save):
    with pytest.raises(zoo.ModelMismatchError, match="is for 'amc': anomalies need a model"):
        AnomalyScorer(save("amc", ("a", "b")), **CPU)
    with pytest.raises(zoo.ModelMismatchError, match="one of them must be called 'normal'"):
        AnomalyScorer(save("anomaly", ("good", "bad")), **CPU)
