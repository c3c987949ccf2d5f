# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run keeps on the disk: whole checkpoints, the best of them, a log that can be resumed."""

import json
import math
import os
import signal
import threading
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("lightning", reason="training is not installed")

from gr_tsddae.train.learn.method import VALIDATION_LOSS
from gr_tsddae.train.run import callbacks
from gr_tsddae.train.run.callbacks import (
    BEST_FILE,
    LOG_FILE,
    AtomicFiles,
    BestCheckpoint,
    Journal,
    LastCheckpoint,
    RunningAverage,
    Stopped,
    require_finite,
)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path, files = tmp_path / "checkpoint.pt", AtomicFiles()
    files.save_checkpoint({"step": 1, "weights": torch.ones(3)}, path)

    def full(checkpoint, file):
        file.write(b"half")
        raise RuntimeError("PytorchStreamWriter failed: no space left")

    monkeypatch.setattr(callbacks.torch, "save", full)
    with pytest.raises(OSError, match=r"checkpoint\.pt could not be written.*no space"):
        files.save_checkpoint({"step": 2}, path)
    assert files.load_checkpoint(path)["step"] == 1
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"step": os.system}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        AtomicFiles().load_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(loss):
    with pytest.raises(FloatingPointError, match=r"at step 7: lower --optimiser\.learning_rate"):
        require_finite(loss, 7)
    require_finite(1e30, 7)


class Trainer(SimpleNamespace):
    """As much of Lightning's trainer as the callbacks look at."""

    def __init__(self, **more):
        fixed = {
            "is_last_batch": False, "global_step": 1, "world_size": 1, "is_global_zero": True,
            "callback_metrics": {}, "current_epoch": 0, "estimated_stepping_batches": 6,
            "strategy": SimpleNamespace(reduce=lambda value, reduce_op: value),
            "optimizers": [SimpleNamespace(param_groups=[{"lr": 0.1}])],
        }  # fmt: skip
        super().__init__(**fixed | more)
        self.saved = []

    def save_checkpoint(self, path):
        self.saved.append((self.global_step, path))


def outputs(loss):
    return {"loss": torch.tensor(float(loss))}


def test_checkpoints_come_every_so_many_steps_but_not_before_a_validation(tmp_path):
    last, trainer = LastCheckpoint(tmp_path / "checkpoint.pt", every_steps=2), Trainer()
    for step in range(1, 7):
        trainer.global_step, trainer.is_last_batch = step, step == 4
        last.on_train_batch_end(trainer, None, outputs(1), None, 0)
    assert [step for step, _ in trainer.saved] == [2, 6]
    trainer.callback_metrics[VALIDATION_LOSS] = torch.tensor(1.0)
    last.on_validation_end(trainer, None)
    assert len(trainer.saved) == 3
    with pytest.raises(FloatingPointError):
        last.on_train_batch_end(trainer, None, outputs(math.nan), None, 0)
    assert len(trainer.saved) == 3, "the last good checkpoint stays"


def test_a_signal_ends_the_run_after_its_step_and_the_second_at_once(tmp_path):
    last, trainer = LastCheckpoint(tmp_path / "checkpoint.pt", every_steps=100), Trainer()
    before = signal.getsignal(signal.SIGTERM)
    with last.listening():
        last.on_train_batch_end(trainer, None, outputs(1), None, 0)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            last.on_train_batch_end(trainer, None, outputs(1), None, 0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert len(trainer.saved) == 1 and signal.getsignal(signal.SIGTERM) is before


def test_elsewhere_than_in_the_main_thread_signals_are_left_alone(tmp_path):
    before, seen = signal.getsignal(signal.SIGTERM), []

    def listen():
        with LastCheckpoint(tmp_path / "c.pt", every_steps=1).listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


def best_state(folder):
    path = str(folder / BEST_FILE)
    state = BestCheckpoint(folder).state_dict()
    return state | {
        "best_model_path": path, "best_model_score": torch.tensor(0.5),
        "best_k_models": {path: torch.tensor(0.5)}, "kth_best_model_path": path,
    }  # fmt: skip


def test_a_run_whose_folder_was_moved_keeps_its_best_loss(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    new.mkdir()
    (new / BEST_FILE).write_bytes(b"")
    best = BestCheckpoint(new)
    best.load_state_dict(best_state(old))
    assert best.best_model_path == str(new / BEST_FILE)
    assert best.best_model_score == 0.5 and list(best.best_k_models) == [str(new / BEST_FILE)]


def test_best_weights_that_were_left_behind_are_missed(tmp_path):
    with pytest.raises(ValueError, match=r"best\.pt is missing.*copy it, too"):
        BestCheckpoint(tmp_path).load_state_dict(best_state(tmp_path / "old"))


def test_the_average_starts_at_the_first_step_and_follows():
    average = RunningAverage(0.75)
    kept, module = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    average._average_model = SimpleNamespace(module=kept, n_averaged=0)
    for step, value in ((1, 1.0), (2, 5.0)):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.fill_(value)
        average.on_train_batch_end(Trainer(global_step=step), module, None, None, 0)
    assert kept.weight.item() == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert average._average_model.n_averaged == 2


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "_board", lambda folder, step: None)
    made = Journal(tmp_path, every_steps=2, batch=10)
    yield made
    made.teardown(Trainer(), None, "fit")


def written(folder):
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def test_a_line_of_the_log_is_the_mean_of_its_steps(tmp_path, journal):
    trainer = Trainer(global_step=0, estimated_stepping_batches=3)
    journal.on_train_start(trainer, None)
    for step, loss in enumerate((1, 3, 7), 1):
        trainer.global_step = step
        journal.on_train_batch_end(trainer, None, outputs(loss), None, 0)
    lines = written(tmp_path)
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 2.0), (3, 7.0)]
    assert lines[0]["learning_rate"] == 0.1 and lines[0]["windows_per_s"] > 0


def test_a_resumed_run_forgets_what_came_after_its_checkpoint(tmp_path, journal):
    lines = [json.dumps({"step": step}) for step in (2, 4, 6)]
    (tmp_path / LOG_FILE).write_text("\n".join(lines) + '\n{"step": ')  # it crashed in a line
    journal.on_train_start(Trainer(global_step=4), None)
    assert [line["step"] for line in written(tmp_path)] == [2, 4]
