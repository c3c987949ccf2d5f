# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver makes of a transmission: a window at a multiple of its measured bandwidth."""

import math

import torch
import torch.nn.functional as F

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice, Transmission

BANDWIDTH_MULTIPLE = 4.0  # sample rate of a window over the occupied bandwidth
RATE_ERROR = (0.7, 1.3)  # measured over true bandwidth
CENTRE_ERROR = 0.1  # of the bandwidth, either way
PASSBAND = (1.15, 4.0)  # width of the filter before the window, in bandwidths
LEAST_NOISE_PASSBAND = 1.4  # of windows without a signal: a narrower one shows what OFDM shows
OCCUPIED = 0.99  # share of the power
POWER_SAMPLES = 64  # over which power is averaged, to tell where a transmitter is on
LEAST_STRETCH = 0.25  # of a known bandwidth that a quiet stretch is measured as
PLACES = 6  # of a window that are tried
LEAST_ENERGY = 0.35  # of a window over what an average one has
BINS = 512  # of the spectrum in which the bandwidth is measured
OVERSAMPLING = 2  # before the last interpolation, so that a cubic one will do
SCATTERED = 0.35  # of wide signals that arrive without a path stronger than the others
PATHS = 6  # of such a channel
SQUELCHED = 0.06  # of receivers, which write zeros where they hear little
SQUELCH_SAMPLES = 33  # over which such a receiver averages power
LARGEST_STRETCH = 0.96  # of the source that a window may cover


