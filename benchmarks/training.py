#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows per second of pre-training and fine-tuning, beside a plain float32 loop.

    .venv/bin/python benchmarks/training.py
    .venv/bin/python benchmarks/training.py --device cuda --networks tsnet-base

The plain loop is a first draft: a `DataLoader` that collates single windows, float32, no
compilation, the paper's batch, the network with its own dropout. It is compared with the commands
themselves, with checkpoints and log:

* command: the same windows, batch and dropout; the validation between epochs is not counted;
* endless: as in the recipes, synthetic windows made meanwhile, which need no dropout;
* compiled: like endless, with `trainer.compile`.

Needs neither GNU Radio nor a data set. Writes benchmarks/results/training.json, on a GPU
training-cuda.json. Compare results of one run only.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from gr_tsddae import nets
from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json
from gr_tsddae.inference.device import resolve_device
from gr_tsddae.iq.windows import unit_power
from gr_tsddae.nets.diffusion import Diffusion
from gr_tsddae.synth import CLASSES, draw_random
from gr_tsddae.train.config import (
    DataConfig,
    FinetuneConfig,
    NetworkChoice,
    OptimiserConfig,
    PretrainConfig,
    TrainerConfig,
)
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.run.memory import keep_freed_memory

WINDOW_SAMPLES = 128
RECIPE = "live+as-released"
NETWORKS = ("tsnet-nano", "tsnet-mini", "tsnet-small", "tsnet-base")
TASKS = ("pretrain", "finetune")
MODES = ("command", "endless", "compiled")
PAPER_BATCH = 256  # an eighth for base on a CPU, where a step takes a minute
# For endless windows: enough to keep the device busy.
BATCH = {
    "cpu": {"tsnet-nano": 512, "tsnet-mini": 256, "tsnet-small": 256, "tsnet-base": 32},
    "cuda": {"tsnet-nano": 8192, "tsnet-mini": 8192, "tsnet-small": 8192, "tsnet-base": 1024},
}
NO_DROPOUT = {"dropout": 0.0, "drop_path": 0.0}
COMMANDS = {"finetune": (FinetuneConfig, finetune), "pretrain": (PretrainConfig, pretrain)}


def plain_rate(
    task: str, name: str, windows: TensorDataset, batch: int, steps: int, device: torch.device
) -> float:
    """Measure windows per second of the plain loop."""
    torch.manual_seed(1)
    loader = DataLoader(windows, batch, shuffle=True, drop_last=True, num_workers=0)
    diffusion = Diffusion().to(device)
    if task == "finetune":
        network = nets.create(name, class_count=len(CLASSES)).to(device).train()
    else:
        network = nets.create_denoiser(name).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    durations, began = [], time.perf_counter()
    while len(durations) < steps:
        for rows, label in loader:
            clean = unit_power(rows.to(device))
            if task == "finetune":
                loss = F.cross_entropy(network(clean), label.to(device))
            else:
                step = torch.randint(1, diffusion.steps + 1, (len(clean),), device=device)
                noises = torch.randn_like(clean), torch.randn_like(clean)
                noisy = diffusion.corrupt(clean, step, *noises)
                loss = diffusion.loss(*noises, *network(noisy, step))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()
            durations.append(time.perf_counter() - began)
            began = time.perf_counter()
            if len(durations) == steps:
                break
    return batch / statistics.median(durations[2:])


