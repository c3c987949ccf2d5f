# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that was killed ends like one that was not, and a checkpoint is never lost or misused."""

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.train.config import FinetuneConfig, PretrainConfig
from gr_tsddae.train.finetune import Classification, finetune
from gr_tsddae.train.learn.method import Method
from gr_tsddae.train.objectives import OBJECTIVES
from gr_tsddae.train.objectives.denoising import Denoising
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.run import callbacks


class Killed(BaseException):
    """Stands for SIGKILL: nothing is written any more."""


# 4 steps an epoch, 3 epochs; dropout, a plateau that halves often, augmentation, an average.
LONG = {
    "network": {"options": {"dropout": 0.2, "drop_path": 0.2}},
    "optimiser": {"plateau_patience": 1, "learning_rate": 0.02, "ema_decay": 0.9},
    "trainer": {"epochs": 3, "checkpoint_steps": 2, "augment": True, "stop_patience": 20},
}


def weights_of(folder):
    return (folder / zoo.WEIGHTS_FILE).read_bytes()


def kill_at(monkeypatch, step, method=Classification):
    loss = method.loss

    def dying(self, *batch):
        if self.training and self.global_step == step:
            raise Killed
        return loss(self, *batch)

    monkeypatch.setattr(method, "loss", dying)


@pytest.fixture(scope="module")
def whole():
    """Folders of uninterrupted runs, by command."""
    return {}


@pytest.fixture
def compare(settings, tmp_path, monkeypatch, journal, whole):
    """Asserts that a run killed at a step ends like one that was not."""
    return functools.partial(
        _compare, settings=settings, tmp_path=tmp_path, monkeypatch=monkeypatch, journal=journal,
        whole=whole,
    )  # fmt: skip


def _compare(
    command, method, config_class, at, *, settings, tmp_path, monkeypatch, journal, whole, **changes
):
    key = command, *changes.items()
    if key not in whole:
        command(settings(config_class, tmp_path / "whole", **LONG, **changes))
        whole[key] = tmp_path / "whole"
    config = settings(config_class, tmp_path / "killed", **LONG, **changes)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, at, method)
        command(config)
    assert not (config.out / zoo.CARD_FILE).exists()
    torch.manual_seed(99)  # what happened in the process meanwhile must not matter
    command(config)
    for what in ("loss", "learning_rate", "validation_loss"):
        assert journal(config.out, what) == journal(whole[key], what)
    assert weights_of(config.out) == weights_of(whole[key])


# 7 is in an epoch, 4 the first step of one, just after a validation; 11 is the last.
@pytest.mark.parametrize("at", [4, 7, 11])
def test_a_killed_fine_tuning(at, compare):
    compare(finetune, Classification, FinetuneConfig, at)


@pytest.mark.parametrize("at", [8])
def test_a_killed_pre_training(at, compare):
    compare(pretrain, Denoising, PretrainConfig, at)


@pytest.mark.parametrize("objective", ["simclr", "simsiam"])
def test_a_killed_contrast(objective, compare):
    compare(pretrain, OBJECTIVES[objective], PretrainConfig, 7, objective=objective)


def test_a_killed_denoising_with_contrast(compare):
    compare(pretrain, Denoising, PretrainConfig, 7, contrast_weight=0.1, views=True)


def test_sigkill(settings, tmp_path, npz, journal):
    """The real thing, in a process of its own."""
    program = textwrap.dedent(
        """
        import os, signal, sys
        from gr_tsddae.train import __main__ as command, finetune
        loss = finetune.Classification.loss
        def dying(self, *batch):
            if self.training and self.global_step == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss(self, *batch)
        finetune.Classification.loss = dying
        sys.exit(command.main())
        """
    )
    config = settings(FinetuneConfig, trainer={"checkpoint_steps": 2})
    network = json.dumps(config.network.options)
    arguments = [
        "finetune", "--name=tiny", f"--out={config.out}", "--network.name=tsnet-nano",
        f"--network.options={network}", "--data.kind=npz", f"--data.path={npz}",
        "--optimiser.batch=24", "--trainer.epochs=2", "--trainer.precision=32",
        "--trainer.device=cpu", "--trainer.checkpoint_steps=2", "--trainer.log_steps=1",
        "--trainer.stop_patience=0",
    ]  # fmt: skip
    # Sums depend in their last bit on how many threads share them.
    threads = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, env=threads
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    finetune(config)
    finetune(settings(FinetuneConfig, tmp_path / "whole"))
    for key in ("loss", "validation_loss"):
        assert journal(config.out, key) == journal(tmp_path / "whole", key)
    assert weights_of(config.out) == weights_of(tmp_path / "whole")


@pytest.fixture
def moved(settings, tmp_path, monkeypatch):
    """A run that was killed behind its first validation, the best, and whose folder was moved."""
    config = settings(FinetuneConfig, tmp_path / "old", **LONG)
    loss = Classification.loss

    def worse_and_worse(self, *batch):
        return loss(self, *batch) + (0 if self.training else self.global_step)

    monkeypatch.setattr(Classification, "loss", worse_and_worse)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 7)
        finetune(config)
    config.out.rename(tmp_path / "new")
    return settings(FinetuneConfig, tmp_path / "new", **LONG)


def test_a_moved_folder_keeps_the_best_weights(moved):
    best = moved.out / callbacks.BEST_FILE
    before = best.read_bytes()
    finetune(moved)
    assert best.read_bytes() == before
    assert torch.load(best, weights_only=True)["global_step"] == 4


