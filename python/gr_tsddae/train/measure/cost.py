# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network costs: parameters, operations per window, and windows per second."""

from __future__ import annotations

import copy
import platform
import statistics
import time
import warnings

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

MEASURED_S = 1.0


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())


def gflop_per_window(network: nn.Module, window_samples: int) -> float:
    """Operations for one window in 10^9, of products and convolutions; one multiply-add is two.

    Fourier transforms, normalisation and activations are not counted.
    """
    network = copy.deepcopy(network).cpu().float().eval().requires_grad_(True)
    rows = torch.zeros(1, 2, window_samples)
    # Fused encoders, recurrent layers and attention hide their products from the counter; with
    # gradients, on the CPU, with plain attention and without oneDNN torch does without them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oneDNN's, of GPUs that nobody asked for
        with (
            torch.enable_grad(),
            sdpa_kernel(SDPBackend.MATH),
            torch.backends.mkldnn.flags(enabled=False),
            FlopCounterMode(display=False) as found,
        ):
            network(rows)
    return found.get_total_flops() / 1e9


@torch.inference_mode()
def windows_per_s(
    network: nn.Module, window_samples: int, *, device: torch.device, batch: int = 512
) -> float:
    """Windows classified per second in float32, the median over passes; without their transfer."""
    network = copy.deepcopy(network).to(device).float().eval()
    rows = torch.randn(batch, 2, window_samples, device=device)
    passes: list[float] = []
    began_s = time.perf_counter()
    while len(passes) < 4 or time.perf_counter() - began_s < MEASURED_S:
        start_s = time.perf_counter()
        network(rows)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        passes.append(time.perf_counter() - start_s)
    return batch / statistics.median(passes[1:])  # the first one also plans and allocates


def device_name(device: torch.device) -> str:
    """What people call it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.partition(":")[2].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{model}, {torch.get_num_threads()} threads"
