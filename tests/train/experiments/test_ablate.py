# SPDX-License-Identifier: GPL-3.0-or-later
"""The ablations: each lacks what its name says, in pre-training and after."""

import pytest

from gr_tsddae import zoo
from gr_tsddae.train.config import NetworkChoice, TrainerConfig
from gr_tsddae.train.experiments.ablate import (
    CONTRAST_WEIGHT,
    PAPER,
    VARIANTS,
    AblateConfig,
    _row,
    ablate,
)
from gr_tsddae.train.experiments.experiment import ClassifierSettings, PretrainSettings

OPTIONS = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}


def test_each_variant_lacks_what_its_name_says(npz, tmp_path):
    once = TrainerConfig(epochs=1, device="cpu", precision="32")
    config = AblateConfig(
        dataset="npz",
        path=npz,
        out=tmp_path,
        network=NetworkChoice(name="tsnet-nano", options=OPTIONS),
        seeds=(1,),
        pretrain=PretrainSettings(trainer=once),
        finetune=ClassifierSettings(trainer=once),
    )
    content = ablate(config)
    assert [row["name"] for row in content["rows"]] == [VARIANTS[variant][0] for variant in PAPER]
    assert all(len(row["values"]["average"]["per_seed"]) == 1 for row in content["rows"])
    assert len(content["findings"]) == 4  # each against the whole
    cards = {}
    for variant in PAPER:
        for part in ("pretrained", "finetuned"):
            model = zoo.load(tmp_path / variant / "seed-1" / part)
            cards[variant, part] = model.card
            backbone = model.network.backbone.config
            lacks = {k for k in ("temporal", "spectral", "interactive") if not getattr(backbone, k)}
            assert lacks == {variant.removeprefix("without-")} & {
                "temporal", "spectral", "interactive",
            }  # fmt: skip
    objectives = {v: cards[v, "pretrained"].training["objective"] for v in PAPER}
    assert [v for v, o in objectives.items() if o == "single"] == ["single-noise"]
    start = cards["single-noise", "finetuned"].training["init"]
    assert start == "pretrained"  # by its name: a card travels


def test_a_single_noise_has_no_ratio(npz, tmp_path):
    part = PretrainSettings(ratio=0.7, split="published_code", weighted=True)
    config = AblateConfig(
        dataset="npz", path=npz, out=tmp_path, variants=("full", "single-noise"), pretrain=part
    )
    starts = [_row(config, variant, None).jobs[1].needs.config for variant in config.variants]
    assert [start.objective for start in starts] == ["noise", "single"]
    assert [start.ratio for start in starts] == [0.7, PretrainSettings.ratio]


def test_what_is_added_is_held_against_the_whole_at_few_shots(npz, tmp_path):
    once = TrainerConfig(epochs=1, device="cpu", precision="32")
    variants = ("full", "contrast", "views", "contrast-views")
    config = AblateConfig(
        dataset="npz",
        path=npz,
        out=tmp_path,
        network=NetworkChoice(name="tsnet-nano", options=OPTIONS),
        seeds=(1, 2),
        variants=variants,
        shots=(5,),
        finetuned=False,
        pretrain=PretrainSettings(trainer=once),
        fewshot=ClassifierSettings(trainer=once),
    )
    content = ablate(config)
    names = [f"{VARIANTS[variant][0]} (5-shot)" for variant in variants]
    assert [row["name"] for row in content["rows"]] == names
    assert [line.partition(":")[0] for line in content["findings"]] == names[1:]
    assert all("over 2 seeds" in line for line in content["findings"])
    for variant in variants:
        made = zoo.read_card(tmp_path / variant / "seed-2" / "pretrained").training
        assert made["contrast_weight"] == CONTRAST_WEIGHT * ("contrast" in variant)
        assert made["views"] == ("views" in variant)
        few = zoo.read_card(tmp_path / variant / "seed-2" / "5-shot").training
        assert few["shots"] == [5]
        assert (
            few["base_weights_sha256"]
            == zoo.read_card(tmp_path / variant / "seed-2" / "pretrained").weights_sha256
        )


def test_no_rows_are_refused(npz, tmp_path):
    with pytest.raises(ValueError, match="that leaves no row"):
        AblateConfig(dataset="npz", path=npz, out=tmp_path, finetuned=False)
    with pytest.raises(ValueError, match=r"shots is \[5, 5\]"):
        AblateConfig(dataset="npz", path=npz, out=tmp_path, shots=(5, 5))


def test_an_unknown_variant(npz, tmp_path):
    with pytest.raises(ValueError, match=r"without-time.*there are full, without-temporal"):
        AblateConfig(dataset="npz", path=npz, out=tmp_path, variants=("without-time",))
