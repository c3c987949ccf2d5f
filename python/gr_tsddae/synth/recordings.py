# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings like those of TechRec's and ICARUS's receivers: technology -> air -> receiver."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch

from gr_tsddae.synth import channel
from gr_tsddae.synth.technologies import (
    DVBT_RATE_HZ,
    WIFI_RATE_HZ,
    Native,
    at_rate,
    dvbt,
    lte,
    lte_rate_hz,
    wifi,
)
from gr_tsddae.synth.underlay import dsss

_AIR_TAPS = 12
# A recording is resampled at once: ten seconds need some 6 GB of memory.
MAX_RECORDING_S = 10.0


@dataclass(frozen=True)
class Technology:
    """One class of TechRec: file-name prefix, receiver gain, centre frequency, waveform."""

    prefix: str
    gain_db: int
    centre_mhz: int
    native: Native
    native_rate_hz: Fraction


TECHREC_RATE_HZ = 10_000_000
# Prefixes, gains and frequencies as in the released file names. Wi-Fi is 20 MHz wide: the
# receiver sees the half of it that its filter passes.
TECHREC = (
    Technology("lte10Msps", 20, 806, lte, lte_rate_hz(50)),
    Technology("dvbt", 30, 482, dvbt, DVBT_RATE_HZ),
    Technology("wf", 25, 2412, wifi, WIFI_RATE_HZ),
)
TECHREC_RMS = 0.003  # of full scale, as in the released recordings

ICARUS_RATE_HZ = 7_680_000
ICARUS_RESOURCE_BLOCKS = 25
ICARUS_CHIP_RATE_HZ = 3_000_000  # 3.75 MHz wide, inside the 4.5 MHz of LTE
ICARUS_SIR_DB = (0, 5, 10)
ICARUS_LABELS = ("normal", "anomaly")


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand(1, generator=generator))


def through_air(stream: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Apply a fixed multipath channel and a small carrier offset; scale to unit power.

    The first `_AIR_TAPS - 1` samples are lost to the channel's run-in.
    """
    decay = torch.exp(-torch.arange(_AIR_TAPS) / _uniform(0.2, 2.0, generator))
    taps = channel.complex_normal(_AIR_TAPS, generator=generator, device=stream.device)
    taps = taps * decay.sqrt()
    taps[0] = taps[0] / taps[0].abs().clamp(min=1e-9)  # the direct path never fades
    heard = torch.zeros(len(stream) - _AIR_TAPS + 1, dtype=torch.complex64)
    for delay, tap in enumerate(taps.tolist()):
        heard += tap * stream[_AIR_TAPS - 1 - delay : len(stream) - delay]
    offset = _uniform(-1e-4, 1e-4, generator)  # cycles per sample: 1 kHz at 10 MS/s
    n = torch.arange(len(heard), dtype=torch.float64)
    turn = 2 * math.pi * (offset * n + _uniform(0, 1, generator)).remainder(1.0)
    heard = heard * torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
    return heard / heard.abs().square().mean().sqrt()


def received(signal: torch.Tensor, snr_db: float, generator: torch.Generator) -> torch.Tensor:
    """Add the receiver's noise to a unit-power signal; scale to mean power near 1."""
    noise = channel.complex_normal(len(signal), generator=generator, device=signal.device)
    noise_power = 10 ** (-snr_db / 10)
    return (signal + math.sqrt(noise_power) * noise) / math.sqrt(1 + noise_power)


def techrec_recording(
    technology: Technology, samples: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw one recording at 10 MS/s, complex64 (samples,), 12 to 25 dB over noise."""
    stream = at_rate(
        technology.native,
        technology.native_rate_hz,
        TECHREC_RATE_HZ,
        samples + _AIR_TAPS - 1,
        generator,
    )
    heard = through_air(stream, generator)
    return TECHREC_RMS * received(heard, _uniform(12, 25, generator), generator)


def underlaid(samples: int, sir_db: float | None, generator: torch.Generator) -> torch.Tensor:
    """Draw 5 MHz LTE at 7.68 MS/s, above DSSS from another place unless `sir_db` is None.

    Returns:
        complex64 (samples,), unit power, so that level does not tell; power of LTE over power of
        DSSS, each over the whole recording, is `sir_db`.
    """
    length = samples + _AIR_TAPS - 1
    signal = through_air(
        lte(length, generator, resource_blocks=ICARUS_RESOURCE_BLOCKS)[:length], generator
    )
    if sir_db is None:
        return signal
    chips_per_sample = ICARUS_CHIP_RATE_HZ / ICARUS_RATE_HZ
    below = through_air(dsss(length, chips_per_sample, generator), generator)
    amplitude = 10 ** (-sir_db / 20)
    return (signal + amplitude * below) / math.sqrt(1 + amplitude**2)


def icarus_recordings(
    count: int, samples: int, generator: torch.Generator
) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Draw `count` recordings for each SIR, of LTE alone and of LTE with DSSS.

    Yields:
        (label, SIR in dB, complex64 (samples,)), 15 to 25 dB over noise. A normal recording has
        no SIR; its number says which anomalies it is the counterpart of.
    """
    for label in ICARUS_LABELS:
        for sir_db in ICARUS_SIR_DB:
            for _ in range(count):
                signal = underlaid(samples, sir_db if label == "anomaly" else None, generator)
                yield label, sir_db, received(signal, _uniform(15, 25, generator), generator)
