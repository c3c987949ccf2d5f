# SPDX-License-Identifier: GPL-3.0-or-later
"""A model learns when to say unknown: the scores, the threshold, and the card."""

import dataclasses

import numpy as np
import pytest
import torch

from gr_tsddae import Recognizer, nets, zoo
from gr_tsddae.inference.rejection import SCORES, ClassDistance, EnergyAndDistance
from gr_tsddae.synth.air import outliers
from gr_tsddae.train.__main__ import parse
from gr_tsddae.train.measure.strangeness import all_scores, outputs
from gr_tsddae.train.unknown import UnknownConfig, of_emissions, unknown

L = 64


@pytest.fixture
def air_model(tmp_path):
    """An untrained model of three classes of the air."""
    torch.manual_seed(3)
    options = {"width": 8, "heads": 1, "feedforward": 8, "layers": 2, "squeeze": 2,
               "stride_samples": 8, "kernel_samples": 16}  # fmt: skip
    network = nets.create("tsnet-nano", class_count=3, window_samples=L, **options).eval()
    card = zoo.Card(
        name="air-tiny", task="amc", network="tsnet-nano", network_options=options,
        classes=("BPSK", "mine", "noise"), window_samples=L, scaling="unit_power",
        samples_per_symbol=None, bandwidth_multiple=4.0, weights_sha256="",
        licence="GPL-3.0-or-later",
    )  # fmt: skip
    zoo.save(tmp_path / "air-tiny", card, network)
    return tmp_path / "air-tiny"


@pytest.mark.parametrize("score", ["max_logit", "energy_and_distance"])
def test_the_card_gets_a_threshold_that_keeps_known_emissions(air_model, score):
    before = zoo.load(air_model).card
    said = unknown(
        UnknownConfig(model=str(air_model), windows=20, emission_windows=2, recall=0.9, score=score)
    )
    card = zoo.load(air_model).card
    assert card.rejection == said and card.weights_sha256 == before.weights_sha256
    assert dataclasses.replace(card, rejection={}) == before
    assert (said["score"], said["recall"]) == (score, 0.9)
    assert set(said["rejected"]) == set(outliers.JUDGES)
    assert 0 <= said["never_learned"]["oscr"] <= said["never_learned"]["auroc"] <= 1
    recognizer = Recognizer(air_model, device="cpu", precision="float32", engine="eager")
    assert recognizer.rejection.threshold == said["threshold"]


def test_measuring_alone_writes_nothing(air_model):
    card = (air_model / zoo.CARD_FILE).read_text()
    said = unknown(
        parse("unknown", ["--model", str(air_model), "--windows=10", "--write=false",
                          "--emission_windows=1", "--score=max_logit"])
    )  # fmt: skip
    assert said["score"] == "max_logit"
    assert (air_model / zoo.CARD_FILE).read_text() == card


def test_an_emission_has_the_mean_score_of_its_windows(air_model):
    of_windows = np.array([1.0, 3.0, 10.0, 20.0])
    assert of_emissions(of_windows, 2).tolist() == [2.0, 15.0]
    # The same known windows, by themselves and in emissions: means vary less than windows do.
    alone, together = (
        unknown(UnknownConfig(model=str(air_model), windows=40, emission_windows=n, write=False,
                              score="max_logit"))
        for n in (1, 4)
    )  # fmt: skip
    assert together["threshold"] < alone["threshold"]


def test_a_model_of_other_signals_is_refused(model_folder):
    with pytest.raises(ValueError, match="amc-untrained is no model of the air"):
        unknown(UnknownConfig(model=str(model_folder)))


@pytest.mark.parametrize(
    "wrong", [{"recall": 1.0}, {"windows": 79}, {"emission_windows": 0}, {"snr_db": (9.0, 2.0)}]
)
def test_what_cannot_be_asked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        UnknownConfig(model="x", **wrong)


def test_features_of_every_layer_are_those_on_the_way_to_the_outputs(air_model):
    network = zoo.load(air_model).network
    rows = torch.randn(5, 2, L, generator=torch.Generator().manual_seed(1))
    found = outputs(network, rows, scaling="unit_power")
    assert sorted(found.features) == [1, 2]
    last = torch.from_numpy(found.features[2])  # what the head sees
    assert torch.allclose(network.head(last), torch.from_numpy(found.logits), atol=1e-5)
    assert not any(layer._forward_hooks for layer in network.modules())


def test_class_distance_against_the_definition():
    random = np.random.default_rng(2)
    label = np.repeat([0, 4], 200)
    mixing = np.eye(6) + 0.2 * random.standard_normal((6, 6))
    features = random.standard_normal((400, 6)) @ mixing + 5 * (label == 4)[:, None]
    some = random.standard_normal((20, 6)) * 4
    means = [features[label == k].mean(0) for k in (0, 4)]
    inner = np.concatenate([features[label == k] - m for k, m in zip((0, 4), means, strict=True)])
    precision = np.linalg.inv(np.cov(inner.T))
    wanted = [min((x - m) @ precision @ (x - m) for m in means) for x in some]
    assert ClassDistance.fit(features, label)(some) == pytest.approx(wanted, rel=0.02)


def test_every_score_of_every_set(air_model):
    network = zoo.load(air_model).network
    generator = torch.Generator().manual_seed(4)
    sets = [
        outputs(network, torch.randn(count, 2, L, generator=generator), scaling="unit_power")
        for count in (30, 7, 9)
    ]
    found = all_scores((sets[0], np.arange(30) % 3), *sets[1:])
    layers = {"class distance, layer 1", "class distance, layer 2"}
    assert set(found) == {*SCORES, EnergyAndDistance.NAME, *layers}
    for scores in found.values():
        assert [len(each) for each in scores] == [7, 9]
        assert all(np.isfinite(each).all() for each in scores)
