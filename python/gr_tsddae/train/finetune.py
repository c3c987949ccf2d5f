# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a classifier on windows that are synthesised as it goes, so that none is seen twice."""

from __future__ import annotations

import json
import logging
import math
import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gr_tsddae import nets, zoo
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.synth import CLASSES, RECIPES, draw
from gr_tsddae.train.evaluate import evaluate_synthetic

log = logging.getLogger(__name__)

SCALING = "unit_power"
EMA_DECAY = 0.999
# Seed of the windows a model is measured on. Generators keep 32 bits of a seed; training's are
# seed * 1_000_003 + step, for seeds up to 1000 far below this one.
TEST_SEED = 4_000_000_000


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One training run.

    Attributes:
        name: the model's name.
        network: one of `nets.names()`.
        recipe: one of `synth.RECIPES`.
        window_samples: L.
        steps: optimiser steps.
        batch: windows per step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: AdamW's.
        snr_db: lowest and highest true SNR, drawn uniformly.
        seed: of weights and windows.
        device: "cpu", "cuda", ...
        bfloat16: autocast products to bfloat16; 3-4 times as fast where the processor has AMX.
        checkpoint_steps: steps between checkpoints.
        test_windows: windows per class and SNR of the final measurement.
        noise_prior: how likely a window of nothing is where the model will be used. Training draws
            all classes alike; a receiver mostly hears nothing.
    """

    name: str
    network: str = "tsnet-nano"
    recipe: str = "live"
    window_samples: int = 128
    steps: int = 12_000
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    snr_db: tuple[float, float] = (-20.0, 30.0)
    seed: int = 1
    device: str = "cpu"
    bfloat16: bool = True
    checkpoint_steps: int = 500
    test_windows: int = 200
    noise_prior: float = 0.3

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(f"no recipe {self.recipe!r}; there are: {', '.join(RECIPES)}")
        for name in ("steps", "batch", "window_samples", "checkpoint_steps", "test_windows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if not self.snr_db[0] <= self.snr_db[1]:
            raise ValueError(f"snr_db is {self.snr_db}: give the lowest, then the highest")
        if not 1 <= self.seed <= 1000:
            raise ValueError(f"seed is {self.seed}: it must be from 1 to 1000")
        if not 0 < self.noise_prior < 1:
            raise ValueError(f"noise_prior is {self.noise_prior}: it must be between 0 and 1")
        kind = self.device.split(":")[0]
        if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
            raise ValueError(f"device is {self.device!r}: use cpu, or cuda where torch sees a GPU")
        # Card and decisions write the name into paths and messages.
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"name is {self.name!r}: use letters, digits, '-' and '_'")


def synthetic_batches(
    config: FinetuneConfig, first_step: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (rows (B, 2, L), label (B,)); step n is the same however often training resumed."""
    recipe, device = RECIPES[config.recipe], torch.device(config.device)
    low, high = config.snr_db
    step = first_step
    while True:
        generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + step)
        label = torch.randint(len(CLASSES), (config.batch,), generator=generator, device=device)
        snr_db = low + (high - low) * torch.rand(config.batch, generator=generator, device=device)
        rows = draw(
            recipe, label, snr_db, window_samples=config.window_samples, generator=generator
        )
        yield rows, label
        step += 1


