#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows per second of every TS-Net size on this machine, beside plain eager float32 base.

    .venv/bin/python benchmarks/inference.py

Windows are noise, not zeros; weights are untrained, which changes no speed. Writes
benchmarks/results/inference.json and prints a table. Compare figures of one run only.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from gr_tsddae import nets
from gr_tsddae.iq.windows import unit_power
from gr_tsddae.runner import PRECISIONS, resolve_device
from machine import describe, results_folder

WINDOW_SAMPLES = 128
CLASS_COUNT = 12
MEASURE_S = 3.0
BATCHES = {"tsnet-base": (16, 64), "tsnet-small": (64, 256), "tsnet-nano": (256, 1024)}


@torch.inference_mode()
def windows_per_s(network: torch.nn.Module, rows: torch.Tensor) -> float:
    """Median over repeated passes, scaling included."""
    for _ in range(3):
        network(unit_power(rows))
    synchronise = torch.cuda.synchronize if rows.is_cuda else lambda: None
    durations = []
    until = time.perf_counter() + MEASURE_S
    while time.perf_counter() < until or len(durations) < 3:
        began = time.perf_counter()
        network(unit_power(rows))
        synchronise()
        durations.append(time.perf_counter() - began)
    return len(rows) / sorted(durations)[len(durations) // 2]


def main() -> None:
    device = resolve_device("auto")
    torch.manual_seed(1)
    measured = []
    for name in ("tsnet-base", "tsnet-small", "tsnet-nano"):
        for precision, dtype in PRECISIONS.items():
            network = nets.create(name, class_count=CLASS_COUNT).eval().to(device, dtype)
            for batch in BATCHES[name]:
                rows = torch.randn(batch, 2, WINDOW_SAMPLES, device=device)
                rate = windows_per_s(network, rows)
                measured.append(
                    {
                        "network": name,
                        "precision": precision,
                        "batch": batch,
                        "windows_per_s": round(rate, 1),
                        "samples_per_s": round(rate * WINDOW_SAMPLES),
                    }
                )
    reference = next(
        m["windows_per_s"]
        for m in measured
        if m["network"] == "tsnet-base" and m["precision"] == "float32"
    )
    print(f"{'network':<12} {'precision':<9} {'batch':>5} {'windows/s':>10} {'MS/s':>7}  x base")
    for m in measured:
        m["times_reference"] = round(m["windows_per_s"] / reference, 1)
        print(
            f"{m['network']:<12} {m['precision']:<9} {m['batch']:>5} {m['windows_per_s']:>10.0f} "
            f"{m['samples_per_s'] / 1e6:>7.3f}  {m['times_reference']}"
        )
    result = {"machine": describe(device), "window_samples": WINDOW_SAMPLES, "measured": measured}
    path = results_folder() / "inference.json"
    Path(path).write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
