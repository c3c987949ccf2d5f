# SPDX-License-Identifier: GPL-3.0-or-later
"""Carriers, and amplitude and frequency modulation by audio, by stereo programmes and by video."""

import math

import torch

from gr_tsddae.synth.air.audio import audio, levelled
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice, Transmission, phase_of, smooth

OVERSAMPLING = 8.0  # sample rate over bandwidth
PILOT_HZ = 19e3


def carrier(dice: Dice) -> Transmission:
    """Send a carrier that drifts, wobbles and is jittery, all within its measured bandwidth."""
    bandwidth = 1 / OVERSAMPLING
    n = dice.samples() / SOURCE_SAMPLES
    drift = dice.uniform(-0.08, 0.08) * dice.chance(0.5) * (n - 0.5)
    swing = dice.uniform(0.5, 8) * n + dice.uniform(0, 1)
    wobble = dice.log_uniform(1e-3, 0.06) * dice.chance(0.4) * torch.sin(2 * math.pi * swing)
    jitter = dice.normal(SOURCE_SAMPLES) * dice.log_uniform(1e-3, 0.12) * dice.chance(0.6)
    iq = phase_of(bandwidth * (drift + wobble + jitter))
    hum = dice.log_uniform(1e-3, 0.05) * torch.sin(2 * math.pi * (30 * n * dice.uniform(0.3, 3)))
    iq = iq * (1 + hum * dice.chance(0.3))
    return Transmission(iq, torch.full_like(n[:1], bandwidth).expand(dice.batch, 1))


def am_dsb(dice: Dice) -> Transmission:
    """Send a carrier and both sidebands of speech or music."""
    top_hz = dice.log_uniform(2.2e3, 10e3)
    # What is measured is often narrower than the audio: its high notes are weak.
    bandwidth_hz = 2 * top_hz * dice.uniform(0.5, 1.1)
    rate_hz = OVERSAMPLING * bandwidth_hz
    sound = audio(rate_hz, torch.minimum(top_hz, 0.45 * rate_hz), dice.uniform(50, 350), dice)
    depth = dice.log_uniform(0.15, 0.7)
    envelope = (1 + depth * sound.clamp(-3, 3)).clamp(min=0.0)
    return Transmission(envelope.to(torch.complex64), bandwidth_hz / rate_hz, varies=True)


def am_ssb(dice: Dice) -> Transmission:
    """Send one sideband of speech, centred as a receiver that measures it would."""
    low_hz, top_hz = dice.uniform(100, 350), dice.uniform(1.8e3, 3.2e3)
    bandwidth_hz = (top_hz - low_hz) * dice.uniform(0.6, 1.1)
    rate_hz = OVERSAMPLING * bandwidth_hz
    sound = audio(rate_hz, top_hz, low_hz, dice)
    sound = sound / (1 + dice.uniform(0, 0.5) * sound.abs())  # a speech compressor
    spectrum = torch.fft.fft(sound.to(torch.complex64))
    f = torch.fft.fftfreq(SOURCE_SAMPLES, device=dice.device) * rate_hz
    crystal = torch.sigmoid((top_hz - f) / 40) * torch.sigmoid((f - low_hz) / 20)
    iq = torch.fft.ifft(spectrum * crystal)
    middle = (low_hz + bandwidth_hz / 2) / rate_hz
    iq = iq * phase_of(-middle.expand(-1, SOURCE_SAMPLES))
    iq = torch.where(dice.chance(0.5), iq, iq.conj().resolve_conj())
    return Transmission(iq, bandwidth_hz / rate_hz)


def fm(dice: Dice) -> Transmission:
    """Send narrow speech or data, a broadcast, or video, by frequency modulation."""
    kinds = [_narrow(dice), _broadcast(dice), _video(dice)]
    kind = torch.searchsorted(
        torch.tensor([0.5, 0.9], device=dice.device), dice.uniform().contiguous()
    )
    iq, bandwidth = kinds[0].iq, kinds[0].bandwidth
    for number in (1, 2):
        iq = torch.where(kind == number, kinds[number].iq, iq)
        bandwidth = torch.where(kind == number, kinds[number].bandwidth, bandwidth)
    return Transmission(iq, bandwidth, varies=True)


