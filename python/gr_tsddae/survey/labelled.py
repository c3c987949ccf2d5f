# SPDX-License-Identifier: GPL-3.0-or-later
"""What an annotation of a recording marks, cut out as a model wants it."""

from __future__ import annotations

from gr_tsddae.iq.captures import Capture
from gr_tsddae.iq.cut_out import OVERSAMPLING, CutOut, band_from_center, cut_out
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.measurement import keying
from gr_tsddae.survey.recognition import MOST_SAMPLES, wanted_of
from gr_tsddae.zoo import Card

_SNR_DB = 20.0  # supposed of what somebody labelled


def labelled_signal(
    capture: Capture,
    number: int,
    card: Card,
    *,
    symbol_rate_hz: float | None = None,
    bandwidth_hz: float | None = None,
    offset_hz: float = 0.0,
) -> tuple[CutOut, float | None]:
    """Cut out what an annotation marks, in time and, where it has edges, in frequency.

    The sample rate is the one that the card asks for: a multiple of the bandwidth, samples per
    symbol, or one rate for all. Where the card asks for none, or a symbol rate is wanted and none
    is found, it is 4 times the width of the annotation's band.

    Args:
        capture: Open, with a known sample rate.
        number: Of the annotation, from 0.
        card: The model's.
        symbol_rate_hz: Of the signal; measured when None and the card asks for it.
        bandwidth_hz: Of the signal; the annotation's when None.
        offset_hz: Of the signal from the middle of the annotation's band.

    Returns:
        The signal, and its symbol rate, where that is known.
    """
    note, rate_hz = capture.annotations[number], capture.sample_rate_hz
    band_hz = (-rate_hz / 2, rate_hz / 2)
    if note.band_hz is not None:
        band_hz = band_from_center(capture, note.first_sample, note.band_hz)
    width_hz = bandwidth_hz or band_hz[1] - band_hz[0]
    center_hz = sum(band_hz) / 2 + offset_hz
    band_hz = (center_hz - width_hz / 2, center_hz + width_hz / 2)
    plain_hz = min(rate_hz, OVERSAMPLING * width_hz)
    plain = cut_out(capture, note.first_sample, note.sample_count, band_hz, plain_hz)
    if symbol_rate_hz is None and card.samples_per_symbol and not card.bandwidth_multiple:
        iq = plain.read(0, min(plain.sample_count, MOST_SAMPLES))
        found, _ = keying([iq], plain.sample_rate_hz, width_hz, _SNR_DB)
        symbol_rate_hz = found.rate_hz if found else None
    if note.band_hz is None and bandwidth_hz is None and symbol_rate_hz is None:
        return plain, None
    begin_s = note.first_sample / rate_hz
    end_s = begin_s + note.sample_count / rate_hz
    signal = Emission(
        number, begin_s, end_s, *band_hz, _SNR_DB, [(begin_s, end_s)], symbol_rate_hz=symbol_rate_hz
    )
    wanted = wanted_of(signal, card, rate_hz)
    if wanted is None:
        return plain, symbol_rate_hz
    part = cut_out(
        capture, note.first_sample, note.sample_count, band_hz, wanted.rate_hz,
        passband_hz=wanted.passband_hz, exact=True,
    )  # fmt: skip
    return part, symbol_rate_hz
