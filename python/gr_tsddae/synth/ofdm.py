# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM: a grid of carriers to samples with cyclic prefixes, and a change of sample rate."""

import math
from collections.abc import Sequence
from fractions import Fraction

import torch

# Share of the new band, at each end, over which the anti-alias filter falls.
EDGE_SHARE = 0.04


def qam(side: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw square-QAM symbols of unit mean energy; `side` holds points per axis (2 is QPSK)."""
    steps = torch.floor(torch.rand(2, *side.shape, generator=generator) * side)
    level = 2 * steps - (side - 1)
    return torch.complex(level[0], level[1]) / (2 * (side.square() - 1) / 3).sqrt()


def modulate(
    grid: torch.Tensor, carriers: torch.Tensor, fft_samples: int, prefix_samples: Sequence[int]
) -> torch.Tensor:
    """Turn carriers to samples.

    Args:
        grid: complex (S, K), unit mean energy gives unit mean power; S symbols in time.
        carriers: int64 (K,), number of each carrier, 0 in the middle of the band.
        fft_samples: length of a symbol without prefix.
        prefix_samples: cyclic prefix of each symbol, a pattern that repeats; its length divides S.

    Returns:
        complex64 (sum of all symbol lengths,).
    """
    spectrum = torch.zeros(len(grid), fft_samples, dtype=torch.complex64)
    spectrum[:, carriers % fft_samples] = grid.to(torch.complex64)
    body = torch.fft.ifft(spectrum) * (fft_samples / math.sqrt(len(carriers)))
    # Where each sample of one run of the pattern lies in that run's symbols without prefixes.
    source = torch.cat(
        [
            i * fft_samples + torch.arange(-prefix, fft_samples) % fft_samples
            for i, prefix in enumerate(prefix_samples)
        ]
    )
    return body.view(-1, len(prefix_samples) * fft_samples)[:, source].flatten()


def resample(samples: torch.Tensor, ratio: Fraction) -> torch.Tensor:
    """Change the sample rate by a rational ratio, by cutting or padding the DFT.

    To a lower rate, what the new band has no room for is filtered away, with a soft edge. The
    stream is taken as a ring: its first and last few dozen samples are blends of both ends.

    Args:
        samples: complex (N,), N a multiple of the ratio's denominator.
        ratio: new rate over old rate.

    Returns:
        complex64 (N * ratio,).
    """
    if ratio == 1:
        return samples
    old = len(samples)
    new = old // ratio.denominator * ratio.numerator
    kept = min(old, new)
    spectrum = torch.fft.fft(samples)
    positive = (kept + 1) // 2
    resized = torch.zeros(new, dtype=torch.complex64)
    resized[:positive] = spectrum[:positive]
    resized[new - (kept - positive) :] = spectrum[old - (kept - positive) :]
    if ratio < 1:
        edge = ((0.5 - torch.fft.fftfreq(new).abs()) / EDGE_SHARE).clamp(0, 1)
        resized *= torch.sin(math.pi / 2 * edge).square()
    return torch.fft.ifft(resized) * float(ratio)
