# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a stream is what a model wants: one signal, at 0 Hz, at the rate of its card."""

import numpy as np

from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.stream import Survey
from gr_tsddae.zoo import Card
from gr_tsddae.zoo.input_rate import disagreement

ENOUGH_SAMPLES = 1 << 16
LEAST_SNR_DB = 6.0  # what is weaker may not be there
LEAST_SHARE = 0.1  # of the strongest emission's power: what is weaker does not change a label
LARGEST_OFFSET = 0.25  # of the bandwidth: models know smaller ones
LEAST_LOCK_DB = 12.0  # of a symbol rate that is relied on
RATE_HZ = 1e6  # stands for an unknown sample rate


def misfit(iq: np.ndarray, sample_rate_hz: float | None, card: Card) -> str:
    """Survey a piece of a stream, and compare what it holds with what a model wants.

    Args:
        iq: Complex, (N,), as the model gets it; some ten thousand samples.
        sample_rate_hz: None when unknown.
        card: Of the model.

    Returns:
        What is wrong and what to do, in one sentence; empty when nothing is found to be wrong, or
        nothing was heard.
    """
    rate_hz = sample_rate_hz or RATE_HZ
    heard = _heard(iq, rate_hz)
    if not heard:
        return ""
    strongest = max(heard, key=_power)
    loud = [e for e in heard if _power(e) >= LEAST_SHARE * _power(strongest)]
    apart = [e for e in loud if e is not strongest and _are_apart(e, strongest)]
    if apart:
        return (
            f"the stream holds {1 + len(apart)} signals, and {card.name} names one alone: bring "
            "one to the centre with the Conditioner, or use the survey, which names each"
        )
    offset_hz = strongest.center_hz
    if abs(offset_hz) > LARGEST_OFFSET * strongest.bandwidth_hz:
        rounded_hz = float(f"{offset_hz:.3g}")
        where = f"{rounded_hz:+,.0f} Hz" if sample_rate_hz else f"{offset_hz / rate_hz:+.3f} cycles"
        return (
            f"the signal lies {where}{'' if sample_rate_hz else ' per sample'} from the centre of "
            f"the stream, where {card.name} wants it: move it there with the Conditioner"
        )
    sure = strongest.measured.get("symbol_rate_lock_db", 0.0) >= LEAST_LOCK_DB
    said = disagreement(
        card, rate_hz, strongest.symbol_rate_hz if sure else None, strongest.bandwidth_hz
    )
    if said and not sample_rate_hz:  # the rate to resample to would be that of no stream
        said = said.partition(": resample")[0] + ": resample it with the Conditioner"
    return said


def signal_band(iq: np.ndarray, sample_rate_hz: float) -> tuple[float, float]:
    """Measure where the strongest signal of a stream begins and ends in frequency.

    Returns:
        Lower and upper edge in Hz from the centre; the whole band where nothing is heard.
    """
    heard = _heard(iq, sample_rate_hz)
    if not heard:
        return -sample_rate_hz / 2, sample_rate_hz / 2
    strongest = max(heard, key=_power)
    return strongest.low_hz, strongest.high_hz


def _heard(iq: np.ndarray, rate_hz: float) -> list[Emission]:
    survey = Survey(rate_hz)
    events = [*survey.push(np.asarray(iq, np.complex64)), *survey.flush()]
    return [e.emission for e in events if e.kind == "ended" and e.emission.snr_db >= LEAST_SNR_DB]


def _power(emission: Emission) -> float:
    return emission.bandwidth_hz * 10 ** (emission.snr_db / 10)


def _are_apart(one: Emission, other: Emission) -> bool:
    """Tell signals from the parts of one: sidebands and tones lie close to each other."""
    distance_hz = abs(one.center_hz - other.center_hz)
    return distance_hz > 1.5 * max(one.bandwidth_hz, other.bandwidth_hz)