def _narrow(dice: Dice) -> Transmission:
    top_hz, peak_hz = dice.uniform(2.2e3, 4e3), dice.log_uniform(1.2e3, 6e3)
    bandwidth_hz = 2 * (top_hz + peak_hz) * dice.uniform(0.55, 1.05)
    rate_hz = OVERSAMPLING * bandwidth_hz
    sound = audio(rate_hz, top_hz, dice.uniform(150, 350), dice)
    # Pre-emphasis of 6 dB per octave, as far as the limiter lets it through.
    sharp = levelled(torch.diff(sound, prepend=sound[:, :1], dim=1))
    sound = torch.where(dice.chance(0.7), sharp, sound)
    sound = (sound * dice.log_uniform(0.25, 1.2)).clamp(-1, 1)
    time_s = dice.samples() / rate_hz
    afsk = smooth(_bits(time_s * 1200, dice), 0.2 * rate_hz / 1200)  # data at 1200 bit/s
    tones = torch.sin(2 * math.pi * ((1700 + 500 * afsk) / rate_hz).cumsum(1))
    sound = torch.where(dice.chance(0.12), tones * dice.uniform(0.4, 0.9), sound)
    squelch = torch.sin(2 * math.pi * (dice.uniform(67, 254) * time_s + dice.uniform(0, 1)))
    sound = sound + dice.uniform(0.08, 0.2) * squelch * dice.chance(0.4)
    return Transmission(phase_of(peak_hz * sound / rate_hz), bandwidth_hz / rate_hz)


def _bits(time_bits: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Hold random bits of -1 and 1 at times given in bits, (B, N)."""
    bits = 2.0 * dice.integers(2, 1024) - 1
    return bits.gather(1, (time_bits + dice.uniform(0, 1)).long().clamp(max=1023))


def _broadcast(dice: Dice) -> Transmission:
    peak_hz = dice.uniform(40e3, 80e3)
    bandwidth_hz = dice.log_uniform(55e3, 230e3)
    rate_hz = OVERSAMPLING * bandwidth_hz
    time_s = dice.samples() / rate_hz
    low_hz = dice.uniform(30, 80)
    # A window is a millisecond or two: low notes are slopes in it.
    left, right = (_programme(rate_hz, low_hz, dice) for _ in range(2))
    loud = dice.log_uniform(0.02, 0.5)  # from near silence to a limiter's full
    pilot = time_s * PILOT_HZ + dice.uniform(0, 1)
    stereo = dice.chance(0.8)
    programme = loud * (left + dice.uniform(0, 1) * right)
    side = dice.uniform(0, 0.8) * loud * (left - right) * torch.sin(4 * math.pi * pilot)
    data = _bits(time_s * 2375, dice) * torch.sin(6 * math.pi * pilot)
    programme = programme + stereo * (side + 0.09 * torch.sin(2 * math.pi * pilot))
    programme = programme + stereo * dice.chance(0.6) * dice.uniform(0.02, 0.06) * data
    # Mono has to be heard to be told from a carrier.
    quiet = ~stereo & (loud < 0.1)
    programme = torch.where(quiet, programme * 0.2 / loud, programme).clamp(-1.1, 1.1)
    return Transmission(phase_of(peak_hz * programme / rate_hz), bandwidth_hz / rate_hz)


def _programme(rate_hz: torch.Tensor, low_hz: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw audio up to 15 kHz with pre-emphasis, rms 1 over much longer than the row, (B, N)."""
    time_s = dice.samples() / rate_hz
    total = torch.zeros_like(time_s)
    for high_hz, share in ((300, 0.8), (2000, 0.5), (6000, 0.3), (15000, 0.25)):
        for _ in range(2):
            tone_hz = low_hz * (high_hz / low_hz) ** dice.uniform(0, 1)
            tone = torch.sin(2 * math.pi * (tone_hz * time_s + dice.uniform(0, 1)))
            total = total + share * dice.uniform(0, 1.2) * tone
    return total


def _video(dice: Dice) -> Transmission:
    """Send video: brightness in steps and slopes, noise, a colour carrier, line pulses."""
    rate_hz = torch.full((dice.batch, 1), OVERSAMPLING, device=dice.device)  # bandwidth is 1 Hz
    time = dice.samples() / rate_hz  # a window is 256
    steps = dice.uniform(-1, 1, 256)
    place = (time * dice.log_uniform(0.02, 0.5)).long().clamp(max=255)
    picture = smooth(steps.gather(1, place), OVERSAMPLING * dice.log_uniform(0.3, 3))
    texture = smooth(dice.normal(SOURCE_SAMPLES), OVERSAMPLING * dice.log_uniform(0.4, 4))
    picture = dice.uniform(0.1, 0.5) * picture + dice.uniform(0, 0.15) * levelled(texture)
    colour = torch.sin(2 * math.pi * (dice.uniform(0.15, 0.35) * time + dice.uniform(0, 1)))
    picture = picture + dice.uniform(0, 0.12) * colour * dice.chance(0.6)
    line = dice.log_uniform(100, 2000)
    sync = (time + dice.uniform(0, 2000)).remainder(line) < 0.075 * line
    picture = torch.where(sync, -0.6, picture)
    return Transmission(phase_of(dice.uniform(0.3, 0.8) * picture / OVERSAMPLING), 1 / rate_hz)
