# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws windows of the technology recipe: what transmitters send, as a receiver takes it."""

from collections.abc import Callable, Mapping

import torch

from gr_tsddae.labels import NOISE
from gr_tsddae.synth.air.dice import SOURCE_SAMPLES, Dice
from gr_tsddae.synth.air.recipe import draw_windows
from gr_tsddae.synth.modulators import check_labels
from gr_tsddae.synth.wtc.dvbt import dvbt
from gr_tsddae.synth.wtc.lte import lte
from gr_tsddae.synth.wtc.others import other
from gr_tsddae.synth.wtc.receiver import RATE_HZ, receive
from gr_tsddae.synth.wtc.symbols import Sent
from gr_tsddae.synth.wtc.wifi import wifi


def nothing(dice: Dice) -> Sent:
    """Send nothing: the window holds the receiver's noise, and at times a neighbour or a spur."""
    iq = torch.zeros(dice.batch, SOURCE_SAMPLES, dtype=torch.complex64, device=dice.device)
    ones = torch.ones(dice.batch, 1, device=dice.device)
    return Sent(iq, RATE_HZ * ones, 1e6 * ones, 0 * ones)


SENDERS: Mapping[str, Callable[[Dice], Sent]] = {
    "LTE": lte,
    "Wi-Fi": wifi,
    "DVB-T": dvbt,
    "other": other,
    NOISE: nothing,
}
CLASSES = tuple(SENDERS)


def draw(
    label: torch.Tensor,
    snr_db: torch.Tensor,
    *,
    window_samples: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw windows of given classes.

    Args:
        label: indices into `CLASSES`, int64 (B,).
        snr_db: in the band that signal and receiver share, (B,). Class `noise` ignores it.
        window_samples: L, at most 1024.
        generator: source of all randomness, on the device of `label`.

    Returns:
        Windows at `RATE_HZ`, float32 (B, 2, L), mean power near 1.

    Raises:
        ValueError: when a label is no class, lengths differ, or L is too long.
    """
    check_labels(label, CLASSES, snr_db=snr_db)
    return draw_windows(
        list(SENDERS.values()),
        label,
        snr_db,
        window_samples=window_samples,
        generator=generator,
        receive=receive,
    )
