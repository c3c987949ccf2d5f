# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel between transmitter and samples: echoes, carrier offset, noise. Vectorised."""

import math

import torch

# GNU Radio's selective fading model as RML2016 used it.
ECHO_DELAYS_SAMPLES = (0.0, 0.9, 1.7)
ECHO_AMPLITUDES = (1.0, 0.8, 0.3)
RICEAN_K = 4.0
ECHO_TAPS = 8  # samples a window loses to the echo filter's run-in, plus one


def complex_normal(*shape: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Draw circular Gaussian samples of unit power, complex64."""
    return torch.randn(*shape, dtype=torch.complex64, generator=generator, device=device)


def echo_taps(batch: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Draw Ricean three-path channels as FIR taps, (B, ECHO_TAPS).

    As in GNU Radio's model, the first path alone has a line of sight (of random phase, K = 4); its
    echoes are scattered only. All is frozen for the window: at 1 Hz Doppler and 200 kS/s a window
    sees no motion.
    """
    delays = torch.tensor(ECHO_DELAYS_SAMPLES, device=device)
    amplitudes = torch.tensor(ECHO_AMPLITUDES, device=device)
    phase = 2 * math.pi * torch.rand(batch, generator=generator, device=device)
    sight = torch.polar(torch.ones_like(phase), phase)
    gains = complex_normal(batch, len(ECHO_DELAYS_SAMPLES), generator=generator, device=device)
    gains[:, 0] = (math.sqrt(RICEAN_K) * sight + gains[:, 0]) / math.sqrt(RICEAN_K + 1)
    n = torch.arange(ECHO_TAPS, device=device)
    interpolator = torch.sinc(n - delays[:, None]).to(torch.complex64)  # (P, T)
    return (gains * amplitudes) @ interpolator


def convolve(signal: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Filter each row with its own taps: (B, L + T - 1), (B, T) -> (B, L)."""
    spans = signal.unfold(1, taps.shape[1], 1)  # (B, L, T)
    return (spans * taps.flip(1)[:, None, :]).sum(-1)


def shift_carrier(
    signal: torch.Tensor, offset_cycles_per_sample: torch.Tensor, phase_rad: torch.Tensor
) -> torch.Tensor:
    """Turn (B, L) by a carrier offset and a phase, each (B,)."""
    n = torch.arange(signal.shape[1], device=signal.device)
    angle = 2 * math.pi * offset_cycles_per_sample[:, None] * n + phase_rad[:, None]
    return signal * torch.polar(torch.ones_like(angle), angle)


def band_limit(
    samples: torch.Tensor, bandwidth: torch.Tensor, centre: torch.Tensor
) -> torch.Tensor:
    """Keep `bandwidth` (cycles per sample, (B,)) around `centre` of each row, power kept at unity.

    A soft-edged mask on the DFT: what a receiver's channel filter does to its own noise.
    """
    frequency = torch.fft.fftfreq(samples.shape[1], device=samples.device)
    distance = (frequency - centre[:, None] + 0.5).remainder(1.0) - 0.5  # wraps around
    edge = 0.02  # cycles per sample from pass to stop
    mask = torch.sigmoid((bandwidth[:, None] / 2 - distance.abs()) / (edge / 4))
    shaped = torch.fft.ifft(torch.fft.fft(samples) * mask)
    return shaped / mask.square().mean(1, keepdim=True).sqrt()
