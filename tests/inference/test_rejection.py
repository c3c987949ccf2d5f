# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of signals that a model was not taught, and what a recogniser makes of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import softmax

from gr_tsddae import Recognizer, zoo
from gr_tsddae.inference.engines.engine import openvino_is_there
from gr_tsddae.inference.rejection import SCORES, EnergyAndDistance, rejection_of
from gr_tsddae.iq.windows import SCALINGS, to_rows
from gr_tsddae.labels import NOISE, UNKNOWN

L = 128


def windows(count, seed=0):
    random = np.random.default_rng(seed)
    parts = random.standard_normal((2, count, L))
    tones = np.exp(1j * np.arange(count)[:, None] * 0.05 * np.arange(L))
    return (0.3 * (parts[0] + 1j * parts[1]) + tones).astype(np.complex64)


@pytest.fixture
def rejecting(model_folder, tmp_path):
    """Makes a recogniser whose card rejects by a score above a threshold."""

    def make(score="energy", threshold=0.0, **options):
        model = zoo.load(model_folder)
        card = dataclasses.replace(
            model.card, rejection={"score": score, "threshold": threshold, "windows": 12}
        )
        zoo.save(tmp_path / "rejecting", card, model.network)
        options = {"device": "cpu", "precision": "float32", "engine": "eager"} | options
        return Recognizer(tmp_path / "rejecting", batch_windows=8, **options)

    return make


def test_every_score_is_lower_where_one_class_stands_out():
    logits = np.array([[9.0, 0, 0], [3, 0, 0], [1, 0.9, 0.8], [0, 0, 0]])
    for name, score in SCORES.items():
        found = score(logits)
        assert found.shape == (4,)
        assert (np.diff(found) > 0).all(), name
    assert SCORES["energy"](logits)[3] == pytest.approx(-np.log(3))
    assert SCORES["max_probability"](logits)[3] == pytest.approx(2 / 3)


@pytest.mark.parametrize("score", sorted(SCORES))
def test_judge_gives_the_probabilities_and_the_score_of_the_networks_outputs(rejecting, score):
    recognizer = rejecting(score)
    some = windows(20)
    probabilities, scores = recognizer.judge(some)
    assert probabilities.dtype == scores.dtype == np.float32
    assert np.allclose(probabilities, recognizer.window_probabilities(some), atol=1e-5)
    model = zoo.load("amc-untrained")
    rows = SCALINGS[model.card.scaling](to_rows(torch.from_numpy(some)))
    with torch.no_grad():
        logits = model.network(rows).numpy()
    assert np.allclose(scores, SCORES[score](logits), atol=1e-4)
    assert np.allclose(probabilities, softmax(logits, axis=1), atol=1e-5)


@pytest.mark.skipif(not openvino_is_there(), reason="openvino is not installed")
def test_another_engine_gives_the_same_scores(rejecting):
    some = windows(20)
    eager, fast = rejecting().judge(some), rejecting(engine="openvino").judge(some)
    for a, b in zip(eager, fast, strict=True):
        assert np.allclose(a, b, atol=1e-4)


def test_a_threshold_parts_known_from_unknown(rejecting):
    some = windows(21)
    scores = rejecting().judge(some)[1]
    middle = float(np.median(scores))
    recognizer = rejecting(threshold=middle)
    for one, score in zip(some, scores, strict=True):
        found = recognizer.predict(one)
        assert (found.label == UNKNOWN) == (score > middle)
        assert found.decision.best in recognizer.classes
        assert found.decision.score == pytest.approx(score, abs=1e-4)
        assert found.window_scores == pytest.approx([score], abs=1e-4)


def test_silence_is_no_unknown_signal(rejecting):
    recognizer = rejecting(threshold=-1e6)  # whatever is heard is unknown
    assert recognizer.predict(windows(1)[0]).label == UNKNOWN
    assert recognizer.predict(np.zeros(L, np.complex64)).label == NOISE


def test_a_model_without_rejection_has_no_scores(model_folder):
    recognizer = Recognizer(model_folder, device="cpu", precision="float32", engine="eager")
    assert recognizer.rejection is None
    probabilities, scores = recognizer.judge(windows(3))
    assert scores is None
    assert np.array_equal(probabilities, recognizer.window_probabilities(windows(3)))
    assert recognizer.predict(windows(1)[0]).decision.score is None


def test_energy_and_distance_is_kept_in_a_card(model_folder, tmp_path):
    random = np.random.default_rng(1)
    model = zoo.load(model_folder)
    label = np.repeat(np.arange(len(model.card.classes)), 40)
    logits = random.standard_normal((len(label), len(model.card.classes)))
    logits[np.arange(len(label)), label] += 6
    score = EnergyAndDistance.fit(logits, label)
    assert score(logits).mean() == pytest.approx(0, abs=0.1)
    assert score(np.zeros_like(logits[:1])) > score(logits).max()  # no class stands out
    rejection = {"score": score.NAME, "threshold": 1.0, "reference": score.reference()}
    zoo.save(tmp_path / "x", dataclasses.replace(model.card, rejection=rejection), model.network)
    read = rejection_of(zoo.read_card(tmp_path / "x"))
    assert read.score(logits) == pytest.approx(score(logits), abs=0.01)


@pytest.mark.parametrize(
    "reference",
    [None, {}, {"means": "x"}, 5, {"means": [[1.0]], "whiten": [[1.0]], "energy": [0, 1],
     "distance": [0, 1]}],
)  # fmt: skip
def test_a_card_without_the_reference_of_its_score(model_folder, reference):
    rejection = {"score": "energy_and_distance", "threshold": 1.0, "reference": reference}
    card = dataclasses.replace(zoo.read_card(model_folder), rejection=rejection)
    with pytest.raises(zoo.ModelCorruptError, match=r"amc-untrained: rejection\.reference"):
        rejection_of(card)


def test_a_score_of_a_later_version(model_folder):
    card = dataclasses.replace(
        zoo.read_card(model_folder), rejection={"score": "astrology", "threshold": 1}
    )
    with pytest.raises(zoo.ModelVersionError, match="'astrology'; this program knows energy"):
        rejection_of(card)
