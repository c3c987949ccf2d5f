# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare an emission with known signals: what agrees earns points, a contradiction excludes.

The points are about the logarithm of how much more often the agreement is met with the signal than
by chance: a symbol rate that fits within 1 % earns more than a bandwidth within a wide range.
Signals with too few points are not named, and neither are those far behind the best. Bandwidth and
frequency alone name a signal only where few others share them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from gr_tsddae.labels import NOISE, UNKNOWN
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.naming.signals import Signal, Span

# Points of an agreement.
OF_CLASS, ALSO_CLASS = 2.0, 1.0
RATE, RATE_IN_RANGE = 3.0, 1.0
OFDM_USEFUL, OFDM_PREFIX, LORA_CHIRP, CHIRP = 4.0, 1.0, 4.0, 1.0
DEVIATION, TONES, BURST, PERIOD = 0.7, 0.7, 0.5, 1.0
MOST_OF_BANDWIDTH = 1.5  # of an exact one; half of it from an octave's range
LEAST_OF_FREQUENCY, MOST_OF_FREQUENCY = 1.0, 3.0  # by how narrow the range is
OTHER_KEYING = -0.5
NO_RATE = -1.5  # a symbol rate was measured, and the signal should have none
RARE = -1.0
NO_FREQUENCY = -0.5  # the signal is at home in certain bands, and the frequency is not known
ENOUGH, ENOUGH_WEAK = 2.1, 3.0  # weak: of bandwidth, frequency and burst timing alone
WITHIN, WITHIN_WEAK = 2.0, 1.0  # of the best candidate's points
MOST_CANDIDATES = 5

RATE_TOLERANCE, USEFUL_TOLERANCE, PERIOD_TOLERANCE = 0.01, 0.015, 0.03
PREFIX_TOLERANCE, CHIRP_TOLERANCE = 0.2, 0.1
BANDWIDTH_TOLERANCE = 0.7, 1.4  # times the range: noise and fading move the edges
DEVIATION_AGREES, DEVIATION_TOLERANCE = (0.65, 1.35), (0.4, 2.5)
EDGE = 0.42  # of the sample rate: an emission that reaches beyond may be wider than what was seen
WIDE_FM_HZ = 50e3

# A label -> classes that it may well stand for: all frequency keying is FM.
STANDS_FOR = {"FM": {"2-FSK", "4-FSK", "GFSK"}}
SYNONYMS = {"WBFM": "FM", "CPFSK": "2-FSK"}  # class names of models of RML2016
_KEYED_ON_OFF = {"OOK", "pulses", "carrier", "AM-DSB"}
_NOT_CONSTANT = {*_KEYED_ON_OFF, "BPSK", "QPSK", "8PSK", "pi/4-DQPSK", "QAM16", "QAM64"}


@dataclass(frozen=True)
class Candidate:
    """A signal that nothing measured contradicts.

    Attributes:
        name: of the signal.
        reason: one sentence, of what agrees.
        points: the sum of the agreements.
        is_strong: whether more than bandwidth, frequency and burst timing agrees.
    """

    name: str
    reason: str
    points: float
    is_strong: bool


def named(
    emission: Emission, signals: Sequence[Signal], *, sample_rate_hz: float | None = None
) -> Emission:
    """The emission with `candidates` and `reasons`; see `candidates`."""
    found = candidates(emission, signals, sample_rate_hz=sample_rate_hz)
    return dataclasses.replace(
        emission, candidates=[c.name for c in found], reasons=[c.reason for c in found]
    )


def candidates(
    emission: Emission, signals: Sequence[Signal], *, sample_rate_hz: float | None = None
) -> list[Candidate]:
    """The signals that an emission is consistent with, best first; never a certainty.

    Args:
        emission: Measured, and recognised where a model was asked.
        signals: Of `load_signals`.
        sample_rate_hz: Of the stream. An emission at the stream's edge may be wider than seen.

    Returns:
        At most `MOST_CANDIDATES`; none where the evidence is weak, or fits many signals alike.
    """
    found = [_compared(emission, signal, sample_rate_hz) for signal in signals]
    enough = [
        each
        for each in found
        if each is not None and each.points >= (ENOUGH if each.is_strong else ENOUGH_WEAK)
    ]
    enough.sort(key=lambda each: -each.points)
    if not enough:
        return []
    margin = WITHIN if enough[0].is_strong else WITHIN_WEAK
    close = [each for each in enough if each.points >= enough[0].points - margin]
    if len(close) > MOST_CANDIDATES and not enough[0].is_strong:
        return []
    return close[:MOST_CANDIDATES]


