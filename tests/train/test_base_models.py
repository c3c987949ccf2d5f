# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights keep the licence of those they started from, and their card names them."""

import dataclasses

import pytest

from gr_tsddae import zoo
from gr_tsddae.train.config import FewshotConfig, FinetuneConfig, PretrainConfig, ProbeConfig
from gr_tsddae.train.fewshot import fewshot
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.probe import probe

GPL, CC = "GPL-3.0-or-later", "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize("kind", [FinetuneConfig, ProbeConfig, FewshotConfig])
def test_a_model_owes_to_its_base(kind, settings, tmp_path):
    """A base under the GPL, and windows under CC."""
    once = {"epochs": 1}
    data = {"options": {"licence": CC}}
    base = pretrain(settings(PretrainConfig, tmp_path / "base", trainer=once, data=data))
    assert base.licence == CC
    network = zoo.load(tmp_path / "base").network
    base = zoo.save(tmp_path / "base", dataclasses.replace(base, name="b", licence=GPL), network)
    more = {"shots": (2,)} if kind is FewshotConfig else {}
    config = settings(kind, trainer=once, data=data, init=tmp_path / "base", **more)
    command = {FinetuneConfig: finetune, ProbeConfig: probe, FewshotConfig: fewshot}[kind]
    command(config)
    card = zoo.read_card(config.out / "2-shot" if more else config.out)
    assert card.licence == f"{GPL} AND {CC}"
    assert card.training["base"] == "b"
    assert card.training["base_weights_sha256"] == base.weights_sha256
    if kind is FinetuneConfig:
        alone = finetune(settings(kind, tmp_path / "alone", trainer=once, data=data))
        assert alone.licence == CC
        assert not {"base", "base_weights_sha256"} & alone.training.keys()
