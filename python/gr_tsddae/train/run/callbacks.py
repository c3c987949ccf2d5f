# SPDX-License-Identifier: GPL-3.0-or-later
"""Callbacks of a run: checkpoints, a stop that loses nothing, averages, log and progress."""

import contextlib
import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
)
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gr_tsddae.files import replacing, write_text
from gr_tsddae.progress import Progress
from gr_tsddae.train.learn.method import VALIDATION_LOSS, Method

log = logging.getLogger(__name__)

LAST_FILE = "checkpoint.pt"
BEST_FILE = "best.pt"
LOG_FILE = "log.jsonl"
_AGREE_STEPS = 10  # steps after which several processes agree whether to stop


class Stopped(BaseException):
    """A user or the system asked the run to stop; the checkpoint is written."""


class AtomicFiles(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and renames it: a full disk leaves the last good one.

    Reads tensors and plain values only, never code.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        path = Path(path)
        try:
            with replacing(path, durable=True) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch's writer turns the former into the latter
            raise OSError(f"{path} could not be written: {error}") from error

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)


class LastCheckpoint(Checkpoint):
    """Keeps the newest state: every so many steps, after every validation, on signals, at the end.

    A state between the last step of an epoch and its validation is never kept.
    """

    def __init__(self, path: Path, *, every_steps: int):
        self.path, self.every_steps = path, every_steps
        self._signal: int | None = None
        self._listens = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM as a request to stop after this step, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {n: signal.signal(n, self._note) for n in (signal.SIGINT, signal.SIGTERM)}
        self._listens = True
        try:
            yield
        finally:
            self._listens = False
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        if self._listens:  # Lightning's handler, set meanwhile, would end a validation
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if self._signal is not None:  # stop at once, the second time
            raise KeyboardInterrupt
        self._signal = number

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Method, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_last_batch:  # the validation or the end that follows keeps it
            return
        stop = self._should_stop(trainer)
        if stop or trainer.global_step % self.every_steps == 0:
            self._keep(trainer, outputs["loss"])
        if stop:
            raise Stopped

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        self._keep(trainer, trainer.callback_metrics[VALIDATION_LOSS])
        if self._should_stop(trainer):
            raise Stopped

    def on_train_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        pl_module.finished = True
        trainer.save_checkpoint(self.path)

    def _keep(self, trainer: pl.Trainer, loss: torch.Tensor) -> None:
        require_finite(loss.item(), trainer.global_step)
        trainer.save_checkpoint(self.path)

    def _should_stop(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size == 1:
            return self._signal is not None
        if trainer.global_step % _AGREE_STEPS and not trainer.is_last_batch:
            return False
        return trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False)


