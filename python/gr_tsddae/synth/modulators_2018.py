# SPDX-License-Identifier: GPL-3.0-or-later
"""The 24 modulations of RML2018.01A and the channel of its paper, vectorised.

Distributions are those of Table I of O'Shea, Roy and Clancy, "Over-the-Air Deep Learning Based
Radio Signal Classification" (2018). What the paper leaves open is chosen here: 8 samples per
symbol, 16 echoes, ASK without negative levels (as OOK), GMSK with BT 0.35, audio as in
`modulators`. Its SNR is Es/N0, so a window holds 9 dB less than its label in the whole band.
"""

import math
from collections.abc import Sequence

import torch

from gr_tsddae.iq.windows import to_rows
from gr_tsddae.synth import channel
from gr_tsddae.synth.modulators import (
    BINARY,
    Audio,
    Modulator,
    Timing,
    analytic_audio,
    check_labels,
    draw_symbols,
    gaussian_fsk,
    linear,
    one_sideband,
    psk,
    shape_pulses,
    square_qam,
    unit_energy,
    wbfm,
)
from gr_tsddae.synth.pulses import root_raised_cosine

SAMPLES_PER_SYMBOL = 8.0
ROLLOFF = (0.1, 0.4)
CLOCK_OFFSET_STD = 1e-4  # of the symbol rate, and of the carrier in cycles per sample
DELAY_SPREADS_SAMPLES = (0.0, 0.5, 1.0, 2.0)
ECHOES = 16
MAX_DELAY_SAMPLES = 12  # a Rayleigh delay of spread 2 is longer once in 60 million
GMSK_BT = 0.35
GMSK_INDEX = 0.5
AUDIO = Audio(loudness_db=(-14.0, -4.0), silent_share=0.0)  # never so loud that AM overmodulates
_SPAN_SYMBOLS = 21  # the pulse of roll-off 0.1 rings long


def _ask(levels: int) -> torch.Tensor:
    return torch.complex(torch.arange(levels).float(), torch.zeros(levels))


def _rings(*rings: tuple[int, float, float]) -> torch.Tensor:
    """Build APSK from (points, radius, turn in steps between points) of each ring."""
    return torch.cat([radius * psk(points, turn) for points, radius, turn in rings])


