# SPDX-License-Identifier: GPL-3.0-or-later
"""Two processes with half a batch each learn what one learns with the whole."""

import json
import os
import subprocess
import sys

import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.train.config import FinetuneConfig
from gr_tsddae.train.finetune import finetune

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch was built without gloo",
)


def test_two_processes_are_one(settings, tmp_path, npz, journal):
    """BatchNorm included, whose statistics are of the whole batch."""
    no_chance = {"options": {"dropout": 0.0, "drop_path": 0.0}}
    single = settings(FinetuneConfig, tmp_path / "single", network=no_chance)
    finetune(single)
    shared = tmp_path / "shared"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
        "-m", "gr_tsddae.train", "finetune", "--name=tiny", f"--out={shared}",
        "--network.name=tsnet-nano", f"--network.options={json.dumps(single.network.options)}",
        "--data.kind=npz", f"--data.path={npz}", "--optimiser.batch=24", "--trainer.epochs=2",
        "--trainer.precision=32", "--trainer.device=cpu", "--trainer.devices=2",
        "--trainer.log_steps=1", "--trainer.stop_patience=0",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    # A bias in front of a BatchNorm has no effect and a gradient of rounding errors, of which Adam
    # makes whole steps; running statistics lag behind them, so validation agrees less closely.
    for key, steps, tolerance in (
        ("loss", 8, 1e-5), ("learning_rate", 8, 0), ("validation_loss", 2, 1e-3),
    ):  # fmt: skip
        alone, together = (journal(folder, key) for folder in (single.out, shared))
        assert len(alone) == steps
        assert together == pytest.approx(alone, rel=tolerance), key
    assert zoo.load(shared).card.training["trainer"]["devices"] == 2
