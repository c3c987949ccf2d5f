# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver makes of a technology: a window at one sample rate."""

import math

import torch
import torch.nn.functional as F

from gr_tsddae.synth.air.dice import MOST_WINDOW_SAMPLES, SOURCE_SAMPLES, Dice
from gr_tsddae.synth.air.receiver import burst, digitised, interpolated, lively
from gr_tsddae.synth.wtc.symbols import Sent

# A channel of DVB-T and one of LTE of 10 MHz lie within it, with their edges. A window of 1024
# samples lasts 102 us: one symbol of LTE is 67 us long, one of Wi-Fi 3.2 us.
RATE_HZ = 10e6
MOST_SOURCE_RATE_HZ = 0.94 * SOURCE_SAMPLES * RATE_HZ / MOST_WINDOW_SAMPLES
RECEIVERS_HZ = (1.2e6, 8.0e6)  # width of the band of slower ones, whose samples are resampled
POWER_SAMPLES = 16  # over which power is averaged, to tell where a transmitter is on
SPARE_SAMPLES = 256  # noise is filtered on a longer ring than a window


def receive(sent: Sent, snr_db: torch.Tensor, window_samples: int, dice: Dice) -> torch.Tensor:
    """Receive a transmission, or nothing.

    Args:
        sent: of B windows; a row of zeros is none, and gives noise.
        snr_db: in the part of the occupied bandwidth that the receiver lets pass, (B, 1).
        window_samples: L, at most 1024.
        dice: of the batch.

    Returns:
        complex64 (B, L), mean power near 1.
    """
    present = sent.iq.abs().square().mean(1, keepdim=True) > 0
    width_hz = passed_width_hz(sent, dice)
    width_hz = torch.where(present, width_hz, dice.log_uniform(3e5, RATE_HZ))
    soft_hz = width_hz * dice.uniform(0.01, 0.08)
    slack_hz = (width_hz - sent.bandwidth_hz).clamp(min=0) / 2
    off_hz = dice.uniform(-1, 1) * (slack_hz * dice.chance(0.4) + 20e3)
    off_hz = off_hz + dice.uniform(-0.02, 0.02) * sent.bandwidth_hz.clamp(max=2e6)
    within = sent.bandwidth_hz <= sent.rate_hz  # else it is a part of an emission that is sent
    tuned_hz = torch.where(within, sent.centre_hz, 0.0) + off_hz

    step = sent.rate_hz / RATE_HZ * (1 + dice.uniform(-5e-5, 5e-5))
    first = lively(sent.iq, step * window_samples, dice)
    shape = burst(first, step * window_samples, dice)
    iq = sent.iq * torch.where(dice.chance(sent.gated), shape, 1.0)
    f = torch.fft.fftfreq(SOURCE_SAMPLES, device=dice.device) * sent.rate_hz - tuned_hz
    spectrum = torch.fft.fft(iq) * echoes(f, dice) * passband(f, width_hz, soft_hz)
    n = dice.samples(window_samples)
    signal = interpolated(spectrum, first + step * n)
    turns = dice.uniform() - (tuned_hz / RATE_HZ * n).double().remainder(1.0).float()
    signal = signal * torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
    # Power where the window is on, so that a quiet stretch is no silence under noise.
    power = F.avg_pool1d(signal.abs().square(), POWER_SAMPLES)
    on = power > 0.05 * power.amax(1, keepdim=True)
    level = (power * on).sum(1, keepdim=True) / on.sum(1, keepdim=True).clamp(min=1)
    signal = signal / level.clamp(min=1e-20).sqrt() * present

    half_hz = sent.bandwidth_hz / 2
    low_hz = torch.maximum(sent.centre_hz - tuned_hz - half_hz, -width_hz / 2)
    high_hz = torch.minimum(sent.centre_hz - tuned_hz + half_hz, width_hz / 2)
    seen_hz = torch.where(present, (high_hz - low_hz).clamp(min=2e3), width_hz)
    noise_density = 10 ** (-torch.where(present, snr_db, 0.0) / 10) / seen_hz
    window = signal + floor(low_hz, high_hz, width_hz, soft_hz, noise_density, window_samples, dice)
    window = window / window.abs().square().mean(1, keepdim=True).clamp(min=1e-20).sqrt()
    window = digitised(window, dice)
    return torch.where(dice.chance(0.5), window, window.conj().resolve_conj())