def _cross(order: int) -> torch.Tensor:
    """Build QAM of 32 or 128 points: the next larger even square without its four corners."""
    corner = math.isqrt(order // 32)  # 1 x 1 of 6 x 6; 2 x 2 of 12 x 12
    side = 6 * corner
    points = square_qam(side**2)
    limit = side - 2 * corner
    return points[(points.real.abs() < limit) | (points.imag.abs() < limit)]


# Radii of DVB-S2 (code rate 3/4) and DVB-S2X (64APSK 11/15, 128APSK 3/4). The points of each
# ring are spread evenly; the standard moves those of 128APSK a little.
ALPHABETS: dict[str, torch.Tensor] = {
    "OOK": _ask(2),
    "4ASK": _ask(4),
    "8ASK": _ask(8),
    "BPSK": psk(2),
    "QPSK": psk(4, 0.5),
    "8PSK": psk(8),
    "16PSK": psk(16),
    "32PSK": psk(32),
    "16APSK": _rings((4, 1.0, 0.5), (12, 2.85, 0.5)),
    "32APSK": _rings((4, 1.0, 0.5), (12, 2.84, 0.5), (16, 5.27, 0.0)),
    "64APSK": _rings((4, 1.0, 0.5), (12, 2.4, 0.5), (20, 4.3, 0.5), (28, 7.0, 0.5)),
    "128APSK": _rings(
        *((16, 1.0, 0.5), (16, 1.715, 0.5), (16, 2.118, 0.0)),
        *((16, 2.681, 0.5), (16, 2.75, 0.0), (48, 3.733, 0.5)),
    ),
    "16QAM": square_qam(16),
    "32QAM": _cross(32),
    "64QAM": square_qam(64),
    "128QAM": _cross(128),
    "256QAM": square_qam(256),
}
ALPHABETS = {name: unit_energy(alphabet) for name, alphabet in ALPHABETS.items()}


def _rolloff(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    low, high = ROLLOFF
    share = torch.rand(timing.batch, 1, generator=generator, device=timing.device)
    return low + (high - low) * share  # (B, 1)


def oqpsk(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw QPSK whose quadrature comes half a symbol after its in-phase part."""
    times = timing.symbol_times(generator) + 0.5  # so that the later row starts at 0, too
    rolloff = _rolloff(timing, generator)

    def row(delay_symbols: float) -> torch.Tensor:
        late = times - delay_symbols
        data = draw_symbols(BINARY, late, _SPAN_SYMBOLS, generator)
        return shape_pulses(data, late, _SPAN_SYMBOLS, lambda t: root_raised_cosine(t, rolloff))

    return torch.complex(row(0.0), row(0.5)) / math.sqrt(2)


def gmsk(timing: Timing, generator: torch.Generator) -> torch.Tensor:
    """Draw binary FSK of index 0.5 with Gaussian frequency pulses."""
    return gaussian_fsk(timing, generator, index=GMSK_INDEX, bandwidth_time=GMSK_BT, span=7)


def _amplitude(carrier: float, sidebands: int) -> Modulator:
    """Return a modulator of AM with or without carrier, one or both sidebands."""

    def modulate(timing: Timing, generator: torch.Generator) -> torch.Tensor:
        audio = analytic_audio(timing, generator)
        if sidebands == 2:
            return carrier + audio.real.to(audio.dtype)
        return carrier + one_sideband(audio, generator)

    return modulate


MODULATORS_2018: dict[str, Modulator] = {
    **{name: linear(alphabet, _SPAN_SYMBOLS, _rolloff) for name, alphabet in ALPHABETS.items()},
    "AM-SSB-WC": _amplitude(1.0, 1),
    "AM-SSB-SC": _amplitude(0.0, 1),
    "AM-DSB-WC": _amplitude(1.0, 2),
    "AM-DSB-SC": _amplitude(0.0, 2),
    "FM": wbfm,
    "GMSK": gmsk,
    "OQPSK": oqpsk,
}
# The order of the one-hot columns in the file, which is not that of the `classes.txt` beside it.
CLASSES_2018: Sequence[str] = tuple(MODULATORS_2018)


def rayleigh_taps(batch: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Draw channels as FIR taps, (B, MAX_DELAY_SAMPLES + 1).

    Echoes of one strength and random phase, their delays Rayleigh-distributed around a spread
    that is one of `DELAY_SPREADS_SAMPLES`; a spread of 0 is a single path.
    """
    spreads = torch.tensor(DELAY_SPREADS_SAMPLES, device=device)
    spread = spreads[torch.randint(len(spreads), (batch, 1), generator=generator, device=device)]
    draw = torch.rand(batch, ECHOES, generator=generator, device=device)
    delay = (spread * (-2 * torch.log1p(-draw)).sqrt()).round().long().clamp(max=MAX_DELAY_SAMPLES)
    angle = 2 * math.pi * torch.rand(batch, ECHOES, generator=generator, device=device)
    paths = torch.polar(torch.ones_like(angle), angle)
    taps = torch.zeros(batch, MAX_DELAY_SAMPLES + 1, dtype=torch.complex64, device=device)
    return taps.scatter_add(1, delay, paths)


def draw_2018(
    label: torch.Tensor, es_n0_db: torch.Tensor, *, window_samples: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw windows of given classes and Es/N0.

    Args:
        label: indices into `CLASSES_2018`, (B,).
        es_n0_db: energy of a symbol (8 samples; of the analogue classes, too) over noise density,
            (B,), same device as `label`.
        window_samples: L.
        generator: source of all randomness, on the device of `label`.

    Returns:
        Windows, float32 (B, 2, L), mean power near 1.

    Raises:
        ValueError: when lengths differ or a label is not one of `CLASSES_2018`.
    """
    check_labels(label, CLASSES_2018, es_n0_db=es_n0_db)
    batch, device = len(label), label.device

    def normal() -> torch.Tensor:
        return torch.randn(batch, generator=generator, device=device)

    run_in = MAX_DELAY_SAMPLES
    signal = torch.empty(batch, window_samples + run_in, dtype=torch.complex64, device=device)
    samples_per_symbol = SAMPLES_PER_SYMBOL * (1 + CLOCK_OFFSET_STD * normal())
    for index in label.unique().tolist():
        rows = (label == index).nonzero().squeeze(1)
        timing = Timing(samples_per_symbol[rows], window_samples + run_in, AUDIO)
        modulated = MODULATORS_2018[CLASSES_2018[index]](timing, generator)
        signal[rows] = modulated.to(torch.complex64)
    phase = 2 * math.pi * torch.rand(batch, generator=generator, device=device)
    signal = channel.shift_carrier(signal, CLOCK_OFFSET_STD * normal(), phase)
    signal = channel.convolve(signal, rayleigh_taps(batch, generator, device))
    signal = signal / signal.abs().square().mean(1, keepdim=True).clamp(min=1e-20).sqrt()
    noise_power = SAMPLES_PER_SYMBOL * 10 ** (-es_n0_db[:, None] / 10)
    noise = channel.complex_normal(batch, window_samples, generator=generator, device=device)
    return to_rows((signal + noise_power.sqrt() * noise) / (1 + noise_power).sqrt())
