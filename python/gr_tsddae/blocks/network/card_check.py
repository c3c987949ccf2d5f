# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a stream is what a model was trained on, as far as its card tells."""

from __future__ import annotations

from gr_tsddae.zoo import Card

SYMBOL_TOLERANCE = 0.25
RATE_TOLERANCE = 0.05


def disagreement(card: Card, sample_rate_hz: float | None, symbol_rate_hz: float | None) -> str:
    """What is wrong with the stream's rate and what to do; empty when nothing is known to be.

    Args:
        card: of the running model.
        sample_rate_hz: of the stream, None when unknown.
        symbol_rate_hz: of the signal, None when unknown.
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
    if card.sample_rate_hz and abs(sample_rate_hz / card.sample_rate_hz - 1) > RATE_TOLERANCE:
        return (
            f"the stream has {sample_rate_hz:.6g} samples/s, {card.name} was trained with "
            f"{card.sample_rate_hz:.6g}: resample to that rate"
        )
    return ""
