# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how fast a device multiplies matrices and copies memory."""

import statistics
import time
from collections.abc import Callable

import torch

MOST_CALLS = 2000  # that are timed


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def durations_s(run: Callable[[], object], *, seconds: float, least: int = 5) -> list[float]:
    """Time calls for so many seconds, after two calls to warm up.

    Args:
        run: Returns when its result is there.
        seconds: How long to go on.
        least: Time at least so many calls, however long they take.
    """
    run()
    run()
    found: list[float] = []
    until = time.perf_counter() + seconds
    while len(found) < least or (time.perf_counter() < until and len(found) < MOST_CALLS):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return found


def ceilings_flops(device: torch.device, seconds: float) -> dict[str, float]:
    """Measure multiplications and additions per second in large products of random matrices.

    Returns:
        FLOP/s of "float32" and "bfloat16"; on CUDA also of "tf32": float32 data of which 10 bits
        of mantissa are multiplied.
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
    repeats = 8 if device.type == "cuda" else 1  # so that the launch hardly counts

    def run() -> None:
        for _ in range(repeats):
            torch.matmul(left, right, out=out)
        synchronise(device)

    times = durations_s(run, seconds=seconds, least=3)
    return 2 * side**3 * repeats / statistics.median(times)


def bandwidth_bytes_per_s(device: torch.device, seconds: float) -> float:
    """Measure bytes read and written per second by a copy far larger than the caches."""
    count = 2**28 if device.type == "cuda" else 2**25
    source = torch.randn(count, device=device)
    target = torch.empty_like(source)

    def run() -> None:
        target.copy_(source)
        synchronise(device)

    times = durations_s(run, seconds=seconds, least=3)
    return 2 * 4 * count / statistics.median(times)