def test_a_folder_moved_without_the_best_weights_is_refused(moved):
    (moved.out / callbacks.BEST_FILE).unlink()
    with pytest.raises(ValueError, match=r"new/best\.pt is missing, .*copy it, too"):
        finetune(moved)


def test_a_base_by_another_name_resumes(settings, tmp_path, monkeypatch):
    """The checkpoint holds `init`: the same folder, named from elsewhere, is no other base."""
    base = settings(FinetuneConfig, tmp_path / "base", trainer={"epochs": 1})
    finetune(base)
    (tmp_path / "link").symlink_to(base.out)
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 5)
        finetune(settings(FinetuneConfig, **LONG, init=Path("base")))
    other = settings(FinetuneConfig, tmp_path / "other", trainer={"epochs": 1, "seed": 2})
    finetune(other)
    with pytest.raises(ValueError, match=r"another configuration \(init\)"):
        finetune(settings(FinetuneConfig, **LONG, init=other.out))
    finetune(settings(FinetuneConfig, **LONG, init=tmp_path / "link"))


# In an epoch; in its last step, whose validation comes first.
@pytest.mark.parametrize(("number", "at"), [(signal.SIGINT, 1), (signal.SIGTERM, 3)])
def test_a_signal_keeps_the_last_step(number, at, settings, tmp_path, monkeypatch):
    config = settings(FinetuneConfig, trainer={"checkpoint_steps": 1000})
    loss = Classification.loss

    def interrupted(self, *batch):
        if self.training and self.global_step == at:
            os.kill(os.getpid(), number)
        return loss(self, *batch)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Classification, "loss", interrupted)
        finetune(config)
    assert signal.getsignal(number) == before
    state = torch.load(config.out / callbacks.LAST_FILE, weights_only=True)
    assert state["global_step"] == at + 1
    steps = []
    start = Method.on_train_batch_start
    monkeypatch.setattr(
        Method,
        "on_train_batch_start",
        lambda self, *batch: (steps.append(self.global_step), start(self, *batch))[1],
    )
    finetune(config)
    assert steps == list(range(at + 1, 8))


def test_a_finished_run_is_only_measured_again(settings, monkeypatch):
    config = settings(FinetuneConfig)
    finetune(config)
    first = weights_of(config.out)
    monkeypatch.setattr(Method, "training_step", lambda *_: pytest.fail("trained again"))
    finetune(config)
    assert weights_of(config.out) == first


def test_another_configuration_does_not_go_on_in_the_same_folder(settings, npz):
    config = settings(FinetuneConfig)
    finetune(config)
    for changed, keys in (
        (settings(FinetuneConfig, trainer={"seed": 2}), "trainer.seed"),
        (settings(FinetuneConfig, noise_prior=0.2), "noise_prior"),
        (
            settings(FinetuneConfig, network={"options": {"dropout": 0.1}}),
            "network.options.dropout",
        ),
        (
            settings(FinetuneConfig, trainer={"epochs": 9}, optimiser={"batch": 8}),
            "optimiser.batch, trainer.epochs",
        ),
    ):
        with pytest.raises(ValueError, match=rf"checkpoint\.pt was made with .* \({keys}\)"):
            finetune(changed)
    finetune(settings(FinetuneConfig, trainer={"checkpoint_steps": 7, "log_steps": 3}))


def test_a_damaged_checkpoint_is_named(settings):
    config = settings(FinetuneConfig)
    finetune(config)
    path = config.out / callbacks.LAST_FILE
    data = path.read_bytes()
    torch.save({"network": {}}, path)
    weights_only = path.read_bytes()
    for damaged in (b"no checkpoint\n", b"", data[: len(data) // 2], weights_only):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged or no .*; delete it"):
            finetune(config)


def test_a_checkpoint_never_runs_code(settings, tmp_path):
    trace = tmp_path / "executed"

    class Payload:
        def __reduce__(self):
            return (open, (str(trace), "w"))

    config = settings(FinetuneConfig)
    config.out.mkdir()
    torch.save({"config": Payload()}, config.out / callbacks.LAST_FILE)
    with pytest.raises(ValueError, match="damaged"):
        finetune(config)
    assert not trace.exists()


def test_a_full_disk_leaves_the_last_good_checkpoint(settings, monkeypatch):
    config = settings(FinetuneConfig, trainer={"checkpoint_steps": 1})
    save, saved = torch.save, []

    def full(state, file):
        saved.append(state["global_step"])
        if len(saved) == 3:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        save(state, file)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(torch, "save", full)
        finetune(config)
    state = torch.load(config.out / callbacks.LAST_FILE, weights_only=True)
    assert state["global_step"] == saved[1]
    assert not list(config.out.glob("*.partial"))
    finetune(config)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(settings, monkeypatch, value):
    config = settings(FinetuneConfig, trainer={"checkpoint_steps": 1})
    loss = Classification.loss

    def diverging(self, *batch):
        return loss(self, *batch) * (value if self.global_step == 2 else 1)

    monkeypatch.setattr(Classification, "loss", diverging)
    with pytest.raises(FloatingPointError, match=r"at step 3: lower --optimiser\.learning_rate"):
        finetune(config)
    state = torch.load(config.out / callbacks.LAST_FILE, weights_only=True)
    assert state["global_step"] == 2
    assert not (config.out / zoo.CARD_FILE).exists()


def test_a_new_run_forgets_the_log_of_another(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    callbacks._forget_after(log, 2)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'
    callbacks._forget_after(log, 0)
    assert log.read_text() == ""


def test_torchrun_with_another_number_of_processes_is_refused(settings, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun started 2 processes"):
        finetune(settings(FinetuneConfig))
