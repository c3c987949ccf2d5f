# SPDX-License-Identifier: GPL-3.0-or-later
"""`make`: an emission of any class, normalised, with what is true of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gr_tsddae.synth.emission import analogue, keyed, linear, multicarrier
from gr_tsddae.synth.emission.parts import Draw, occupied

_MAKERS: dict[str, Callable[[Draw], tuple[np.ndarray, float, dict]]] = {
    "carrier": analogue.carrier,
    "OOK": keyed.ook,
    "AM-DSB": analogue.am_dsb,
    "AM-SSB": analogue.am_ssb,
    "FM": analogue.fm,
    "2-FSK": keyed.fsk(2, shaped=False),
    "4-FSK": keyed.fsk(4, shaped=False),
    "GFSK": keyed.fsk(2, shaped=True),
    **{name: linear.keyed(name) for name in ("BPSK", "QPSK")},
    "OQPSK": linear.oqpsk,
    "pi/4-DQPSK": linear.quarter_pi_dqpsk,
    **{name: linear.keyed(name) for name in ("8PSK", "QAM16", "QAM64")},
    "OFDM": multicarrier.ofdm,
    "LoRa": keyed.lora,
    "pulses": keyed.pulses,
}
LABELS = tuple(_MAKERS)


@dataclass(frozen=True)
class Emission:
    """Samples of one emission and their truth.

    Attributes:
        label: one of `LABELS`.
        iq: complex64 (N,), mean power 1, not centred for AM-SSB.
        rate_hz: samples per second.
        low_hz: lower edge of the occupied bandwidth (99 % of the power), from 0 Hz.
        high_hz: upper edge.
        truth: what else is known: symbol_rate_hz, deviation_hz, tones, useful_s, ...
    """

    label: str
    iq: np.ndarray
    rate_hz: float
    low_hz: float
    high_hz: float
    truth: dict[str, Any] = field(default_factory=dict)

    @property
    def bandwidth_hz(self) -> float:
        """Occupied bandwidth; 0 for a carrier."""
        return self.high_hz - self.low_hz


def make(
    label: str, rng: np.random.Generator, seconds: float, bandwidth_hz: float | None = None
) -> Emission:
    """Draw an emission.

    Args:
        label: one of `LABELS`.
        rng: source of all randomness.
        seconds: its length.
        bandwidth_hz: about its occupied bandwidth; None draws what transmitters of the class have.

    Raises:
        ValueError: for an unknown label, or a length or bandwidth that is not above 0.
    """
    if label not in _MAKERS:
        raise ValueError(f"{label!r} is no class: choose one of {', '.join(LABELS)}")
    if not seconds > 0 or not (bandwidth_hz is None or bandwidth_hz > 0):
        raise ValueError(f"{seconds} s and {bandwidth_hz} Hz must both be above 0")
    iq, rate_hz, truth = _MAKERS[label](Draw(rng, seconds, bandwidth_hz))
    iq = iq / np.sqrt(np.mean(np.abs(iq) ** 2))
    low_hz, high_hz = (0.0, 0.0) if label == "carrier" else occupied(iq, rate_hz)
    return Emission(label, iq.astype(np.complex64), float(rate_hz), low_hz, high_hz, truth)
