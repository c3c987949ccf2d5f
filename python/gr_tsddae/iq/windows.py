# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows: L complex samples as two real rows, one gain, and their spectrum.

This file holds all that turns samples into the network's input, so that training, evaluation,
export and the live blocks agree.
"""

from collections.abc import Callable

import numpy as np
import torch

from gr_tsddae.iq.scalings import SCALING_NAMES

# Below this mean power a window counts as digital silence and keeps gain 1 (so zeros stay zeros).
# It is 300 dB under full scale: no receiver's noise floor comes near it.
SILENCE_POWER = 1e-30


def cut(iq: np.ndarray, window_samples: int, hop_samples: int) -> np.ndarray:
    """Cut a complex stream into windows, without copying.

    Args:
        iq: complex samples, shape (N,).
        window_samples: window length L, at least 1.
        hop_samples: distance between window starts, at least 1.

    Returns:
        A read-only view of shape (B, L) with B = 1 + (N - L) // hop, or (0, L) when N < L. Samples
        behind the last whole window are left out.

    Raises:
        ValueError: If a length is not positive or `iq` is not one-dimensional.
    """
    if iq.ndim != 1:
        raise ValueError(f"iq has shape {iq.shape}: cutting needs one dimension of samples")
    if window_samples < 1:
        raise ValueError(f"window_samples is {window_samples}: a window needs at least 1 sample")
    if hop_samples < 1:
        raise ValueError(f"hop_samples is {hop_samples}: windows must advance by at least 1 sample")
    if len(iq) < window_samples:
        return np.empty((0, window_samples), iq.dtype)
    return np.lib.stride_tricks.sliding_window_view(iq, window_samples)[::hop_samples]


def to_rows(windows: torch.Tensor) -> torch.Tensor:
    """Turn complex windows (B, L) into real rows (B, 2, L): row 0 is I, row 1 is Q."""
    return torch.stack((windows.real, windows.imag), dim=1)  # later steps are faster on whole rows


def to_complex(rows: torch.Tensor) -> torch.Tensor:
    """Turn real rows (B, 2, L) into complex windows (B, L)."""
    return torch.complex(rows[:, 0], rows[:, 1])


def unit_power(rows: torch.Tensor) -> torch.Tensor:
    """Scale each window to mean |x|^2 = 1 with one gain for I and Q; silence stays silence.

    Separate gains for I and Q would bend the constellation, and a fixed gain would tie the model
    to one receiver's level.
    """
    power = rows.square().sum(1, keepdim=True).mean(2, keepdim=True)  # (B, 1, 1)
    return rows * torch.where(power > SILENCE_POWER, power, torch.ones_like(power)).rsqrt()


# A card names its scaling; a new one is a new name, never a changed meaning.
SCALINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = dict(
    zip(SCALING_NAMES, (unit_power,), strict=True)
)


def spectrum(rows: torch.Tensor) -> torch.Tensor:
    """Return the orthonormal DFT of each window as rows: (B, 2, L) -> (B, 2, L).

    Bin k sits at k/L cycles per sample, in the DFT's own order (no shift), so that the transform
    is unitary: white noise of one variance stays white noise of that variance (paper, Eq. 1-3).
    """
    return to_rows(torch.fft.fft(to_complex(rows.float()), norm="ortho"))
