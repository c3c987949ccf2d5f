# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws windows of the air recipe: what transmitters send, as receivers cut it out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from gr_tsddae.iq.windows import to_rows
from gr_tsddae.labels import NOISE
from gr_tsddae.synth.air import analogue, chirps, keyed, linear, multicarrier
from gr_tsddae.synth.air.dice import MOST_WINDOW_SAMPLES, SOURCE_SAMPLES, Dice, Transmission
from gr_tsddae.synth.air.outliers import LEARNED
from gr_tsddae.synth.air.receiver import receive
from gr_tsddae.synth.modulators import check_labels

Draw = Callable[[Dice], Transmission]
OUTLIER = -1  # label of windows that belong to no class
AT_ONCE = 512  # windows drawn together


def nothing(dice: Dice) -> Transmission:
    """Send nothing: the window holds the receiver's noise, and at times an impulse or a spur."""
    return Transmission(
        torch.zeros(dice.batch, SOURCE_SAMPLES, dtype=torch.complex64, device=dice.device)
    )


SENDERS: Mapping[str, Draw] = {
    NOISE: nothing,
    "carrier": analogue.carrier,
    "OOK": keyed.ook,
    "AM-DSB": analogue.am_dsb,
    "AM-SSB": analogue.am_ssb,
    "FM": analogue.fm,
    "2-FSK": keyed.two_fsk,
    "4-FSK": keyed.four_fsk,
    "GFSK": keyed.gfsk,
    "BPSK": partial(linear.keyed, "BPSK"),
    "QPSK": partial(linear.keyed, "QPSK"),
    "OQPSK": linear.oqpsk,
    "pi/4-DQPSK": linear.quarter_pi_dqpsk,
    "8PSK": partial(linear.keyed, "8PSK"),
    "QAM16": partial(linear.keyed, "QAM16"),
    "QAM64": partial(linear.keyed, "QAM64"),
    "OFDM": multicarrier.ofdm,
    "LoRa": chirps.lora,
    "pulses": keyed.pulses,
}
CLASSES = tuple(SENDERS)


def draw_windows(
    senders: Sequence[Callable[[Dice], Any]],
    which: torch.Tensor,
    snr_db: torch.Tensor,
    *,
    window_samples: int,
    generator: torch.Generator,
    together: int = 1,
    receive: Callable[[Any, torch.Tensor, int, Dice], torch.Tensor] = receive,
) -> torch.Tensor:
    """Draw windows of given senders.

    Args:
        which: indices into `senders`, int64 (B,), on the generator's device.
        snr_db: in the occupied bandwidth, (B,).
        window_samples: L, at most 1024.
        together: windows in turn that are of one emission.
        receive: takes what a sender sends, its SNR, L and the dice; returns windows.

    Returns:
        Windows, float32 (B, 2, L), mean power near 1.

    Raises:
        ValueError: when L is too long.
    """
    if window_samples > MOST_WINDOW_SAMPLES:
        raise ValueError(
            f"window_samples is {window_samples}: windows of this recipe have at most "
            f"{MOST_WINDOW_SAMPLES} samples"
        )
    rows = torch.empty(len(which), 2, window_samples, device=generator.device)
    for number in which.unique().tolist():
        mine = (which == number).nonzero().squeeze(1)
        dice = Dice(len(mine), generator, together)
        window = receive(senders[number](dice), snr_db[mine, None], window_samples, dice)
        rows[mine] = to_rows(window)
    return rows


def draw_at_any_snr(
    senders: Sequence[Draw],
    which: torch.Tensor,
    snr_db: tuple[float, float],
    *,
    window_samples: int,
    generator: torch.Generator,
    together: int = 1,
) -> Iterator[torch.Tensor]:
    """Yield windows of senders, as `draw_windows`, at SNRs between two, some hundred at once."""
    emissions = len(which) // together
    level_db = snr_db[0] + (snr_db[1] - snr_db[0]) * torch.rand(emissions, generator=generator)
    level_db = level_db.repeat_interleave(together)
    at_once = max(1, AT_ONCE // together) * together
    for some, level in zip(which.split(at_once), level_db.split(at_once), strict=True):
        yield draw_windows(
            senders, some, level, window_samples=window_samples, generator=generator,
            together=together,
        )  # fmt: skip


def draw(
    label: torch.Tensor,
    snr_db: torch.Tensor,
    *,
    window_samples: int,
    generator: torch.Generator,
    together: int = 1,
) -> torch.Tensor:
    """Draw windows of given classes, or of outliers to learn from.

    Args:
        label: indices into `CLASSES`, or `OUTLIER`, int64 (B,).
        snr_db: in the occupied bandwidth, (B,). Class `noise` has none and ignores it.
        window_samples: L, at most 1024.
        generator: source of all randomness, on the device of `label`.
        together: windows in turn that are of one emission, and have one label.

    Returns:
        Windows, float32 (B, 2, L), mean power near 1.

    Raises:
        ValueError: when a label is no class, lengths differ, or L is too long.
    """
    known = torch.where(label == OUTLIER, 0, label)
    check_labels(known, CLASSES, snr_db=snr_db)
    strange = torch.randint(len(LEARNED), label.shape, generator=generator, device=generator.device)
    which = torch.where(label == OUTLIER, len(CLASSES) + strange, label)
    return draw_windows(
        [*SENDERS.values(), *LEARNED.values()],
        which,
        snr_db,
        window_samples=window_samples,
        generator=generator,
        together=together,
    )
