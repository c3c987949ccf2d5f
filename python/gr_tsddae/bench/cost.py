# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a network costs: parameters, operations per window, windows per second."""

import copy
import statistics
import warnings

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gr_tsddae.bench.ceilings import durations_s, synchronise

MEASURED_S = 1.0
PASS_SAMPLES = 1 << 16  # samples per pass: 512 windows of 128


def parameters(network: nn.Module) -> int:
    """Count the trained values of a network."""
    return sum(p.numel() for p in network.parameters())


def flop_per_window(network: nn.Module, window_samples: int) -> int:
    """Count the operations of products and convolutions for one window; a multiply-add is two.

    Fourier transforms, normalisation and activations are not counted.
    """
    network = copy.deepcopy(network).cpu().float().eval().requires_grad_(True)
    rows = torch.zeros(1, 2, window_samples)
    # Fused encoders, recurrent layers and attention hide their products from the counter. With
    # gradients, on the CPU, with plain attention and without oneDNN, torch does not use them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oneDNN warns of GPUs that nobody asked for
        with (
            torch.enable_grad(),
            sdpa_kernel(SDPBackend.MATH),
            torch.backends.mkldnn.flags(enabled=False),
            FlopCounterMode(display=False) as found,
        ):
            network(rows)
    return found.get_total_flops()


@torch.inference_mode()
def windows_per_s(network: nn.Module, window_samples: int, *, device: torch.device) -> float:
    """Measure windows per second in float32 without their transfer: the median over passes."""
    network = copy.deepcopy(network).to(device).float().eval()
    count = max(1, PASS_SAMPLES // window_samples)
    rows = torch.randn(count, 2, window_samples, device=device)

    def run() -> None:
        network(rows)
        synchronise(device)

    return count / statistics.median(durations_s(run, seconds=MEASURED_S, least=3))
