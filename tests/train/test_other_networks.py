# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of other papers go through the same commands as TS-Net."""

import dataclasses

import numpy as np
import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.windows import SCALINGS, to_rows
from gr_tsddae.train.config import FinetuneConfig, NetworkChoice, PretrainConfig, ProbeConfig
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.probe import probe

SMALL = {"cnn2": {"width": 2, "hidden": 8}, "gru2": {"width": 8}, "msnet": {"width": 4}}


@pytest.fixture
def config_of(settings, tmp_path):
    """(kind, network, **changes) -> a tiny run of 32-sample windows, named after its network."""

    def make(kind, name, **changes):
        config = settings(kind, tmp_path / f"{name}-{kind.__name__}", **changes)
        return dataclasses.replace(config, network=NetworkChoice(name=name, options=SMALL[name]))

    return make


@pytest.mark.parametrize("name", SMALL)
def test_trained_probed_and_run(name, config_of):
    config = config_of(FinetuneConfig, name)
    card = finetune(config)
    assert (card.network, card.window_samples) == (name, 32)
    probed = config_of(ProbeConfig, name, init=config.out)
    probe(probed)
    before, after = zoo.load(config.out).network, zoo.load(probed.out).network
    for key, value in before.backbone.state_dict().items():
        assert torch.equal(after.backbone.state_dict()[key], value), key
    random = np.random.default_rng(1).standard_normal((5, 32, 2)).astype(np.float32)
    windows = random.view(np.complex64)[..., 0]
    recognizer = Recognizer(str(config.out), device="cpu", precision="float32")
    with torch.inference_mode():
        rows = SCALINGS[card.scaling](to_rows(torch.from_numpy(windows)))
        wanted = before(rows).softmax(1).numpy()
    np.testing.assert_allclose(recognizer.window_probabilities(windows), wanted, atol=1e-5)
    assert recognizer.embed(windows).shape == (5, recognizer.embedding_size)


def test_weights_of_another_network_are_refused(config_of):
    config = config_of(FinetuneConfig, "gru2")
    finetune(config)
    with pytest.raises(ValueError, match=r"is a GRU2Backbone where this run has a MSNetBackbone"):
        finetune(config_of(FinetuneConfig, "msnet", init=config.out))


def test_denoising_is_refused_by_name(config_of):
    reason = r"'noise' takes no cnn2, but tsnet-base.*cnn2 can be .* simclr, simsiam, semiamc"
    with pytest.raises(ValueError, match=reason):
        pretrain(config_of(PretrainConfig, "cnn2"))
