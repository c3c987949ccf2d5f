# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio that behaves as speech or music does, vectorised: voices, breath, notes, tones, pauses."""

import math

import torch

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice


def spectrum_hz(rate_hz: torch.Tensor) -> torch.Tensor:
    """Give the frequency of each bin of a real DFT, (B, N / 2 + 1)."""
    return torch.fft.rfftfreq(SOURCE_SAMPLES, device=rate_hz.device) * rate_hz


def audio(
    rate_hz: torch.Tensor, top_hz: torch.Tensor, low_hz: torch.Tensor, dice: Dice
) -> torch.Tensor:
    """Draw audio of rms 1 in each row, (B, N).

    Half of the rows are a voice, an eighth breath, the others music or a few tones.

    Args:
        rate_hz: sample rate, (B, 1).
        top_hz: upper edge of the audio, (B, 1).
        low_hz: lower edge, (B, 1).
        dice: of the batch.
    """
    f = spectrum_hz(rate_hz)
    kind = dice.integers(8, 1)
    source = torch.where(kind < 4, _voice(rate_hz, dice), dice.normal(SOURCE_SAMPLES))
    spectrum = torch.fft.rfft(source) * _formants(f, dice)
    spectrum = torch.where(kind < 5, spectrum, _notes(f, dice))
    band = torch.sigmoid((top_hz - f) / (0.04 * top_hz)) * torch.sigmoid(
        (f - low_hz) / (0.15 * low_hz)
    )
    rows = torch.fft.irfft(spectrum * band, n=SOURCE_SAMPLES) * _loudness(rate_hz, dice)
    return levelled(rows)


def levelled(rows: torch.Tensor) -> torch.Tensor:
    """Scale real rows to rms 1."""
    return rows / rows.square().mean(1, keepdim=True).clamp(min=1e-20).sqrt()


def _voice(rate_hz: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Place glottal pulses at a pitch that glides."""
    time_s = dice.samples() / rate_hz
    pitch_hz = dice.log_uniform(80, 300)
    glide = dice.uniform(-1.5, 1.5)  # per second
    turns = pitch_hz * (time_s + 0.5 * glide * time_s.square()) + dice.uniform(0, 1)
    wobble = dice.uniform(0, 0.3) * torch.sin(2 * math.pi * (5 * time_s + dice.uniform(0, 1)))
    return torch.diff(torch.floor(turns + wobble), prepend=torch.zeros_like(turns[:, :1]), dim=1)


def _formants(f_hz: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Give the response of a mouth: three resonances, complex (B, F)."""
    response = 0.02 + torch.zeros_like(f_hz).to(torch.complex64)
    for strength, low_hz, high_hz in ((1.0, 270, 900), (0.6, 900, 2400), (0.3, 2300, 3500)):
        middle_hz = dice.uniform(low_hz, high_hz)
        quality = dice.uniform(3, 10)
        x = f_hz / middle_hz - middle_hz / f_hz.clamp(min=1.0)
        response = response + strength * dice.uniform(0.3, 1.5) / torch.complex(
            torch.ones_like(x), quality * x
        )
    return response


def _notes(f_hz: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Give the spectrum of a few notes with harmonics over soft noise, complex (B, F)."""
    step_hz = f_hz[:, 1:2]
    spectrum = dice.complex_normal(f_hz.shape[1]) * dice.uniform(0, 0.04)
    notes = torch.zeros_like(spectrum)
    harmonics = torch.arange(1, 9, device=dice.device)
    for _ in range(3):
        tone_hz = dice.log_uniform(100, 2000)
        bins = (tone_hz * harmonics / step_hz).round().long()
        strength = dice.complex_normal(8) / harmonics ** dice.uniform(0.5, 3)
        strength = strength * (bins < f_hz.shape[1]) * dice.chance(0.8)
        notes.scatter_add_(1, bins.clamp(max=f_hz.shape[1] - 1), strength)
    return (spectrum + notes) * (1 + f_hz / 3000) ** -0.5


def _loudness(rate_hz: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw syllables: a loudness that swings over a tenth of a second, (B, N)."""
    time_s = dice.samples() / rate_hz
    depth = dice.uniform(0, 0.8)
    swing = torch.sin(2 * math.pi * (dice.uniform(2, 9) * time_s + dice.uniform(0, 1)))
    return 1 - depth * (0.5 + 0.5 * swing)