class Run:
    """A training run in a folder: network, its average, optimiser, and how far it got."""

    def __init__(self, config: FinetuneConfig, folder: Path):
        self.config = config
        self.folder = folder
        torch.manual_seed(config.seed)
        device = torch.device(config.device)
        self.network = nets.create(config.network, class_count=len(CLASSES)).to(device)
        # The shipped weights are a running average: steadier than any single step's.
        self.average = AveragedModel(
            self.network, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY), use_buffers=True
        )
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed}, {"params": plain, "weight_decay": 0.0}],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            config.learning_rate,
            total_steps=config.steps,
            # A tenth warms up; where that is a single step, torch would divide by zero.
            pct_start=0.1 if config.steps > 10 else 0.3,
        )
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _parts(self) -> dict[str, object]:
        return {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }

    def save(self) -> None:
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"step": self.step, "config": asdict(self.config)}
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def resume(self) -> bool:
        """Take up the folder's checkpoint, if there is one.

        Raises:
            ValueError: when it is damaged, or was made with another configuration.
        """
        if not self.checkpoint.exists():
            return False
        try:
            state = torch.load(self.checkpoint, weights_only=True, map_location=self.config.device)
            state["config"]
        except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError) as error:
            raise ValueError(
                f"{self.checkpoint} is damaged or no checkpoint; delete it to start anew"
            ) from error
        if state["config"] != asdict(self.config):
            raise ValueError(
                f"{self.checkpoint} was made with another configuration; "
                "choose another --out folder, or delete that one"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step = state["step"]
        return True

    def train_step(self, rows: torch.Tensor, label: torch.Tensor) -> float:
        """One optimiser step; the batch's cross-entropy loss."""
        self.network.train()
        # Dropout, like the windows, depends on seed and step only; other numbers than the windows'.
        torch.manual_seed(self.config.seed * 1_000_003 - 1 - self.step)
        with torch.autocast(
            self.config.device.split(":")[0], torch.bfloat16, enabled=self.config.bfloat16
        ):
            logits = self.network(rows)
        loss = F.cross_entropy(logits.float(), label)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return loss.item()


def finetune(config: FinetuneConfig, out: Path) -> zoo.Card:
    """Train, measure, and write the model folder `out`.

    Resumes from `out/checkpoint.pt` when it is there. Windows and dropout depend on seed and
    step only, so a resumed run ends with the same weights as an uninterrupted one.

    Returns:
        The card, with accuracy per SNR on windows the model never saw.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = Run(config, out)
    if run.resume():
        log.info("resumed %s at step %d", run.checkpoint, run.step)
    scale = SCALINGS[SCALING]
    began, began_step, recent = time.monotonic(), run.step, math.nan
    with (out / "log.jsonl").open("a") as journal:
        for rows, label in synthetic_batches(config, run.step):
            if run.step >= config.steps:
                break
            loss = run.train_step(scale(rows), label)
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"loss is {loss} at step {run.step}: lower --learning-rate, or use "
                    "--no-bfloat16; the last good checkpoint stays"
                )
            recent = loss if math.isnan(recent) else 0.98 * recent + 0.02 * loss
            if run.step % 50 == 0:
                _report(run, recent, began, began_step, journal)
            if run.step % config.checkpoint_steps == 0:
                run.save()
    run.save()
    network = run.average.module.eval()
    shift_noise_prior(network, config.noise_prior)
    accuracy = evaluate_synthetic(
        network,
        recipe=config.recipe,
        scaling=SCALING,
        window_samples=config.window_samples,
        windows_per_class=config.test_windows,
        seed=TEST_SEED,
        device=config.device,
    )
    card = zoo.Card(
        name=config.name,
        task="amc",
        network=config.network,
        classes=CLASSES,
        window_samples=config.window_samples,
        scaling=SCALING,
        samples_per_symbol=RECIPES[config.recipe].samples_per_symbol,
        weights_sha256="",
        licence="GPL-3.0-or-later",
        description=(
            f"Modulation recognition, {len(CLASSES)} classes, trained from scratch on synthetic "
            f"windows of the recipe '{config.recipe}'."
        ),
        training={
            "data": "gr_tsddae.synth, made while training; no recording, no released dataset",
            "windows": config.steps * config.batch,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()},
        },
        accuracy=accuracy,
    )
    return zoo.save(out, card, network)


@torch.no_grad()
def shift_noise_prior(network: nn.Module, noise_prior: float) -> None:
    """Make a classifier trained on equally likely classes expect `noise` this often.

    By Bayes' rule another prior adds the logarithm of its odds, relative to the old one's, to the
    class's logit; here, to the bias of the last layer.
    """
    uniform = 1 / len(CLASSES)
    shift = math.log(noise_prior / (1 - noise_prior)) - math.log(uniform / (1 - uniform))
    network.head[-1].bias[CLASSES.index("noise")] += shift


def _report(run: Run, loss: float, began: float, began_step: int, journal) -> None:
    rate = (run.step - began_step) / (time.monotonic() - began)
    left_s = (run.config.steps - run.step) / rate
    line = {
        "step": run.step,
        "loss": round(loss, 4),
        "learning_rate": run.schedule.get_last_lr()[0],
        "windows_per_s": round(rate * run.config.batch),
    }
    journal.write(json.dumps(line) + "\n")
    journal.flush()
    print(
        f"\rstep {run.step}/{run.config.steps}  loss {loss:.3f}  "
        f"{line['windows_per_s']} windows/s  {left_s / 60:.0f} min left ",
        end="" if run.step < run.config.steps else "\n",
        file=sys.stderr,
        flush=True,
    )
