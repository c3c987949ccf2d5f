#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows per second of pre-training and fine-tuning, beside a plain float32 loop.

    .venv/bin/python benchmarks/training.py

The plain loop is what one writes first: a `DataLoader` that collates single windows, float32, no
compilation, the network with its own dropout. Ours are the commands themselves, with checkpoints,
log and validation, on the same windows, once with that dropout and once without (endless windows
need none). Writes benchmarks/results/training.json. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from gr_tsddae import nets
from gr_tsddae.iq.windows import unit_power
from gr_tsddae.nets.diffusion import Diffusion
from gr_tsddae.runner import resolve_device
from gr_tsddae.synth import CLASSES, draw_random
from gr_tsddae.train.config import (
    DataConfig,
    FinetuneConfig,
    NetworkConfig,
    OptimiserConfig,
    PretrainConfig,
    TrainerConfig,
)
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.pretrain import pretrain
from machine import describe, results_folder

WINDOW_SAMPLES = 128
NETWORKS = {"tsnet-nano": 256, "tsnet-small": 256, "tsnet-base": 32}  # name -> windows per step
NO_DROPOUT = {"dropout": 0.0, "drop_path": 0.0}


def plain_rate(task: str, name: str, rows: torch.Tensor, label: torch.Tensor, steps: int) -> float:
    """Windows per second of the loop one writes first."""
    torch.manual_seed(1)
    device = resolve_device("auto")
    loader = DataLoader(
        TensorDataset(rows, label), NETWORKS[name], shuffle=True, drop_last=True, num_workers=0
    )
    diffusion = Diffusion().to(device)
    if task == "finetune":
        network = nets.create(name, class_count=len(CLASSES)).to(device).train()
    else:
        network = nets.create_denoiser(name).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    durations, began = [], time.perf_counter()
    while len(durations) < steps:
        for batch, target in loader:
            windows = unit_power(batch.to(device))
            if task == "finetune":
                loss = F.cross_entropy(network(windows), target.to(device))
            else:
                step = torch.randint(1, diffusion.steps + 1, (len(windows),), device=device)
                noises = torch.randn_like(windows), torch.randn_like(windows)
                noisy = diffusion.corrupt(windows, step, *noises)
                loss = diffusion.loss(*noises, *network(noisy, step))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()
            durations.append(time.perf_counter() - began)
            began = time.perf_counter()
            if len(durations) == steps:
                break
    return NETWORKS[name] / statistics.median(durations[2:])


def command_rate(task: str, name: str, path: Path, steps: int, options: dict[str, float]) -> float:
    """Windows per second of our command, from its own log."""
    config_class, command = {
        "finetune": (FinetuneConfig, finetune),
        "pretrain": (PretrainConfig, pretrain),
    }[task]
    with tempfile.TemporaryDirectory() as folder:
        command(
            config_class(
                name="speed",
                out=Path(folder) / "run",
                network=NetworkConfig(name=name, options=options),
                data=DataConfig(kind="npz", path=path),
                optimiser=OptimiserConfig(batch=NETWORKS[name]),
                trainer=TrainerConfig(epochs=None, steps=steps, log_steps=2),
            )
        )
        lines = (Path(folder) / "run" / "log.jsonl").read_text().splitlines()
    rates = [line["windows_per_s"] for line in map(json.loads, lines) if "windows_per_s" in line]
    return statistics.median(rates[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=24, help="optimiser steps per measurement")
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    generator = torch.Generator().manual_seed(1)
    rows, label, level = draw_random(
        "as-released", 12_000, window_samples=WINDOW_SAMPLES, generator=generator
    )
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "windows.npz"
        names = np.array(CLASSES)[label.numpy()]
        np.savez(path, X=rows.numpy(), y=names, snr=2 * np.rint(level.numpy() / 2))
        for name in asked.networks:
            for task in ("pretrain", "finetune"):
                plain = plain_rate(task, name, rows, label, asked.steps)
                same = command_rate(task, name, path, asked.steps, {})
                bare = command_rate(task, name, path, asked.steps, NO_DROPOUT)
                rates = {"plain": plain, "command": same, "command_without_dropout": bare}
                measured.append(
                    {"network": name, "task": task, "batch": NETWORKS[name]}
                    | {key: round(rate, 1) for key, rate in rates.items()}
                )
                print(
                    f"{name:12} {task:9} plain {plain:7.0f}  command {same:7.0f} "
                    f"({same / plain:.1f}x)  without dropout {bare:7.0f} ({bare / plain:.1f}x)",
                    flush=True,
                )
    path = results_folder() / "training.json"
    result = {"machine": describe(resolve_device("auto")), "windows_per_s": measured}
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
