# SPDX-License-Identifier: GPL-3.0-or-later
"""Phase and amplitude keying: BPSK, QPSK, OQPSK, pi/4-DQPSK, 8PSK, QAM.

Symbols become samples in the frequency domain: the DFT of the symbols repeats, and the pulse's
response weighs it. A row is a ring of symbols, so it has no first or last one.
"""

import math

import torch

from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice, Transmission
from gr_tsddae.synth.modulators import psk, square_qam, unit_energy

SAMPLES_PER_SYMBOL = 8
SYMBOLS = SOURCE_SAMPLES // SAMPLES_PER_SYMBOL
RECTANGULAR_SHARE = 0.1  # transmitters without a pulse filter
RAISED_COSINE_SHARE = 0.2  # both halves of the filter at the transmitter

ALPHABETS = {
    "BPSK": psk(2),
    "QPSK": psk(4, 0.5),
    "8PSK": psk(8),
    "QAM16": unit_energy(square_qam(16)),
    "QAM64": unit_energy(square_qam(64)),
}


def symbols_of(alphabet: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Draw random symbols, (B, SYMBOLS); some windows hold a preamble that repeats."""
    alphabet = alphabet.to(dice.device)
    index = dice.integers(len(alphabet), SYMBOLS)
    return alphabet[with_preamble(index, dice)]


def with_preamble(
    index: torch.Tensor, dice: Dice, *, share: float = 0.12, longest: float = 0.12
) -> torch.Tensor:
    """Repeat the first 1, 2 or 4 symbols over a stretch, in some rows: (B, S) -> (B, S).

    Args:
        index: symbols, (B, S).
        dice: of the batch.
        share: of the rows.
        longest: length of the stretch over that of a row, at most.
    """
    place = torch.arange(index.shape[1], device=index.device)
    period = dice.pick((1, 2, 2, 4)).long()
    length = dice.uniform(8, longest * index.shape[1])
    start = dice.uniform(0, index.shape[1])
    inside = ((place - start).remainder(index.shape[1]) < length) & dice.chance(share)
    return torch.where(inside, index.gather(1, place % period), index)


def responses(dice: Dice, rectangular: float = RECTANGULAR_SHARE) -> torch.Tensor:
    """Draw the pulse of each row as its frequency response, real (B, N)."""
    f = torch.fft.fftfreq(SOURCE_SAMPLES, 1 / SAMPLES_PER_SYMBOL, device=dice.device).abs()
    rolloff = dice.log_uniform(0.15, 1.0)
    # From 1 to 0 over the roll-off around half the symbol rate.
    ramp = ((f - (1 - rolloff) / 2) / rolloff).clamp(0, 1)
    raised = 0.5 * (1 + torch.cos(math.pi * ramp))
    shaped = torch.where(dice.chance(RAISED_COSINE_SHARE), raised, raised.sqrt())
    return torch.where(dice.chance(rectangular), torch.sinc(f).expand(dice.batch, -1), shaped)


def spread(symbols: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    """Give the spectrum of symbols (B, S) sent with pulses of a response (B, N): (B, N)."""
    return torch.fft.fft(symbols.to(torch.complex64)).repeat(1, SAMPLES_PER_SYMBOL) * response


def compressed(iq: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Let the amplifiers of some transmitters saturate, as Rapp's model says."""
    level = iq.abs().square().mean(1, keepdim=True).sqrt() * dice.uniform(1.0, 2.0)
    pressed = iq / (1 + (iq.abs() / level).square().square()).sqrt().sqrt()
    return torch.where(dice.chance(0.15), pressed, iq)


def keyed(name: str, dice: Dice) -> Transmission:
    """Send symbols of the alphabet `name`."""
    spectrum = spread(symbols_of(ALPHABETS[name], dice), responses(dice))
    iq = torch.fft.ifft(spectrum)
    return Transmission(iq if name.startswith("QAM") else compressed(iq, dice))


def quarter_pi_dqpsk(dice: Dice) -> Transmission:
    """Send QPSK that turns by an odd multiple of 45 degrees at every symbol."""
    turns = (2 * with_preamble(dice.integers(4, SYMBOLS), dice) + 1).cumsum(1) % 8
    symbols = ALPHABETS["8PSK"].to(dice.device)[turns]
    return Transmission(
        compressed(torch.fft.ifft(spread(symbols, responses(dice, rectangular=0.02))), dice)
    )


def oqpsk(dice: Dice) -> Transmission:
    """Send QPSK whose quadrature comes half a symbol later; some with half-sine pulses."""
    f = torch.fft.fftfreq(SOURCE_SAMPLES, 1 / SAMPLES_PER_SYMBOL, device=dice.device)
    # A half sine over one symbol: two sinc functions, half a symbol rate apart.
    half_sine = torch.sinc(f - 0.5) + torch.sinc(f + 0.5)
    response = torch.where(dice.chance(0.1), half_sine, responses(dice, rectangular=0.03))
    rows = [2.0 * with_preamble(dice.integers(2, SYMBOLS), dice).float() - 1 for _ in range(2)]
    late = torch.polar(torch.ones_like(f), -math.pi * f)
    spectrum = spread(rows[0], response) + 1j * spread(rows[1], response) * late
    return Transmission(compressed(torch.fft.ifft(spectrum), dice))
