# SPDX-License-Identifier: GPL-3.0-or-later
"""The modulations of RML2016.10A, vectorised: noiseless complex windows of any length.

Every modulator draws B independent windows, each from its own stretch of an endless transmission:
random data or audio, random symbol phase. Figures (roll-off, modulation index, deviation) are
those of the GNU Radio blocks the RML2016 sets were made with; the tests compare with the blocks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gr_tsddae.synth.pulses import gaussian_frequency, root_raised_cosine

RRC_ROLLOFF = 0.35
# GNU Radio's RRC filters of RML2016 reach over 88 symbols; what lies beyond these 11 is 40 dB down.
RRC_SPAN_SYMBOLS = 11
GFSK_BT = 0.35
GFSK_INDEX = 2 * 0.1 * 8 / (2 * math.pi)  # gfsk_mod(sensitivity=0.1) at 8 samples/symbol: 0.255
CPFSK_INDEX = 0.5
AUDIO_SAMPLE_RATE_HZ = 200e3  # RML2016 takes its windows at a nominal 200 kS/s
WBFM_DEVIATION_HZ = 75e3
WBFM_RATE_HZ = 220.5e3  # wfm_tx ran at this rate, whatever rate its output was said to have


@dataclass(frozen=True)
class Audio:
    """Loudness of the audio in the analogue classes.

    Attributes:
        loudness_db: lowest and highest rms, in decibels below 0.5 of full scale; uniform between.
        silent_share: windows near silence (another 40 dB down), as between words.
    """

    loudness_db: tuple[float, float] = (-40.0, 0.0)
    silent_share: float = 0.25


@dataclass(frozen=True)
class Timing:
    """Sample clock of B windows against the transmitter's symbol clock, and what is sent.

    Attributes:
        samples_per_symbol: (B,), need not be whole numbers.
        window_samples: L.
        audio: of the analogue classes.
    """

    samples_per_symbol: torch.Tensor
    window_samples: int
    audio: Audio = Audio()

    def symbol_times(self, generator: torch.Generator) -> torch.Tensor:
        """Draw sample times in symbols, (B, L), from a random symbol phase in [0, 1) on."""
        sps = self.samples_per_symbol
        phase = torch.rand(sps.shape[0], 1, generator=generator, device=sps.device)
        n = torch.arange(self.window_samples, device=sps.device)
        return n / sps[:, None] + phase

    @property
    def batch(self) -> int:
        return self.samples_per_symbol.shape[0]

    @property
    def device(self) -> torch.device:
        return self.samples_per_symbol.device


Modulator = Callable[[Timing, torch.Generator], torch.Tensor]


def shape_pulses(
    symbols: torch.Tensor, times: torch.Tensor, span: int, pulse: Callable
) -> torch.Tensor:
    """Add up a_k pulse(t - k) over the `span` nearest symbols k.

    `symbols` (B, S) with symbol k stored at k + span // 2; `times` (B, L) -> (B, L).
    """
    nearest = times.round().long()  # (B, L)
    total = 0
    for offset in range(-(span // 2), span // 2 + 1):
        k = nearest + offset
        total = total + symbols.gather(1, k + span // 2) * pulse(times - k)
    return total


def draw_symbols(
    alphabet: torch.Tensor, times: torch.Tensor, span: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw uniform symbols, (B, S), that cover `times` and half a span on either side."""
    count = int(times.max().ceil()) + 1 + 2 * (span // 2)
    index = torch.randint(
        len(alphabet), (times.shape[0], count), generator=generator, device=times.device
    )
    return alphabet.to(times.device)[index]


def psk(order: int, turn: float = 0.0) -> torch.Tensor:
    """Place points on the unit circle, (order,), turned by a share of the step between two."""
    angle = 2 * math.pi * (torch.arange(order) + turn) / order
    return torch.polar(torch.ones(order), angle)


def square_qam(order: int) -> torch.Tensor:
    """Place points on a square grid with odd coordinates, (order,)."""
    side = math.isqrt(order)
    level = torch.arange(side) * 2.0 - (side - 1)
    return torch.complex(*torch.meshgrid(level, level, indexing="ij")).flatten()


def unit_energy(alphabet: torch.Tensor) -> torch.Tensor:
    """Scale symbols to unit mean energy, so that power does not tell the classes apart."""
    return alphabet / alphabet.abs().square().mean().sqrt()


def linear(
    alphabet: torch.Tensor,
    span: int = RRC_SPAN_SYMBOLS,
    rolloff: Callable[[Timing, torch.Generator], torch.Tensor | float] = lambda *_: RRC_ROLLOFF,
) -> Modulator:
    """Return a modulator of PSK, PAM or QAM: symbols through a root-raised-cosine pulse.

    Args:
        alphabet: the symbols, complex (M,).
        span: length of the pulse in symbols.
        rolloff: draws the roll-off of each window, (B, 1), or gives one for all.
    """

    def modulate(timing: Timing, generator: torch.Generator) -> torch.Tensor:
        times = timing.symbol_times(generator)
        share = rolloff(timing, generator)
        symbols = draw_symbols(alphabet, times, span, generator)
        return shape_pulses(symbols, times, span, lambda t: root_raised_cosine(t, share))

    return modulate


BINARY = torch.tensor([-1.0, 1.0])


def gaussian_fsk(
    timing: Timing, generator: torch.Generator, *, index: float, bandwidth_time: float, span: int
) -> torch.Tensor:
    """Draw binary FSK with Gaussian frequency pulses: phase is the running sum of frequency.

    Args:
        index: modulation index, half turns per symbol.
        bandwidth_time: BT of the Gaussian filter.
        span: symbols beyond which the pulse is left out.
    """
    times = timing.symbol_times(generator)
    data = draw_symbols(BINARY, times, span, generator)
    frequency = shape_pulses(data, times, span, lambda t: gaussian_frequency(t, bandwidth_time))
    step = math.pi * index / timing.samples_per_symbol[:, None]  # radians a sample at +-1
    return torch.polar(torch.ones_like(frequency), (step * frequency).cumsum(1))


def gfsk(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw RML2016's GFSK; its pulse is below 1e-6 from 2.5 symbols on."""
    return gaussian_fsk(timing, generator, index=GFSK_INDEX, bandwidth_time=GFSK_BT, span=5)


def cpfsk(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw binary FSK with rectangular frequency pulses: phase is piecewise linear in time."""
    times = timing.symbol_times(generator)
    data = draw_symbols(BINARY, times, 0, generator)
    whole = times.floor().long()
    start = torch.cat((torch.zeros_like(data[:, :1]), data.cumsum(1)), dim=1)  # phase at each k
    turns = start.gather(1, whole) + (times - whole) * data.gather(1, whole)
    return torch.polar(torch.ones_like(times), math.pi * CPFSK_INDEX * turns)


def _audio(timing: Timing, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw speech-like audio as a sum of tones: frequencies (Hz) and complex amplitudes, (B, P).

    A window lasts under a millisecond, so only the short-time spectrum matters: 12 partials
    between 100 Hz and 8 kHz, louder at the bottom.
    """
    batch, device, partials = timing.batch, timing.device, 12

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    frequency_hz = 100 * 80 ** uniform(batch, partials)
    tilt = (frequency_hz / 500).clamp(min=1) ** -(0.2 + 1.3 * uniform(batch, 1))
    low, high = timing.audio.loudness_db
    loudness_db = high - (high - low) * uniform(batch, 1)
    loudness_db = loudness_db - 40 * (uniform(batch, 1) < timing.audio.silent_share)
    amplitude = tilt * uniform(batch, partials)
    rms = amplitude.square().sum(1, keepdim=True).div(2).sqrt()
    amplitude = amplitude / rms * 0.5 * 10 ** (loudness_db / 20)  # loudest: rms 0.5 of full scale
    phase = 2 * math.pi * uniform(batch, partials)
    return frequency_hz, torch.polar(amplitude, phase)


def _sum_of_tones(
    frequency_hz: torch.Tensor, amplitude: torch.Tensor, rate_hz: float, samples: int
) -> torch.Tensor:
    """Add tones (B, P) to an analytic signal (positive frequencies) whose real part is audio."""
    n = torch.arange(samples, device=frequency_hz.device)
    cycles = frequency_hz[:, :, None] * n / rate_hz  # (B, P, L)
    tones = torch.polar(torch.ones_like(cycles), 2 * math.pi * cycles)
    return (amplitude[:, :, None] * tones).sum(1)


def analytic_audio(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw audio at the window's sample rate as an analytic signal, (B, L)."""
    return _sum_of_tones(*_audio(timing, generator), AUDIO_SAMPLE_RATE_HZ, timing.window_samples)


def am_dsb(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw double-sideband AM with full carrier: 1 + audio."""
    audio = analytic_audio(timing, generator).real
    return torch.complex(1 + audio, torch.zeros_like(audio))


def one_sideband(audio: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Take the upper or the lower sideband of each window of analytic audio: (B, L) -> (B, L)."""
    upper = torch.rand(len(audio), 1, generator=generator, device=audio.device) < 0.5
    return torch.where(upper, audio, audio.conj())


def am_ssb(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw single-sideband AM without carrier: the upper or the lower sideband of the audio."""
    band = one_sideband(analytic_audio(timing, generator), generator)
    # No carrier: silent audio is not on the air, so that its shape alone matters, no loudness.
    return band / band.abs().square().mean(1, keepdim=True).clamp(min=1e-20).sqrt()


def wbfm(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw wide-band FM: audio, pre-emphasised, shifts the carrier by up to 75 kHz."""
    frequency_hz, amplitude = _audio(timing, generator)
    # 75 us pre-emphasis lifts high tones; tone by tone, FM is a phase of amplitude dev/f.
    emphasis = (1 + (2 * math.pi * frequency_hz * 75e-6).square()).sqrt()
    deviation = WBFM_DEVIATION_HZ / WBFM_RATE_HZ * amplitude * emphasis  # cycles per sample
    frequency = _sum_of_tones(frequency_hz, deviation, WBFM_RATE_HZ, timing.window_samples).real
    return torch.polar(torch.ones_like(frequency), 2 * math.pi * frequency.cumsum(1))


def nothing(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Return zeros: nothing is sent, and the window holds the channel's noise alone."""
    return torch.zeros(
        timing.batch, timing.window_samples, dtype=torch.complex64, device=timing.device
    )


# In RML2016.10A's own (alphabetical) order, then what every live receiver needs: `noise`.
MODULATORS: dict[str, Modulator] = {
    "8PSK": linear(unit_energy(psk(8))),
    "AM-DSB": am_dsb,
    "AM-SSB": am_ssb,
    "BPSK": linear(unit_energy(psk(2))),
    "CPFSK": cpfsk,
    "GFSK": gfsk,
    "PAM4": linear(unit_energy(torch.tensor([-3.0, -1.0, 1.0, 3.0]) + 0j)),
    "QAM16": linear(unit_energy(square_qam(16))),
    "QAM64": linear(unit_energy(square_qam(64))),
    "QPSK": linear(unit_energy(psk(4))),
    "WBFM": wbfm,
    "noise": nothing,
}
CLASSES = tuple(MODULATORS)


def check_labels(label: torch.Tensor, classes: Sequence[str], **level: torch.Tensor) -> None:
    """Raise ValueError unless labels are indices into classes, with one level each.

    Args:
        label: int64 (B,).
        classes: names.
        **level: the levels under their name, (B,).
    """
    ((name, levels),) = level.items()
    if label.shape != levels.shape or label.ndim != 1:
        raise ValueError(
            f"label {tuple(label.shape)} and {name} {tuple(levels.shape)} must both be (B,)"
        )
    if len(label) and not 0 <= int(label.min()) <= int(label.max()) < len(classes):
        raise ValueError(
            f"labels span {int(label.min())}..{int(label.max())}: indices into the "
            f"{len(classes)} classes are 0..{len(classes) - 1}"
        )