def class_name(emission: Emission) -> str:
    """The label for people; of FM, whether it is narrow or wide."""
    if SYNONYMS.get(emission.label, emission.label) != "FM":
        return emission.label
    return f"{'narrow' if emission.bandwidth_hz < WIDE_FM_HZ else 'wide'} FM"


class _Contradiction(Exception):
    """Something measured that the signal is not."""


@dataclass
class _Evidence:
    points: float = 0.0
    words: list[str] = dataclasses.field(default_factory=list)
    is_strong: bool = False

    def add(self, points: float, words: str = "", *, is_strong: bool = False) -> None:
        self.points += points
        self.is_strong |= is_strong
        if words:
            self.words.append(words)


def _compared(emission: Emission, signal: Signal, rate_hz: float | None) -> Candidate | None:
    evidence = _Evidence()
    try:
        _class(emission, signal, evidence)
        _symbols(emission, signal, evidence)
        _carriers(emission, signal, evidence)
        _chirps(emission, signal, evidence)
        _bandwidth(emission, signal, evidence, rate_hz)
        _frequency_keying(emission, signal, evidence)
        _bursts(emission, signal, evidence)
        _frequency(emission, signal, evidence)
    except _Contradiction:
        return None
    if signal.rare:
        evidence.add(RARE)
    reason = f"{', '.join(evidence.words)}: consistent with {signal.name}"
    return Candidate(signal.name, reason, round(evidence.points, 3), evidence.is_strong)


def _class(emission: Emission, signal: Signal, evidence: _Evidence) -> None:
    label = SYNONYMS.get(emission.label, emission.label)
    if label in (UNKNOWN, NOISE):  # something was found: the model cannot make it out
        return
    if label in signal.classes:
        evidence.add(OF_CLASS, class_name(emission), is_strong=True)
    elif label in signal.also or STANDS_FOR.get(label, set()) & {*signal.classes}:
        evidence.add(ALSO_CLASS, f"taken for {class_name(emission)}", is_strong=True)
    else:
        # A model that does not know the signal's classes has no say against the signal.
        known = {SYNONYMS.get(name, name) for name in emission.probabilities}
        if not known or known & {*signal.classes, *signal.also}:
            raise _Contradiction


def _symbols(emission: Emission, signal: Signal, evidence: _Evidence) -> None:
    rate_hz = emission.symbol_rate_hz
    classes = {*signal.classes, *signal.also}
    keying = emission.measured.get("keying")
    if keying == "frequency" and classes <= _NOT_CONSTANT:
        raise _Contradiction
    if keying == "on-off" and not classes & _KEYED_ON_OFF:  # or a burst with a pause in it
        evidence.add(OTHER_KEYING)
    if rate_hz is None or signal.symbol_rates_hz is None:
        return
    if not signal.symbol_rates_hz:
        evidence.add(NO_RATE)
        return
    fits = [span for span in signal.symbol_rates_hz if _inside(rate_hz, span, RATE_TOLERANCE)]
    if not fits:
        raise _Contradiction
    exact = any(low == high for low, high in fits)
    evidence.add(RATE if exact else RATE_IN_RANGE, baud(rate_hz), is_strong=exact)


def _carriers(emission: Emission, signal: Signal, evidence: _Evidence) -> None:
    useful_us = emission.measured.get("ofdm_useful_s", 0.0) * 1e6
    if not useful_us:
        return
    if signal.ofdm_useful_us is None or not _near(
        useful_us, signal.ofdm_useful_us, USEFUL_TOLERANCE
    ):
        raise _Contradiction
    evidence.add(OFDM_USEFUL, f"OFDM symbols of {seconds(useful_us / 1e6)}", is_strong=True)
    prefix_us = emission.measured.get("ofdm_prefix_s", 0.0) * 1e6
    if prefix_us and _near(prefix_us, signal.ofdm_prefix_us or (), PREFIX_TOLERANCE):
        evidence.add(OFDM_PREFIX, f"prefix of {seconds(prefix_us / 1e6)}")


def _chirps(emission: Emission, signal: Signal, evidence: _Evidence) -> None:
    slope = abs(emission.measured.get("chirp_hz_per_s", 0.0))
    if not slope:
        return
    if "LoRa" in signal.also:  # another signal that sweeps
        evidence.add(CHIRP, "chirps")
        return
    for bandwidth_khz in signal.lora_bandwidths_khz or ():
        for factor in signal.lora_spreading_factors or ():
            expected = (bandwidth_khz * 1e3) ** 2 / 2**factor
            fits = _near(emission.bandwidth_hz / 1e3, (bandwidth_khz,), 0.3)
            if fits and _near(slope, (expected,), CHIRP_TOLERANCE):
                evidence.add(
                    LORA_CHIRP,
                    f"chirps as of {bandwidth_khz:g} kHz and SF {factor}",
                    is_strong=True,
                )
                return
    raise _Contradiction