def command_rate(task: str, name: str, *, compiled: bool, device: str, **changes: Any) -> float:
    """Compute windows per second of our command from the lines of its log.

    For a file it is their median, which leaves out lines with a validation. For endless windows it
    is the mean over time, since they are made for many steps at once. The first line is left out:
    it compiles and warms up.
    """
    config_class, command = COMMANDS[task]
    steps = changes.pop("steps")
    batch = changes.pop("batch")
    trainer = TrainerConfig(
        steps=steps, log_steps=max(2, steps // 8), compile=compiled, device=device
    )
    with tempfile.TemporaryDirectory() as folder:
        command(
            config_class(
                name="speed",
                out=Path(folder) / "run",
                optimiser=OptimiserConfig(batch=batch, schedule="onecycle", ema_decay=0.999),
                trainer=trainer,
                **changes,
                **({"network": NetworkChoice(name=name)} if "network" not in changes else {}),
                **({"test_windows": 1} if task == "finetune" else {}),
            )
        )
        lines = (Path(folder) / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rates = [line["windows_per_s"] for line in map(json.loads, lines) if "windows_per_s" in line]
    endless = changes["data"].path is None
    return (statistics.harmonic_mean if endless else statistics.median)(rates[1:])


def plain_batch_of(name: str, device: torch.device) -> int:
    return PAPER_BATCH if device.type == "cuda" or name != "tsnet-base" else PAPER_BATCH // 8


def measure_plain(task: str, name: str, path: Path, asked: argparse.Namespace) -> float:
    """Measure and print the plain loop's rate."""
    device = resolve_device(asked.device)
    with np.load(path) as file:
        label = torch.from_numpy(np.searchsorted(CLASSES, file["y"]))
        windows = TensorDataset(torch.from_numpy(file["X"]), label)
    rate = plain_rate(task, name, windows, plain_batch_of(name, device), asked.steps, device)
    print(f"{name:12} {task:9} plain {rate:9.0f} windows/s", flush=True)
    return rate


def measure(
    task: str, name: str, plain: float, path: Path, asked: argparse.Namespace
) -> dict[str, Any]:
    """Measure the rates of the modes asked for, beside the plain loop's."""
    device = resolve_device(asked.device)
    plain_batch = plain_batch_of(name, device)
    batch = asked.batch or BATCH[device.type][name]
    steps, where = asked.steps, {"device": device.type}
    rates = {"plain": plain}
    endless = {
        "data": DataConfig(recipe=RECIPE, window_samples=WINDOW_SAMPLES),
        "network": NetworkChoice(name=name, options=NO_DROPOUT),
        "batch": batch,
        "steps": steps,
    }
    same = {"data": DataConfig(kind="npz", path=path), "batch": plain_batch, "steps": steps}
    for mode in asked.modes:
        changes = same if mode == "command" else endless
        rates[mode] = command_rate(task, name, compiled=mode == "compiled", **where, **changes)
        print(
            f"{name:12} {task:9} {mode:9} {rates[mode]:5.0f} windows/s, "
            f"{rates[mode] / rates['plain']:.1f} x plain",
            flush=True,
        )
        torch.compiler.reset()
    rounded = {mode: round(rate, 1) for mode, rate in rates.items()}
    return {"network": name, "task": task, "plain_batch": plain_batch, "batch": batch, **rounded}


def write_windows(path: Path) -> None:
    """Write a file of windows like a user's."""
    generator = torch.Generator().manual_seed(1)
    rows, label, level = draw_random(
        "as-released", 12_000, window_samples=WINDOW_SAMPLES, generator=generator
    )
    names = np.array(CLASSES)[label.numpy()]
    np.savez(path, X=rows.numpy(), y=names, snr=2 * np.rint(level.numpy() / 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--batch", type=int, help="windows per step of endless and compiled")
    parser.add_argument(
        "--steps", type=int, help="optimiser steps per measurement; 24 on a CPU, 160 on a GPU"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    device = resolve_device(asked.device)
    asked.steps = asked.steps or (160 if device.type == "cuda" else 24)
    plain_name = "training-cuda.json" if device.type == "cuda" else "training.json"
    out = asked.out or Path(__file__).parent / "results" / plain_name
    result = {"machine": describe(device), "windows_per_s": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "windows.npz"
        write_windows(path)
        pairs = [(task, name) for name in asked.networks for task in asked.tasks]
        plain = {pair: measure_plain(*pair, path, asked) for pair in pairs}
        keep_freed_memory()  # as the commands do; the plain loop does not
        for pair in pairs:
            result["windows_per_s"].append(measure(*pair, plain[pair], path, asked))
            write_json(out, result)  # so that a run cut short leaves its results
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
