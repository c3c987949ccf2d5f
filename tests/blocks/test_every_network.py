# SPDX-License-Identifier: GPL-3.0-or-later
"""Every network by name, from training to the block: a new one is covered unasked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("gnuradio.gr", reason="GNU Radio is not installed")
pytest.importorskip("gr_tsddae.bindings", reason="the C++ core is not built")
pytest.importorskip("lightning", reason="training is not installed")

from test_classifier import Flowgraph, noise, vector_source

from gr_tsddae import nets, zoo
from gr_tsddae.iq.windows import SCALINGS, to_rows
from gr_tsddae.train.config import (
    DataConfig,
    FinetuneConfig,
    NetworkChoice,
    OptimiserConfig,
    TrainerConfig,
)
from gr_tsddae.train.finetune import finetune

L = 128


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """40 windows of two classes; 24 of them to train on, in one step."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    rows = np.random.default_rng(0).standard_normal((40, 2, L)).astype(np.float32)
    np.savez(path, X=rows, y=np.array(["a", "b"])[np.arange(40) % 2], snr=np.zeros(40, int))
    return path


# The larger sizes of TS-Net run the code of the smaller ones.
NAMES = [name for name in nets.names() if name not in ("tsnet-base", "tsnet-small")]
OPTIONS = {"spectrum-fm": {"layers": 2}, "lsm": {"layers": 2}}  # of a dozen alike


@pytest.mark.parametrize("name", NAMES)
def test_trained_by_name_and_the_same_in_the_block(name, dataset, tmp_path):
    config = FinetuneConfig(
        name=name,
        out=tmp_path / name,
        network=NetworkChoice(name=name, options=OPTIONS.get(name, {})),
        data=DataConfig(kind="npz", path=dataset),
        optimiser=OptimiserConfig(batch=24),
        trainer=TrainerConfig(epochs=1, device="cpu", precision="32"),
    )
    assert finetune(config).network == name
    network = zoo.load(config.out).network
    torch.manual_seed(config.trainer.seed)
    options = config.network.options
    fresh = nets.create(name, class_count=2, window_samples=L, **options).state_dict()
    moved = [key for key, p in network.named_parameters() if not torch.equal(p, fresh[key].half())]
    assert any(key.startswith("backbone") for key in moved)

    iq = noise(5 * L)
    flowgraph = Flowgraph(
        vector_source(iq), overflow="block", batch_windows=2, model=str(config.out), device="cpu",
        precision="float32",
    )  # fmt: skip
    flowgraph.run()
    got = np.concatenate([v.reshape(m["windows"], -1) for m, v in flowgraph.collector.results])
    with torch.inference_mode():
        rows = SCALINGS[config.data.scaling](to_rows(torch.from_numpy(iq.reshape(5, L))))
        wanted = network(rows).softmax(1).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-5)
