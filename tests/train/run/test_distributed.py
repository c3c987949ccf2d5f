# SPDX-License-Identifier: GPL-3.0-or-later
"""Two processes with half a batch each learn what one learns with the whole."""

import json
import os
import subprocess
import sys

import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.train.config import FinetuneConfig, PretrainConfig
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.objectives.simclr import SimCLR
from gr_tsddae.train.pretrain import pretrain

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch was built without gloo",
)


@pytest.fixture(autouse=True)
def _torchrun():
    try:  # torchrun begins with this, and Debian's torch cannot do it
        torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    except RuntimeError as error:
        if "libuv" not in str(error):
            raise
        pytest.skip("this torch was built without libuv, which torchrun needs")


NO_CHANCE = {"options": {"dropout": 0.0, "drop_path": 0.0}}


def shared(config, command, program, *more):
    """Trains as `config` says in two processes, in a folder beside that of `config`."""
    out = config.out.with_name("shared")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
        *program, command, "--name=tiny", f"--out={out}", "--network.name=tsnet-nano",
        f"--network.options={json.dumps(config.network.options)}", "--data.kind=npz",
        f"--data.path={config.data.path}", "--optimiser.batch=24", "--trainer.epochs=2",
        "--trainer.precision=32", "--trainer.device=cpu", "--trainer.devices=2",
        "--trainer.log_steps=1", "--trainer.stop_patience=0", *more,
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    return out


def test_two_processes_are_one(settings, tmp_path, journal):
    """BatchNorm included, whose statistics are of the whole batch."""
    single = settings(FinetuneConfig, tmp_path / "single", network=NO_CHANCE)
    finetune(single)
    both = shared(single, "finetune", ("-m", "gr_tsddae.train"))
    # A bias in front of a BatchNorm has no effect and a gradient of rounding errors, of which Adam
    # makes whole steps; running statistics lag behind them, so validation agrees less closely.
    for key, steps, tolerance in (
        ("loss", 8, 1e-5), ("learning_rate", 8, 0), ("validation_loss", 2, 1e-3),
    ):  # fmt: skip
        alone, together = (journal(folder, key) for folder in (single.out, both))
        assert len(alone) == steps
        assert together == pytest.approx(alone, rel=tolerance), key
    assert zoo.load(both).card.training["trainer"]["devices"] == 2


def test_two_processes_tell_a_window_from_those_of_both(settings, tmp_path, journal, monkeypatch):
    """Views without chance, as processes draw their own."""
    monkeypatch.setattr(SimCLR, "pair", lambda self, rows: (rows, rows.flip(2)))
    single = settings(PretrainConfig, tmp_path / "single", network=NO_CHANCE, objective="simclr")
    pretrain(single)
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from gr_tsddae.train import __main__ as command\n"
        "from gr_tsddae.train.objectives.simclr import SimCLR\n"
        "SimCLR.pair = lambda self, rows: (rows, rows.flip(2))\n"
        "sys.exit(command.main())\n"
    )
    both = shared(single, "pretrain", (str(program),), "--objective=simclr")
    alone, together = (journal(folder, "loss") for folder in (single.out, both))
    assert len(alone) == 8
    assert together == pytest.approx(alone, rel=1e-4)
