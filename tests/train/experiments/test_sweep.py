# SPDX-License-Identifier: GPL-3.0-or-later
"""The sweeps: every value is what was trained with, and the curve is drawn."""

import pytest
from matplotlib.axes import Axes

from gr_tsddae import zoo
from gr_tsddae.train.config import NetworkChoice, TrainerConfig
from gr_tsddae.train.experiments.experiment import ClassifierSettings, PretrainSettings
from gr_tsddae.train.experiments.sweep import SweepConfig, sweep

OPTIONS = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}
ONCE = TrainerConfig(epochs=1, device="cpu", precision="32")


@pytest.fixture
def config(npz, tmp_path):
    def make(objective="noise", **changes):
        return SweepConfig(
            dataset="npz",
            path=npz,
            out=tmp_path,
            network=NetworkChoice(name="tsnet-nano", options=OPTIONS),
            pretrain=PretrainSettings(trainer=ONCE, objective=objective),
            finetune=ClassifierSettings(trainer=ONCE),
            **changes,
        )

    return make


def test_lambda_is_swept(config, tmp_path):
    content = sweep(config(over="ratio", at=(0.2, 1.0), seeds=(1, 2)))
    assert [row["name"] for row in content["rows"]] == ["ratio 0.2", "ratio 1"]
    for value in (0.2, 1.0):
        card = zoo.load(tmp_path / f"ratio-{value:g}" / "seed-2" / "pretrained").card
        assert card.training["ratio"] == value
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_reports_of_two_classes_leave_the_accuracy_in_the_table(config, monkeypatch):
    drawn = []

    def errorbar(self, *points, draw=Axes.errorbar, **style):
        drawn.append(style.get("label"))
        return draw(self, *points, **style)

    monkeypatch.setattr(Axes, "errorbar", errorbar)
    content = sweep(config(over="ratio", at=(0.4,), seeds=(1,), reports=True))
    assert {"AUC all", "average", "best"} <= set(content["columns"])
    assert [name for name in drawn if name in content["columns"]] == ["average"]


def test_layers_are_swept(config, tmp_path):
    sweep(config(over="layers", at=(1, 2), seeds=(1,)))
    for count in (1, 2):
        for part in ("pretrained", "finetuned"):
            model = zoo.load(tmp_path / f"layers-{count}" / "seed-1" / part)
            assert model.network.backbone.config.layers == count


@pytest.mark.parametrize(
    ("over", "values", "words"),
    [
        ("layers", (2.5,), "whole numbers"),
        ("ratio", (0.0,), "over 0 and at most 1"),
        ("ratio", (0.5, 0.5), "each value once"),
    ],
)
def test_values_that_cannot_be(config, over, values, words):
    with pytest.raises(ValueError, match=words):
        config(over=over, at=values)


def test_an_objective_without_a_ratio(config):
    with pytest.raises(ValueError, match=r"objective is single.*choose --over layers, or"):
        config(over="ratio", objective="single")
    config(over="layers", objective="single")
