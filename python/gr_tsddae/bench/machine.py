# SPDX-License-Identifier: GPL-3.0-or-later
"""What a result was measured on, and how fast that multiplies matrices."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from gr_tsddae.bench.environment import environment


def describe(device: torch.device) -> dict[str, object]:
    """Machine, versions and commit, for the results' JSON."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"device": name, **environment()}


def synchronise(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def durations_s(
    run: Callable[[], object], *, seconds: float, least: int = 5, most: int = 2000
) -> list[float]:
    """Times of calls that end when their result is there, for so long, after two to warm up."""
    run()
    run()
    found: list[float] = []
    until = time.perf_counter() + seconds
    while len(found) < least or (time.perf_counter() < until and len(found) < most):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return found


def ceilings_flops(device: torch.device, seconds: float) -> dict[str, float]:
    """Multiplications and additions per second of large matrix products of random data.

    Returns:
        FLOP/s of "float32" and "bfloat16"; on CUDA "tf32", too: float32 data, 10 bits multiplied.
    """
    kinds = {"float32": (torch.float32, False), "bfloat16": (torch.bfloat16, False)}
    if device.type == "cuda":
        kinds["tf32"] = (torch.float32, True)
    before = torch.get_float32_matmul_precision()
    found = {}
    try:
        for kind, (dtype, tf32) in kinds.items():
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
            found[kind] = max(_product_flops(n, dtype, device, seconds) for n in _sides(device))
    finally:
        torch.set_float32_matmul_precision(before)
    return found


def _sides(device: torch.device) -> tuple[int, ...]:
    return (4096, 8192) if device.type == "cuda" else (1024,)


def _product_flops(side: int, dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    out = torch.empty_like(left)
    repeats = 8 if device.type == "cuda" else 1  # so that a launch costs nothing

    def run() -> None:
        for _ in range(repeats):
            torch.matmul(left, right, out=out)
        synchronise(device)

    times = durations_s(run, seconds=seconds, least=3)
    return 2 * side**3 * repeats / sorted(times)[len(times) // 2]


def bandwidth_bytes_per_s(device: torch.device, seconds: float) -> float:
    """Bytes read and written per second by a copy far larger than the caches."""
    count = 2**28 if device.type == "cuda" else 2**25
    source = torch.randn(count, device=device)
    target = torch.empty_like(source)

    def run() -> None:
        target.copy_(source)
        synchronise(device)

    times = durations_s(run, seconds=seconds, least=3)
    return 2 * 4 * count / sorted(times)[len(times) // 2]