def _bandwidth(
    emission: Emission, signal: Signal, evidence: _Evidence, rate_hz: float | None
) -> None:
    if signal.bandwidth_khz is None:
        return
    low, high = signal.bandwidth_khz
    khz = emission.bandwidth_hz / 1e3
    cut_off = rate_hz is not None and max(-emission.low_hz, emission.high_hz) > EDGE * rate_hz
    if khz > BANDWIDTH_TOLERANCE[1] * high or (khz < BANDWIDTH_TOLERANCE[0] * low and not cut_off):
        raise _Contradiction
    points = MOST_OF_BANDWIDTH / (1 + math.log2(high / low))
    if cut_off:
        evidence.add(0.0, f"at least {hertz(emission.bandwidth_hz)} wide")
    else:
        evidence.add(
            points if low <= khz <= high else points / 2, f"{hertz(emission.bandwidth_hz)} wide"
        )


def _frequency_keying(emission: Emission, signal: Signal, evidence: _Evidence) -> None:
    deviation_hz = emission.measured.get("deviation_hz")
    if deviation_hz and signal.deviation_hz:
        low, high = signal.deviation_hz
        if not low * DEVIATION_TOLERANCE[0] <= deviation_hz <= high * DEVIATION_TOLERANCE[1]:
            raise _Contradiction
        if low * DEVIATION_AGREES[0] <= deviation_hz <= high * DEVIATION_AGREES[1]:
            evidence.add(DEVIATION, f"deviation {hertz(deviation_hz)}")
    tones = emission.measured.get("tones")
    if tones and signal.tones:
        if tones > signal.tones:  # filters can hide tones, and make none
            raise _Contradiction
        if tones == signal.tones:
            evidence.add(TONES, f"{tones} tones")


def _bursts(emission: Emission, signal: Signal, evidence: _Evidence) -> None:
    # Short bursts are measured no better than the frames of the spectrum: nothing contradicts.
    burst_ms = emission.measured.get("burst_s", 0.0) * 1e3
    if burst_ms and signal.burst_ms and _inside(burst_ms, signal.burst_ms, 0.2):
        evidence.add(BURST, f"bursts of {seconds(burst_ms / 1e3)}")
    period_ms = emission.measured.get("period_s", 0.0) * 1e3
    if period_ms and _near(period_ms, signal.period_ms or (), PERIOD_TOLERANCE):
        evidence.add(PERIOD, f"every {seconds(period_ms / 1e3)}")


def _frequency(emission: Emission, signal: Signal, evidence: _Evidence) -> None:
    if signal.frequencies_mhz is None:
        return
    if not emission.band_center_hz:  # files at 0 Hz are recordings whose frequency is not known
        evidence.add(NO_FREQUENCY)
        return
    mhz = (emission.band_center_hz + emission.center_hz) / 1e6
    spans = [
        (high - low, region)
        for region, ranges in signal.frequencies_mhz.items()
        for low, high in ranges
        if low <= mhz <= high
    ]
    if not spans:
        raise _Contradiction
    width_mhz, region = min(spans)
    points = LEAST_OF_FREQUENCY + math.log10(mhz / width_mhz)
    where = "" if region == "world" else f" ({region})"
    evidence.add(
        min(MOST_OF_FREQUENCY, max(LEAST_OF_FREQUENCY, points)), f"at {mhz:.7g} MHz{where}"
    )


def hertz(value_hz: float) -> str:
    """A width in the unit that people say it in."""
    for unit, scale in (("MHz", 1e6), ("kHz", 1e3)):
        if value_hz >= 0.9995 * scale:
            return f"{value_hz / scale:.3g} {unit}"
    return f"{value_hz:.3g} Hz"


def seconds(value_s: float) -> str:
    """A time in the unit that people say it in."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value_s >= 0.99995 * scale:
            return f"{value_s / scale:.4g} {unit}"
    return f"{value_s * 1e6:.4g} us"


def baud(rate_hz: float) -> str:
    """A symbol rate, to five digits and never as a power of ten."""
    return f"{float(f'{rate_hz:.5g}'):.12g} Bd"


def _inside(value: float, span: Span, tolerance: float) -> bool:
    return span[0] * (1 - tolerance) <= value <= span[1] * (1 + tolerance)


def _near(value: float, choices: Sequence[float], tolerance: float) -> bool:
    return any(abs(value / choice - 1) <= tolerance for choice in choices)
