# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample rate at which a model wants a signal, as far as its card tells."""

from gr_tsddae.zoo.card import Card

SYMBOL_TOLERANCE = 0.25
BANDWIDTH_TOLERANCE = 0.35  # a little more than the errors of bandwidths in training
RATE_TOLERANCE = 0.05
# Width of the band that passes, in bandwidths of the signal, for a model that wants a multiple of
# the bandwidth: neighbours are kept out, and the noise on both sides is still seen.
PASSBAND = 2.0


def wants_one_rate(card: Card) -> bool:
    """Tell whether a model wants all signals at one sample rate, whatever they are."""
    return bool(card.sample_rate_hz) and not (card.samples_per_symbol or card.bandwidth_multiple)


def wanted_rate_hz(card: Card, *, symbol_rate_hz: float, bandwidth_hz: float) -> float:
    """Compute the sample rate at which a model wants a signal.

    Args:
        card: The model's.
        symbol_rate_hz: Of the signal; used where the card has samples_per_symbol.
        bandwidth_hz: Occupied (99 %) bandwidth of the signal; not used where it has none.

    Raises:
        ValueError: If the card names no sample rate, of any of these kinds.
    """
    if card.bandwidth_multiple:
        return card.bandwidth_multiple * bandwidth_hz
    if card.samples_per_symbol:
        return card.samples_per_symbol * symbol_rate_hz
    if card.sample_rate_hz:
        return card.sample_rate_hz
    raise ValueError(f"the card of model {card.name!r} names no samples_per_symbol: give them")


def disagreement(
    card: Card,
    sample_rate_hz: float | None,
    symbol_rate_hz: float | None,
    bandwidth_hz: float | None = None,
) -> str:
    """Compare a stream's rate with the rate of a model's training.

    Args:
        card: Of the running model.
        sample_rate_hz: Of the stream; None when unknown.
        symbol_rate_hz: Of the signal; None when unknown.
        bandwidth_hz: Occupied (99 %) bandwidth of the signal; None when unknown.

    Returns:
        What is wrong and what to do, in one sentence; empty when nothing is known to be wrong.
    """
    if not sample_rate_hz:
        return ""
    if symbol_rate_hz and card.samples_per_symbol:
        found, trained = sample_rate_hz / symbol_rate_hz, card.samples_per_symbol
        if abs(found / trained - 1) > SYMBOL_TOLERANCE:
            return (
                f"the stream has {found:.4g} samples per symbol, {card.name} was trained with "
                f"{trained:.4g}: resample to {trained * symbol_rate_hz:.6g} samples/s"
            )
    if bandwidth_hz and card.bandwidth_multiple:
        found, trained = sample_rate_hz / bandwidth_hz, card.bandwidth_multiple
        if abs(found / trained - 1) > BANDWIDTH_TOLERANCE:
            return (
                f"the stream has {found:.4g} times the signal's bandwidth as its sample rate, "
                f"{card.name} was trained with {trained:.4g} times: resample to "
                f"{trained * bandwidth_hz:.6g} samples/s"
            )
    if card.sample_rate_hz and abs(sample_rate_hz / card.sample_rate_hz - 1) > RATE_TOLERANCE:
        return (
            f"the stream has {sample_rate_hz:.6g} samples/s, {card.name} was trained with "
            f"{card.sample_rate_hz:.6g}: resample to that rate"
        )
    return ""