def passed_width_hz(sent: Sent, dice: Dice) -> torch.Tensor:
    """Draw the width of the band that passes: all, a slower receiver's, or little but the signal.

    Of what is sent it lets pass `whole`, or 1.2 MHz if that is less.
    """
    kind = dice.uniform()
    width_hz = torch.where(
        kind < 0.4, dice.uniform(0.8, 0.98) * RATE_HZ, dice.log_uniform(*RECEIVERS_HZ)
    )
    width_hz = torch.where(kind > 0.75, dice.log_uniform(1.1, 2.6) * sent.bandwidth_hz, width_hz)
    least_hz = (0.75 * sent.bandwidth_hz).clamp(max=RECEIVERS_HZ[0])
    least_hz = torch.maximum(least_hz, sent.whole * sent.bandwidth_hz)
    return torch.maximum(width_hz, least_hz).clamp(max=0.98 * RATE_HZ)


def passband(f: torch.Tensor, width_hz: torch.Tensor, soft_hz: torch.Tensor) -> torch.Tensor:
    """Filter at frequencies in Hz; nothing passes beyond half of the sample rate."""
    ramp = ((width_hz / 2 + soft_hz - f.abs()) / (2 * soft_hz)).clamp(0, 1)
    return torch.sin(math.pi / 2 * ramp).square() * (f.abs() <= RATE_HZ / 2)


def echoes(f: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Give the response of a channel with up to three echoes at frequencies in Hz, complex."""
    response = torch.ones_like(f, dtype=torch.complex64)
    for share, most_s in ((0.5, 2e-6), (0.25, 6e-6), (0.06, 60e-6)):
        delay_s = dice.log_uniform(3e-8, most_s)
        strength = dice.uniform(0.05, 0.8) * dice.chance(share)
        turn = -2 * math.pi * (f * delay_s + dice.uniform(0, 1)).remainder(1.0)
        response = response + torch.polar(strength.expand_as(turn), turn)
    return response


def floor(
    low_hz: torch.Tensor,
    high_hz: torch.Tensor,
    width_hz: torch.Tensor,
    soft_hz: torch.Tensor,
    noise_density: torch.Tensor,
    window_samples: int,
    dice: Dice,
) -> torch.Tensor:
    """Draw what a window holds beside its signal: noise, a neighbour, a spur; complex (B, L).

    Args:
        low_hz: lower edge of the signal, from the middle of the window's band, (B, 1).
        high_hz: upper edge.
        width_hz: of the band that passes.
        soft_hz: half the width of that band's edges.
        noise_density: power of the noise per Hz, (B, 1).
        window_samples: L.
        dice: of the batch.
    """
    count = window_samples + SPARE_SAMPLES
    f = torch.fft.fftfreq(count, device=dice.device) * RATE_HZ
    slope_db = dice.uniform(-3, 3) * dice.chance(0.25)
    shape = 10 ** (slope_db * f / RATE_HZ / 20)
    # A neighbour above the signal or below it, as noise of its bandwidth.
    above = dice.chance(0.5)
    edge_hz = torch.where(above, high_hz, -low_hz) + dice.log_uniform(3e4, 2e6)
    side = torch.where(above, f, -f)
    soft = dice.log_uniform(1e4, 1e5)
    skirt = torch.sigmoid((side - edge_hz) / soft)
    skirt = skirt * torch.sigmoid((edge_hz + dice.log_uniform(5e4, 8e6) - side) / soft)
    strength = 10 ** (dice.uniform(0, 25) / 20) * dice.chance(0.2)
    noise = dice.complex_normal(count) * (shape + skirt * strength)
    noise = noise * (noise_density * RATE_HZ * count).sqrt()
    where_hz = dice.uniform(-0.5, 0.5) * width_hz
    distance = (f - where_hz).abs()
    spur = distance == distance.amin(1, keepdim=True)
    loud = 10 ** (dice.uniform(-25, -8) / 20) * count * dice.chance(0.1)
    turn = dice.uniform(0, 2 * math.pi)
    spectrum = (noise + spur * torch.polar(loud, turn)) * passband(f, width_hz, soft_hz)
    return torch.fft.ifft(spectrum)[:, :window_samples]
