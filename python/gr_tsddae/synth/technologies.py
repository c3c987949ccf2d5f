# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE, DVB-T and Wi-Fi downlinks by the rules of their physical layers, with random data.

Numerology, carrier layout, pilots, preambles and bursts are those of the standards; coding,
scrambling and addresses are random symbols, which a receiver without keys cannot tell apart.
Left out: LTE's secondary synchronisation signal and DVB-T's TPS carriers (both sent as data).
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import torch

from gr_tsddae.synth.ofdm import modulate, qam, resample

# A stream is cut out of a slightly longer one, away from the resampler's ring ends.
MARGIN_SAMPLES = 256

Native = Callable[[int, torch.Generator], torch.Tensor]


def at_rate(
    native: Native, native_rate_hz: Fraction, rate_hz: int, samples: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw a technology's stream as a receiver of another sample rate takes it, band-limited.

    Args:
        native: draws at least n samples at `native_rate_hz`.
        native_rate_hz: the technology's own sample rate.
        rate_hz: the receiver's.
        samples: how many to return.
        generator: source of all randomness.

    Returns:
        complex64 (samples,), mean power near 1 where nothing is filtered away.
    """
    ratio = Fraction(rate_hz) / native_rate_hz
    # Whole multiples of 256 keep the DFT's factors small and the transform fast.
    blocks = -(-(samples + 2 * MARGIN_SAMPLES) // (256 * ratio.numerator)) * 256
    count = blocks * ratio.denominator
    stream = resample(native(count, generator)[:count], ratio)
    return stream[MARGIN_SAMPLES : MARGIN_SAMPLES + samples]


# --- LTE, 3GPP TS 36.211, frequency division duplex, normal cyclic prefix

LTE_SPACING_HZ = 15_000
LTE_FFT_SAMPLES = {25: 512, 50: 1024}  # resource blocks -> 5 and 10 MHz channels


def lte_rate_hz(resource_blocks: int) -> Fraction:
    """Return the native sample rate: 7.68 MS/s for 25 resource blocks, 15.36 MS/s for 50."""
    return Fraction(LTE_SPACING_HZ * LTE_FFT_SAMPLES[resource_blocks])


def lte(samples: int, generator: torch.Generator, *, resource_blocks: int = 50) -> torch.Tensor:
    """Draw an LTE downlink, at least `samples` at the native rate, from a random time on.

    Resource blocks are on or off and QPSK, 16QAM or 64QAM for a subframe at a time, at a load
    drawn once; reference signals are always on, the primary synchronisation signal comes every
    5 ms.
    """
    fft_samples = LTE_FFT_SAMPLES[resource_blocks]
    half = 6 * resource_blocks
    carriers = torch.cat((torch.arange(-half, 0), torch.arange(1, half + 1)))  # nothing at DC
    prefix_samples = [s * fft_samples // 2048 for s in (160, *[144] * 6)]
    frame_samples = 20 * (7 * fft_samples + sum(prefix_samples))
    frames = -(-samples // frame_samples) + 1
    symbol = torch.arange(frames * 140)
    in_slot, slot, subframe = symbol % 7, symbol // 7 % 20, symbol // 14

    load = 0.3 + 0.7 * torch.rand(1, generator=generator)
    per_block = (int(subframe[-1]) + 1, resource_blocks)
    side = 2.0 ** torch.randint(1, 4, per_block, generator=generator)
    used = torch.rand(per_block, generator=generator) < load
    of_carrier = torch.arange(2 * half) // 12
    side, used = side[subframe][:, of_carrier], used[subframe][:, of_carrier]  # (S, K)
    # The first symbol of a subframe is control, which is QPSK over the whole band.
    control = (symbol % 14 == 0)[:, None]
    side, used = torch.where(control, 2.0, side), used | control
    grid = qam(side, generator) * used

    # Reference signals: every sixth carrier, shifted by three between symbols 0 and 4 of a slot.
    cell_shift = int(torch.randint(6, (1,), generator=generator))
    for symbol_in_slot, shift in ((0, 0), (4, 3)):
        rows = (in_slot == symbol_in_slot).nonzero()
        columns = torch.arange((cell_shift + shift) % 6, 2 * half, 6)
        grid[rows, columns] = qam(torch.full((len(rows), len(columns)), 2.0), generator)

    root = (25, 29, 34)[int(torch.randint(3, (1,), generator=generator))]
    n = torch.arange(63)
    zadoff_chu = torch.polar(torch.ones(63), -math.pi * root * ((n * (n + 1)) % 126) / 63)
    synchronisation = torch.cat((zadoff_chu[:31], zadoff_chu[32:]))  # its middle falls on DC
    rows = ((in_slot == 6) & (slot % 10 == 0)).nonzero().squeeze(1)
    grid[rows, half - 36 : half + 36] = 0
    grid[rows, half - 31 : half + 31] = synchronisation

    stream = modulate(grid, carriers, fft_samples, prefix_samples)
    start = int(torch.randint(frame_samples, (1,), generator=generator))
    return stream[start:]


# --- DVB-T, ETSI EN 300 744, 8 MHz channel

DVBT_RATE_HZ = Fraction(64_000_000, 7)
DVBT_CARRIERS = {2048: 1705, 8192: 6817}  # FFT length of the 2K and the 8K mode
DVBT_PILOT_BOOST = 4 / 3
# Continual pilots of the 2K mode; the 8K mode repeats them every 1704 carriers.
DVBT_CONTINUAL = (
    *(0, 48, 54, 87, 141, 156, 192, 201, 255, 279, 282, 333, 432, 450, 483, 525, 531, 618, 636),
    *(714, 759, 765, 780, 804, 873, 888, 918, 939, 942, 969, 984, 1050, 1101, 1107, 1110, 1137),
    *(1140, 1146, 1206, 1269, 1323, 1377, 1491, 1683, 1704),
)


@cache
def pilot_signs(count: int) -> torch.Tensor:
    """Run the standard's shift register x^11 + x^2 + 1, all ones at the start, to +1 and -1."""
    register, signs = [1] * 11, []
    for _ in range(count):
        signs.append(1.0 - 2.0 * register[10])
        register = [register[8] ^ register[10], *register[:10]]
    return torch.tensor(signs, device="cpu")


def dvbt(
    samples: int,
    generator: torch.Generator,
    *,
    fft_samples: int = 8192,
    guard: Fraction = Fraction(1, 4),
) -> torch.Tensor:
    """Draw DVB-T, at least `samples` at `DVBT_RATE_HZ`, 64QAM, from a random time on.

    Args:
        fft_samples: 2048 (2K mode) or 8192 (8K mode).
        guard: guard interval over symbol, 1/4 to 1/32.
    """
    carrier_count = DVBT_CARRIERS[fft_samples]
    number = torch.arange(carrier_count)
    guard_samples = int(fft_samples * guard)
    symbols = -(-samples // (fft_samples + guard_samples)) + 1
    grid = qam(torch.full((symbols, carrier_count), 8.0), generator)
    # Scattered pilots stand on every twelfth carrier and move by three with each of four symbols.
    phase = torch.arange(symbols)[:, None] + int(torch.randint(4, (1,), generator=generator))
    pilot = (number - 3 * (phase % 4)) % 12 == 0
    pilot |= torch.isin(number % 1704, torch.tensor(DVBT_CONTINUAL))
    grid = torch.where(pilot, DVBT_PILOT_BOOST * pilot_signs(carrier_count).to(grid.dtype), grid)
    stream = modulate(grid, number - carrier_count // 2, fft_samples, [guard_samples])
    start = int(torch.randint(fft_samples + guard_samples, (1,), generator=generator))
    return stream[start:]


# --- Wi-Fi, IEEE 802.11a/g, 20 MHz

WIFI_RATE_HZ = Fraction(20_000_000)
WIFI_CARRIERS = torch.cat((torch.arange(-26, 0), torch.arange(1, 27)))
_SHORT_SIGNS = dict(zip(range(-24, 25, 4), "+-+--+0--++++", strict=True))
SHORT_TRAINING = torch.tensor(
    [{"+": 1.0, "-": -1.0, "0": 0.0}[_SHORT_SIGNS.get(k, "0")] for k in WIFI_CARRIERS.tolist()]
) * (math.sqrt(13 / 6) * (1 + 1j))
LONG_TRAINING = torch.tensor(
    [
        1.0 if sign == "+" else -1.0
        for sign in "++--++-+-++++++--++-+-++++" + "+--++-+-+-----++--+-+-++++"
    ]
)
_WIFI_PILOTS = {-21: 1.0, -7: 1.0, 7: 1.0, 21: -1.0}


def wifi_frame(data_symbols: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """Draw one 802.11a frame at 20 MS/s: both preambles, SIGNAL, data; (320 + 80 (1 + S),).

    Args:
        data_symbols: S.
        side: constellation points per axis of the data (1 is BPSK, 2 QPSK, 4 16QAM, 8 64QAM).
        generator: source of all randomness.
    """
    preambles = [
        modulate(training.expand(2, -1), WIFI_CARRIERS, 64, (32, 0))
        for training in (SHORT_TRAINING, LONG_TRAINING)
    ]
    binary = torch.sign(torch.rand(1 + data_symbols, 52, generator=generator) - 0.5)
    grid = binary.to(torch.complex64)  # SIGNAL is always BPSK
    if side > 1:
        grid[1:] = qam(torch.full((data_symbols, 52), float(side)), generator)
    polarity = torch.sign(torch.rand(1 + data_symbols, generator=generator) - 0.5)
    for carrier, sign in _WIFI_PILOTS.items():
        grid[:, carrier == WIFI_CARRIERS] = (sign * polarity)[:, None].to(grid.dtype)
    return torch.cat((*preambles, modulate(grid, WIFI_CARRIERS, 64, [16])))


def wifi(samples: int, generator: torch.Generator) -> torch.Tensor:
    """Draw Wi-Fi traffic, at least `samples` at `WIFI_RATE_HZ`, from inside a burst or a gap.

    Frames last 0.06 to 1.6 ms, stand 16 to 150 us apart and come from stations up to 12 dB
    apart in level; mean power within a frame of the strongest is 1.
    """

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    start = whole(0, 20_000)
    pieces, count = [], 0
    while count < start + samples:
        frame = wifi_frame(whole(10, 400), (1, 2, 4, 8)[whole(0, 4)], generator)
        turn = 2 * math.pi * torch.rand(1, generator=generator)
        level_db = -12 * torch.rand(1, generator=generator)
        gap = torch.zeros(whole(320, 3000), dtype=torch.complex64)
        pieces += [frame * torch.polar(10 ** (level_db / 20), turn), gap]
        count += len(frame) + len(gap)
    return torch.cat(pieces)[start:]
