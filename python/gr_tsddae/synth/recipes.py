# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: which windows a training or test set is made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gr_tsddae.iq.windows import to_rows
from gr_tsddae.synth import channel
from gr_tsddae.synth.modulators import CLASSES, MODULATORS, Timing


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How windows are drawn. Shares are probabilities per window.

    Attributes:
        samples_per_symbol: nominal, of the digital classes.
        rate_offset: the sample clock is off by up to this share, uniformly, either way.
        carrier_offset: largest carrier offset in cycles per sample, uniform, either way.
        carrier_share: windows that have a carrier offset at all.
        echo_share: windows that went through the three-path Ricean channel.
        filtered_share: windows whose noise was narrowed by a channel filter.
    """

    samples_per_symbol: float = 8.0
    rate_offset: float = 0.0
    carrier_offset: float = 0.0
    carrier_share: float = 1.0
    echo_share: float = 0.0
    filtered_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("carrier_share", "echo_share", "filtered_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a share is from 0 to 1")
        if not 0 <= self.rate_offset < 1:
            raise ValueError(f"rate_offset is {self.rate_offset}: it is from 0 to under 1")
        if not 0 <= self.carrier_offset <= 0.5:
            raise ValueError(
                f"carrier_offset is {self.carrier_offset}: it is from 0 to 0.5 cycles per sample"
            )
        if not self.samples_per_symbol >= 2:
            raise ValueError(
                f"samples_per_symbol is {self.samples_per_symbol}: at least 2 are needed, "
                "or the signal aliases"
            )


RECIPES = {
    # Nothing but modulation, timing, phase and noise: for checking things against theory.
    "clean": Recipe(),
    # RML2016's channel at a true SNR.
    "rml": Recipe(rate_offset=0.0005, carrier_offset=0.0025, echo_share=1.0),
    # What a live receiver meets: half of it RML2016's channel, carriers off tune, noise that a
    # channel filter has narrowed.
    "live": Recipe(
        rate_offset=0.01,
        carrier_offset=0.02,
        carrier_share=0.5,
        echo_share=0.6,
        filtered_share=0.3,
    ),
}


def draw(
    recipe: Recipe,
    label: torch.Tensor,
    snr_db: torch.Tensor,
    *,
    window_samples: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw windows of given classes and true SNRs.

    The SNR is the power of the signal in this very window over the mean power of the noise in
    the whole sampled band. Class `noise` has none and ignores it.

    Args:
        recipe: how.
        label: indices into `CLASSES`, (B,).
        snr_db: (B,), same device as `label`.
        window_samples: L.
        generator: source of all randomness, on the device of `label`.

    Returns:
        Windows, float32 (B, 2, L), mean power near 1; scale them with the model's own scaling.

    Raises:
        ValueError: when a label is not one of `CLASSES`, lengths differ, or a window is empty.
    """
    if window_samples < 1:
        raise ValueError(f"window_samples is {window_samples}: a window needs at least 1 sample")
    if label.shape != snr_db.shape or label.ndim != 1:
        raise ValueError(
            f"label {tuple(label.shape)} and snr_db {tuple(snr_db.shape)} must both be (B,)"
        )
    if len(label) and not 0 <= int(label.min()) <= int(label.max()) < len(CLASSES):
        raise ValueError(
            f"labels span {int(label.min())}..{int(label.max())}: indices into the "
            f"{len(CLASSES)} classes are 0..{len(CLASSES) - 1}"
        )
    batch, device = len(label), label.device
    if not batch:
        return torch.empty(0, 2, window_samples, device=device)  # the FFT refuses an empty batch

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(batch, generator=generator, device=device)

    def chosen(share: float) -> torch.Tensor:
        return uniform(0, 1) < share

    # Echoes reach back, so signals start a little before their window.
    run_in = channel.ECHO_TAPS - 1
    sps = recipe.samples_per_symbol * (1 + uniform(-recipe.rate_offset, recipe.rate_offset))
    signal = torch.empty(batch, window_samples + run_in, dtype=torch.complex64, device=device)
    for index in label.unique().tolist():
        rows = (label == index).nonzero().squeeze(1)
        timing = Timing(sps[rows], window_samples + run_in)
        signal[rows] = MODULATORS[CLASSES[index]](timing, generator).to(torch.complex64)

    offset = uniform(-recipe.carrier_offset, recipe.carrier_offset) * chosen(recipe.carrier_share)
    signal = channel.shift_carrier(signal, offset, uniform(0, 2 * torch.pi))
    taps = channel.echo_taps(batch, generator, device)
    direct = torch.zeros_like(taps)
    direct[:, 0] = 1
    taps = torch.where(chosen(recipe.echo_share)[:, None], taps, direct)
    signal = channel.convolve(signal, taps)  # (B, L)

    power = signal.abs().square().mean(1, keepdim=True)
    present = power > 0  # class `noise` has no signal
    signal = signal / torch.where(present, power, torch.ones_like(power)).sqrt()
    noise = channel.complex_normal(batch, window_samples, generator=generator, device=device)
    narrowed = channel.band_limit(noise, uniform(0.15, 0.9), uniform(-0.05, 0.05))
    noise = torch.where(chosen(recipe.filtered_share)[:, None], narrowed, noise)
    noise_amplitude = 10 ** (-snr_db[:, None] / 20)
    noise_amplitude = torch.where(present, noise_amplitude, torch.ones_like(noise_amplitude))
    received = signal + noise_amplitude * noise
    # A mirrored spectrum is as likely as an upright one: conjugation costs nothing and doubles
    # what a recipe covers.
    received = torch.where(chosen(0.5)[:, None], received, received.conj().resolve_conj())
    return to_rows(received / (present + noise_amplitude.square()).sqrt())