def occupied_band(iq: torch.Tensor, snr_db: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure the band as one can above a noise floor.

    Args:
        iq: complex (B, N).
        snr_db: in that band, about, (B, 1).

    Returns:
        Centre and bandwidth in cycles per sample, each (B, 1).
    """
    power = torch.fft.fft(iq).abs().square()
    power = torch.fft.fftshift(power, dim=1).view(len(iq), BINS, -1).mean(2)  # (B, BINS)
    low, high = _edges(power, 0.9)
    floor = 0.9 * power.sum(1, keepdim=True) / (high - low).clamp(min=1) / 10 ** (snr_db / 10)
    above = (power - floor).clamp(min=0) + 1e-6 * power
    low, high = _edges(above, OCCUPIED)
    return ((low + high) / 2 / BINS - 0.5), (high - low).clamp(min=1) / BINS


def _edges(power: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the bins, as real numbers, that leave half of the rest of the power on either side."""
    total = power.cumsum(1)
    total = total / total[:, -1:].clamp(min=1e-30)
    tail = (1 - share) / 2
    bins = []
    for level in (tail, 1 - tail):
        at = torch.searchsorted(total, torch.full_like(total[:, :1], level)).clamp(max=BINS - 1)
        before = torch.where(at > 0, total.gather(1, (at - 1).clamp(min=0)), 0.0)
        step = (total.gather(1, at) - before).clamp(min=1e-12)
        bins.append(at + ((level - before) / step).clamp(0, 1))
    return bins[0], bins[1]


def receive(
    sent: Transmission, snr_db: torch.Tensor, window_samples: int, dice: Dice
) -> torch.Tensor:
    """Receive a transmission, or nothing.

    Args:
        sent: of B windows; a row of zeros is none, and gives noise.
        snr_db: in the occupied bandwidth, (B, 1).
        window_samples: L.
        dice: of the batch.

    Returns:
        complex64 (B, L), mean power near 1.
    """
    present = sent.iq.abs().square().mean(1, keepdim=True) > 0
    centre, bandwidth = occupied_band(sent.iq, snr_db)
    if sent.bandwidth is not None:
        # Between what this stretch occupies and what the whole emission does.
        part = dice.uniform() if sent.varies else 0.0
        bandwidth = torch.maximum(bandwidth, LEAST_STRETCH * sent.bandwidth)
        bandwidth = sent.bandwidth * (bandwidth / sent.bandwidth).clamp(max=1.0) ** part
        centre = torch.zeros_like(centre)
    if sent.narrowest < 1:
        bandwidth = bandwidth * dice.log_uniform(sent.narrowest, 1.0)
    centre = torch.where(present, centre, 0.0)
    bandwidth = torch.where(present, bandwidth, 1 / 7)
    # The window's place in the source: step of its samples, first sample, error of the centre.
    measured = bandwidth * dice.uniform(*RATE_ERROR)
    step = 1 / (BANDWIDTH_MULTIPLE * measured)
    step = step.clamp(max=LARGEST_STRETCH * SOURCE_SAMPLES / window_samples)
    measured = 1 / (BANDWIDTH_MULTIPLE * step)
    tuned = centre + dice.uniform(-CENTRE_ERROR, CENTRE_ERROR) * bandwidth
    first = lively(sent.iq, step * window_samples, dice)
    place = first + step * (1 + dice.uniform(-1e-4, 1e-4)) * dice.samples(window_samples)

    iq = sent.iq * burst(first, step * window_samples, dice, shaped=sent.bursts)
    seen = torch.arange(SOURCE_SAMPLES, device=dice.device)
    inside = (seen >= first) & (seen < first + step * window_samples)
    # Power where the window is on, so that a quiet stretch is no silence under noise.
    power = F.avg_pool1d(iq.abs().square() * inside, POWER_SAMPLES)
    on = power > 0.05 * power.amax(1, keepdim=True)
    level = power.sum(1, keepdim=True) / on.sum(1, keepdim=True).clamp(min=1)
    iq = iq / level.clamp(min=1e-20).sqrt() * present

    f = torch.fft.fftfreq(SOURCE_SAMPLES, device=dice.device) - tuned
    f = (f + 0.5).remainder(1.0) - 0.5  # from the frequency that the receiver is tuned to
    channel = echoes(f / bandwidth, dice)
    if sent.wide:
        channel = torch.where(dice.chance(SCATTERED), scattering(f / bandwidth, dice), channel)
    spectrum = torch.fft.fft(iq) * channel
    noise_density = 10 ** (-snr_db / 10) / bandwidth
    noise = dice.complex_normal(SOURCE_SAMPLES) * math.sqrt(SOURCE_SAMPLES)
    noise = noise * noise_density.sqrt() * floor_shape(f / measured, dice)
    spectrum = spectrum + noise + neighbours(f, measured, noise_density, snr_db, dice)
    narrowest = torch.where(present, PASSBAND[0], LEAST_NOISE_PASSBAND)
    spectrum = spectrum * passband(f / measured, narrowest, dice)
    window = squelched(interpolated(spectrum, place), dice)
    turns = dice.uniform(0, 1) - tuned * place
    window = window * torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
    window = window / window.abs().square().mean(1, keepdim=True).clamp(min=1e-20).sqrt()
    window = digitised(window, dice)
    return torch.where(dice.chance(0.5), window, window.conj().resolve_conj())


def lively(iq: torch.Tensor, length: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Choose where windows of a length (B, 1) begin, (B, 1): at random, but not in a pause."""
    energy = iq.abs().square().cumsum(1)
    first = dice.uniform(count=PLACES) * (SOURCE_SAMPLES - length)
    held = energy.gather(1, (first + length).long().clamp(max=SOURCE_SAMPLES - 1))
    held = held - energy.gather(1, first.long())  # (B, PLACES)
    enough = held > LEAST_ENERGY * energy[:, -1:] * length / SOURCE_SAMPLES
    # The first place that will do, or else the liveliest.
    score = held / held.amax(1, keepdim=True).clamp(min=1e-30) + 2.0 * enough
    score = torch.where(enough, 2.0, score)
    return first.gather(1, score.argmax(1, keepdim=True))


def burst(
    first: torch.Tensor, length: torch.Tensor, dice: Dice, *, shaped: bool = True
) -> torch.Tensor:
    """Switch a transmitter on and off: real (B, N), 1 while it sends.

    In most rows the window is full. In the others a burst begins or ends in it, or does both.
    """
    if not shaped:
        return torch.ones(1, 1, device=dice.device)
    n = dice.samples()
    kind = dice.uniform()
    kept = dice.uniform(0.25, 1.0) * length
    begin = first + dice.uniform(0, 1) * (length - kept)
    end = begin + kept
    begin = torch.where((kind < 0.7) | (kind > 0.9), -1e9, begin)  # goes on before the window
    end = torch.where(kind < 0.8, 1e9, end)
    ramp = length * dice.log_uniform(1e-3, 3e-2)
    return torch.sigmoid((n - begin) / ramp * 4) * torch.sigmoid((end - n) / ramp * 4)


def echoes(f: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Give the response of a channel with one or two echoes, complex (B, N) or ones.

    Args:
        f: frequency in bandwidths, (B, N).
        dice: of the batch.
    """
    response = torch.ones_like(f, dtype=torch.complex64)
    for share in (0.35, 0.15):
        delay = dice.log_uniform(0.05, 2.0)  # over the inverse of the bandwidth
        strength = dice.uniform(0.05, 0.6) * dice.chance(share)
        turn = -2 * math.pi * (f * delay + dice.uniform(0, 1))
        response = response + torch.polar(strength.expand_as(turn), turn)
    return response


def scattering(f: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Give the response of a Rayleigh channel of many paths, complex (B, N), of unit mean power.

    Delays are exponential, as in an exponential power-delay profile. A delay spread near the
    inverse of the bandwidth cuts notches into the spectrum.

    Args:
        f: frequency in bandwidths, (B, N).
        dice: of the batch.
    """
    spread = dice.log_uniform(0.2, 3.0)  # over the inverse of the bandwidth
    response = torch.zeros_like(f, dtype=torch.complex64)
    for _ in range(PATHS):
        delay = -spread * dice.uniform(1e-6, 1).log()
        strength = (-dice.uniform(1e-6, 1).log()).sqrt()  # Rayleigh
        turn = -2 * math.pi * (f * delay + dice.uniform(0, 1))
        response = response + torch.polar(strength.expand_as(turn), turn)
    inside = f.abs() <= 0.5
    power = (response.abs().square() * inside).sum(1, keepdim=True) / inside.sum(1, keepdim=True)
    return response / power.sqrt()


def squelched(window: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Write zeros into some windows, complex (B, L), where their power is low for long enough."""
    power = window.abs().square()
    near = F.avg_pool1d(
        power, SQUELCH_SAMPLES, stride=1, padding=SQUELCH_SAMPLES // 2, count_include_pad=False
    )
    low = near < dice.log_uniform(0.01, 0.3) * power.mean(1, keepdim=True)
    return torch.where(low & dice.chance(SQUELCHED), 0.0, window)


def floor_shape(f: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw the amplitude of the noise over frequency in bandwidths: flat, sloped, with a skirt."""
    slope_db = dice.uniform(-3, 3) * dice.chance(0.25)
    skirt = dice.uniform(0.55, 2.0)
    side = torch.where(dice.chance(0.5), f, -f)
    edge = torch.sigmoid((skirt - side) / dice.log_uniform(0.01, 0.1))
    edge = torch.where(dice.chance(0.15), 0.1 + 0.9 * edge, 1.0)
    return 10 ** (slope_db * f.clamp(-2, 2) / 20) * edge


def passband(f: torch.Tensor, narrowest: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw the filter before the window, over frequency in bandwidths; its stop band is deep."""
    width = torch.maximum(dice.log_uniform(*PASSBAND), narrowest)
    soft = dice.uniform(0.02, 0.15)
    ramp = ((width / 2 + soft - f.abs()) / (2 * soft)).clamp(0, 1)
    inside = torch.sin(math.pi / 2 * ramp).square()
    # Nothing beyond half the window's sample rate.
    return inside * (f.abs() <= BANDWIDTH_MULTIPLE / 2)


def neighbours(
    f: torch.Tensor,
    measured: torch.Tensor,
    noise_density: torch.Tensor,
    snr_db: torch.Tensor,
    dice: Dice,
) -> torch.Tensor:
    """Draw the spectrum of a neighbour's skirt, or of a spur of the receiver, complex (B, N)."""
    edge = dice.uniform(0.75, 1.6)
    side = torch.where(dice.chance(0.5), f, -f) / measured
    skirt = torch.sigmoid((side - edge) / dice.log_uniform(0.02, 0.1))
    level_db = dice.uniform(0, 20)
    strength = (noise_density * 10 ** (level_db / 10)).sqrt() * dice.chance(0.12)
    noise = dice.complex_normal(SOURCE_SAMPLES) * math.sqrt(SOURCE_SAMPLES)
    where = dice.uniform(-1.0, 1.0)
    spur = (f / measured - where).abs() == (f / measured - where).abs().amin(1, keepdim=True)
    loud = 10 ** (dice.uniform(-25, -8) / 20) * SOURCE_SAMPLES * dice.chance(0.1)
    loud = loud * torch.where(snr_db > 5, 1.0, 0.5)
    return noise * skirt * strength + spur * loud


def interpolated(spectrum: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Evaluate what has a spectrum (B, N) at places in samples (B, L): complex64 (B, L)."""
    half = SOURCE_SAMPLES // 2
    wide = F.pad(torch.fft.fftshift(spectrum, dim=1), (half, SOURCE_SAMPLES - half))
    dense = torch.fft.ifft(torch.fft.ifftshift(wide, dim=1)) * OVERSAMPLING
    at = place * OVERSAMPLING
    whole = at.floor()
    t = at - whole
    index = whole.long()
    points = [
        dense.gather(1, (index + k).remainder(OVERSAMPLING * SOURCE_SAMPLES)) for k in (-1, 0, 1, 2)
    ]
    # Catmull and Rom's cubic through four samples.
    a, b, c, d = points
    return b + 0.5 * t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * (b - c) + d - a)))


def digitised(window: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw faults of a receiver: gain steps, unlike branches, DC, clipping, few bits."""
    n = dice.samples(window.shape[1]) / window.shape[1]
    step = 10 ** (dice.uniform(-6, 6) / 20)
    gain = torch.where((n > dice.uniform(0, 1)) & dice.chance(0.06), step, 1.0)
    slope = 1 + dice.uniform(-0.3, 0.3) * dice.chance(0.1) * (n - 0.5)
    window = window * gain * slope
    unlike = torch.polar(dice.uniform(0, 0.08), dice.uniform(0, 2 * math.pi)) * dice.chance(0.2)
    window = window + unlike * window.conj()
    angle = dice.uniform(0, 2 * math.pi)
    window = window + torch.polar(dice.uniform(0, 0.15), angle) * dice.chance(0.12)
    jitter = dice.normal(window.shape[1]) * dice.log_uniform(1e-4, 1e-2)
    jitter = jitter.cumsum(1) * dice.chance(0.2)
    window = window * torch.polar(torch.ones_like(jitter), jitter)
    limit = torch.where(dice.chance(0.08), dice.uniform(0.8, 2.0), 1e3)
    levels = torch.where(dice.chance(0.2), dice.log_uniform(3, 60), 1e4)  # steps per unit
    parts = [
        torch.round(part.clamp(-limit, limit) * levels) / levels
        for part in (window.real, window.imag)
    ]
    return torch.complex(*parts)
