# SPDX-License-Identifier: GPL-3.0-or-later
"""One run in a folder: Lightning's Trainer, resumed where it stopped, and its best weights."""

import contextlib
import json
import logging
import os
import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn

from gr_tsddae import zoo
from gr_tsddae.files import write_json
from gr_tsddae.inference.device import multiplies_bfloat16_fast, resolve_device
from gr_tsddae.train.config import RunConfig, differences, plain
from gr_tsddae.train.learn.method import VALIDATION_LOSS, Method
from gr_tsddae.train.run.callbacks import (
    BEST_FILE,
    LAST_FILE,
    AtomicFiles,
    BestCheckpoint,
    Journal,
    LastCheckpoint,
    RunningAverage,
    StepStopping,
    Stopped,
)
from gr_tsddae.train.run.lock import alone_in
from gr_tsddae.train.windows.feed import Batch, Feed, Loader, Place
from gr_tsddae.train.windows.sources import Source

log = logging.getLogger(__name__)


class Run:
    """A training in a folder and on a device; where it is `validated`, that chooses the weights.

    Raises:
        ValueError: There is no such device, torchrun started another number of processes, or `out`
            is a file.
    """

    def __init__(self, config: RunConfig, *, validated: bool):
        self.config, self.validated = config, validated
        try:
            config.out.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise ValueError(f"out is {config.out}, a file: choose a folder") from error
        processes = config.trainer.devices * config.trainer.nodes
        started = int(os.environ.get("WORLD_SIZE", 1))
        if "TORCHELASTIC_RUN_ID" in os.environ and started != processes:
            raise ValueError(
                f"torchrun started {started} processes, trainer.devices times trainer.nodes is "
                f"{processes}: make them equal, or each process would train and write on its own"
            )
        device = resolve_device(config.trainer.device).type
        if device == "cuda" and torch.cuda.device_count() < config.trainer.devices:
            raise ValueError(
                f"trainer.device is cuda and trainer.devices {config.trainer.devices}: torch sees "
                f"{torch.cuda.device_count()} GPUs; use --trainer.device cpu"
            )
        self._quieten()
        if device == "cuda":  # multiply float32 in TF32: 10 bits of mantissa, much faster
            torch.set_float32_matmul_precision("high")
        self.last = LastCheckpoint(
            config.out / LAST_FILE, every_steps=config.trainer.checkpoint_steps
        )
        self.trainer = pl.Trainer(
            accelerator=device,
            devices=config.trainer.devices,
            num_nodes=config.trainer.nodes,
            strategy="ddp" if processes > 1 else "auto",
            precision=_precision(config.trainer.precision, device),
            max_epochs=-1,  # `fit` sets it: it knows the length of an epoch
            limit_val_batches=None if validated else 0,
            num_sanity_val_steps=0,
            callbacks=self._callbacks(),
            plugins=[AtomicFiles()],
            logger=False,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=config.out,
        )
        self.place = Place(
            self.trainer.strategy.root_device, self.trainer.global_rank, self.trainer.world_size
        )

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.trainer.is_global_zero

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep other runs out of the folder; the leading process holds the lock for all.

        Raises:
            ValueError: Another run is in it.
        """
        return alone_in(self.config.out) if self.leads else contextlib.nullcontext()

    def fit(
        self, method: Method, feed: Feed, validation: Iterable[Batch] | None = None
    ) -> nn.Module:
        """Train to the end, from the folder's checkpoint if it has one.

        Returns:
            The network, on the run's device and in evaluation mode, with the weights of the lowest
            validation loss, or of the last step without validation; averaged, if the run averages.

        Raises:
            ValueError: The checkpoint is damaged or of another configuration, or the best weights
                are gone.
            FloatingPointError: The loss is not finite.
            KeyboardInterrupt: The run was stopped; the checkpoint is written.
        """
        config = self.config.trainer
        last = self.config.out / LAST_FILE
        resumed = read_checkpoint(last, self.config) if last.exists() else None
        if not (resumed and resumed["finished"]):
            if resumed:
                log.info("resumed %s at step %d", last, resumed["global_step"])
            epochs = -(-config.steps // feed.steps_per_epoch) if config.steps else config.epochs
            self.trainer.fit_loop.max_epochs = epochs
            loader = Loader(
                feed,
                lambda: self.trainer.global_step,
                augment=config.seed if config.augment else None,
                rank=self.place.rank,
            )
            # Running averages are made on the device the method is on when the run begins.
            method.to(self.place.device)
            if config.compile:
                method.compile_networks()
            try:
                with self.last.listening():
                    self.trainer.fit(
                        method, loader, validation, ckpt_path=last if resumed else None,
                        weights_only=True,
                    )  # fmt: skip
            except Stopped:
                raise KeyboardInterrupt from None
        kept = self.config.out / (BEST_FILE if self.validated else LAST_FILE)
        state = read_checkpoint(kept, self.config)["state_dict"]
        prefix = "network."
        method.network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
        return method.network.to(self.place.device).eval().requires_grad_(True)

    def losses(self) -> list[dict[str, Any]]:
        """Read the lines of log.jsonl with a validation loss."""
        lines = (self.config.out / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if VALIDATION_LOSS in line]

    def _callbacks(self) -> list[pl.Callback]:
        config, out = self.config, self.config.out
        patience = config.trainer.stop_patience
        chosen: list[pl.Callback] = []
        if config.optimiser.ema_decay:
            chosen.append(RunningAverage(config.optimiser.ema_decay))
        if patience and config.patience_in_steps:
            chosen.append(StepStopping(patience=patience))
        elif patience and self.validated:
            chosen.append(
                EarlyStopping(
                    VALIDATION_LOSS,
                    patience=patience,
                    min_delta=0.0,
                    check_finite=False,
                    check_on_train_epoch_end=False,
                )
            )
        chosen.append(
            Journal(out, every_steps=config.trainer.log_steps, batch=config.optimiser.batch)
        )
        if self.validated:
            chosen.append(BestCheckpoint(out))
        return [*chosen, self.last]

    @staticmethod
    def _quieten() -> None:
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
        for words in (
            "does not have many workers", "GPU available but not used", "exists and is not empty",
            "but have no `val_dataloader`", "module.s. in eval mode", "treespec, LeafSpec",
            "could not find the monitored key",  # just after a resumption
        ):  # fmt: skip
            warnings.filterwarnings("ignore", message=f".*{words}.*")


def read_checkpoint(path: Path, config: RunConfig) -> dict[str, Any]:
    """Read a checkpoint of this very configuration, to the CPU.

    Raises:
        ValueError: It is damaged, or was made with another configuration.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        made_with, _ = state["config"], state["finished"]
    except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is damaged or no checkpoint; delete it to start anew") from error
    if changed := differences(made_with, plain(config)):
        raise ValueError(
            f"{path} was made with another configuration ({', '.join(changed)}); "
            "choose another --out folder, or delete that one"
        )
    return state


def write_model(config: RunConfig, source: Source, network: nn.Module, **card: Any) -> zoo.Card:
    """Write the network of a finished run with its card and metrics.json, and return the card."""
    made = zoo.Card(
        name=config.name,
        network=config.network.name,
        network_options=config.network.options,
        window_samples=source.window_samples,
        scaling=config.data.scaling,
        samples_per_symbol=source.samples_per_symbol,
        bandwidth_multiple=source.bandwidth_multiple,
        sample_rate_hz=source.sample_rate_hz,
        weights_sha256="",
        **card,
    )
    made = zoo.save(config.out, made, network)
    write_json(config.out / "metrics.json", {"model": config.name, **made.accuracy})
    log.info("wrote %s", config.out)
    return made


def _precision(word: str, device: str) -> str:
    if word != "auto":
        return word
    return "bf16-mixed" if multiplies_bfloat16_fast(device) else "32"