class BestCheckpoint(ModelCheckpoint):
    """Keeps the state of the lowest validation loss, even after the run's folder has moved.

    Lightning's own callback forgets the best loss when its folder has another path; the next
    validation, however bad, would replace the best weights.
    """

    FILE_EXTENSION = Path(BEST_FILE).suffix

    def __init__(self, folder: Path):
        super().__init__(
            dirpath=folder, filename=Path(BEST_FILE).stem, monitor=VALIDATION_LOSS,
            enable_version_counter=False, auto_insert_metric_name=False,
            save_on_train_epoch_end=False,  # before LastCheckpoint, which may end the run
        )  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state, with its paths changed to this folder.

        Raises:
            ValueError: There were best weights, and the folder does not hold them.
        """
        path = str(Path(self.dirpath) / BEST_FILE)  # there is one file
        if state_dict["best_model_path"]:
            if not Path(path).exists():
                raise ValueError(
                    f"{path} is missing, the best weights so far of the run that {LAST_FILE} goes "
                    "on with: copy it, too, or delete the folder to start anew"
                )
            state_dict = state_dict | {
                "best_model_path": path,
                "kth_best_model_path": path,
                "best_k_models": {path: state_dict["best_model_score"]},
            }
        super().load_state_dict(state_dict | {"dirpath": self.dirpath})


class RunningAverage(EMAWeightAveraging):
    """An exponential running average of weights and buffers, which starts at the first step's.

    Only the update differs from Lightning's, which reads a counter from the device and so waits for
    every step to end before it prepares the next.
    """

    def __init__(self, decay: float):
        super().__init__(decay=decay, use_buffers=True)
        self._update = get_ema_multi_avg_fn(decay)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Method, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        average = self._average_model
        kept, new = ([*m.parameters(), *m.buffers()] for m in (average.module, pl_module))
        pairs = [(k.detach(), n.detach()) for k, n in zip(kept, new, strict=True)]
        averaged = [p for p in pairs if p[0].is_floating_point() and trainer.global_step > 1]
        if averaged:
            self._update(*map(list, zip(*averaged, strict=True)), None)
        else:
            for old, value in pairs:
                old.copy_(value)
        average.n_averaged += 1
        self._latest_update_step = trainer.global_step


class StepStopping(EarlyStopping):
    """Early stopping by each step's loss, as in the paper's pre-training."""

    def __init__(self, *, patience: int):
        super().__init__("step_loss", patience=patience, min_delta=0.0, check_finite=False)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Method, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        trainer.callback_metrics["step_loss"] = trainer.strategy.reduce(
            outputs["loss"], reduce_op="mean"
        )
        self._run_early_stopping_check(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        pass

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        pass


class Journal(Callback):
    """log.jsonl, TensorBoard, and progress for people: a bar, or a line now and then."""

    def __init__(self, folder: Path, *, every_steps: int, batch: int):
        self.folder, self.every_steps, self.batch = folder, every_steps, batch
        self._losses: list[torch.Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: Method) -> None:
        self._steps = int(trainer.estimated_stepping_batches)
        self._since, self._before = time.monotonic(), trainer.global_step
        self._losses_told: dict[str, str] = {}
        if not trainer.is_global_zero:
            return
        _forget_after(self.folder / LOG_FILE, self._before)
        self._file = (self.folder / LOG_FILE).open("a", encoding="utf-8")
        self._board = _board(self.folder / "tensorboard", trainer.global_step)
        self._bar = Progress("training", "step", self._steps, begun=self._before)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Method, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"])
        step = trainer.global_step
        if trainer.is_global_zero:
            self._bar.update()
        if step % self.every_steps and step != self._steps:
            return
        loss = trainer.strategy.reduce(torch.stack(self._losses).mean(), reduce_op="mean").item()
        self._losses.clear()
        require_finite(loss, step)
        if not trainer.is_global_zero:
            return
        now = time.monotonic()
        rate = (step - self._before) * self.batch / (now - self._since)
        self._since, self._before = now, step
        values = {
            "loss": loss,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "windows_per_s": rate,
        }
        self._write(trainer, values)
        self._losses_told["loss"] = f"{loss:.4g}"
        self._tell(f"{rate:.0f} windows/s")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Method) -> None:
        loss = trainer.callback_metrics[VALIDATION_LOSS].item()
        require_finite(loss, trainer.global_step)
        if trainer.is_global_zero:
            self._write(trainer, {VALIDATION_LOSS: loss})
            self._losses_told["validation loss"] = f"{loss:.4g}"
            self._tell(f"epoch {trainer.current_epoch + 1}")

    def _tell(self, also: str) -> None:
        losses = (f"{name} {value}" for name, value in self._losses_told.items())
        self._bar.set_postfix_str(", ".join((*losses, also)), refresh=False)

    def _write(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        step = trainer.global_step
        line = {"step": step, "epoch": trainer.current_epoch}
        line |= {name: float(f"{value:.9g}") for name, value in values.items()}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in values.items() if self._board else ():
            self._board.add_scalar(name, value, step)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.is_global_zero and hasattr(self, "_file"):
            for each in (self._bar, self._board, self._file):
                if each is not None:
                    each.close()


def _board(folder: Path, step: int) -> Any:
    """Open TensorBoard's writer to go on after a step; None without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.warning("TensorBoard is not installed: log.jsonl alone shows the progress")
        return None
    return SummaryWriter(str(folder), purge_step=step or None)


def _forget_after(path: Path, step: int) -> None:
    """Drop the lines of a log after a step, from which the run goes on, or begins anew."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):  # half a line, after a crash
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    write_text(path, "".join(kept))


def require_finite(loss: float, step: int) -> None:
    """Raise FloatingPointError when training has diverged."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"loss is {loss} at step {step}: lower --optimiser.learning_rate, or use "
            "--trainer.precision 32; the last good checkpoint stays"
        )
