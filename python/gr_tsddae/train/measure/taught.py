# SPDX-License-Identifier: GPL-3.0-or-later
"""What a taught model knows besides its recordings: its base's classes, and what is unknown."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from gr_tsddae import zoo
from gr_tsddae.inference.metrics import rounded
from gr_tsddae.inference.rejection import Rejection, energy
from gr_tsddae.labels import match_class
from gr_tsddae.train.learn.adapt import Change, outputs
from gr_tsddae.train.learn.extend import said_by
from gr_tsddae.train.windows.feed import Batch, seed_of
from gr_tsddae.train.windows.rehearsal import (
    DRAWN_WINDOWS,
    draw_synthetic,
    read_kept,
    synthetic_classes,
)

log = logging.getLogger(__name__)

RECALL = 0.98  # of windows of known signals, as recorded and disturbed, that stay known
LEARN_SNR_DB, JUDGE_SNR_DB = (0.0, 36.0), (5.0, 30.0)
JUDGE_WINDOWS = 100  # per class of the base
FIT_WINDOWS = 40

Scaled = Callable[[torch.Tensor], torch.Tensor]


class Old:
    """The classes of a base, which a model that learns more keeps.

    Args:
        base: Of the survey's kind.
        taught: Classes of the recordings. One that the base knows is learned further.
        seed: Of the windows drawn.

    Attributes:
        classes: Of the base, then the new ones.
        label_of: Index into `classes` for each of `taught`, int64.
        synthetic: Classes that synthetic windows rehearse.
        kept: Windows of the others.
    """

    def __init__(self, base: zoo.Model, taught: Sequence[str], seed: int):
        self._base, self._seed = base, seed
        self.kept = read_kept(base)
        self.synthetic = synthetic_classes(base.card, self.kept)
        own, classes, label_of = base.card.classes, list(base.card.classes), []
        for name in taught:
            known = match_class(name, own)
            if known is None:
                classes.append(name)
            label_of.append(len(classes) - 1 if known is None else known)
        self.classes, self.label_of = tuple(classes), torch.tensor(label_of)

    def _drawn(self, purpose: str, count: int, snr_db: tuple[float, float], **more: Any) -> Batch:
        generator = torch.Generator().manual_seed(seed_of(purpose, self._seed))
        rows, which = draw_synthetic(
            self.synthetic, count, snr_db, window_samples=self._base.card.window_samples,
            generator=generator, **more,
        )  # fmt: skip
        columns = [self.classes.index(name) for name in self.synthetic]
        return rows, torch.tensor([*columns, -1])[which]

    def rehearsal(
        self, change: Change, scaled: Scaled, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make windows to rehearse, and what the base says of them: see `extend`."""
        rows, _ = self._drawn("rehearsal", DRAWN_WINDOWS, LEARN_SNR_DB, with_outliers=True)
        rows = scaled(rows.to(device))
        own = scaled(torch.from_numpy(self.kept.rows[~self.kept.measures]).to(device))
        if len(own):
            generator = torch.Generator(device).manual_seed(seed_of("kept", self._seed))
            rows = torch.cat((rows, own, change(own, generator)))
        network = self._base.network.to(device)
        return rows, said_by(network, rows, len(self.classes))

    def with_some(self, known: Batch, scaled: Scaled, device: torch.device) -> Batch:
        """Add some windows of the old classes to windows of the new ones."""
        rows, label = self._drawn("fit", FIT_WINDOWS, JUDGE_SNR_DB)
        own = torch.from_numpy(self.kept.rows[self.kept.measures])
        names = self.kept.name[self.kept.measures]
        own_label = torch.tensor([self.classes.index(n) for n in names], dtype=torch.long)
        return (
            torch.cat((known[0], scaled(torch.cat((rows, own)).to(device)))),
            torch.cat((known[1], torch.cat((label, own_label)).to(device))),
        )

    def compared(self, network: nn.Module, scaled: Scaled, device: torch.device) -> dict[str, Any]:
        """Measure old classes before and after, on windows that neither learned from."""
        rows, label = self._drawn("compared", JUDGE_WINDOWS, JUDGE_SNR_DB)
        own = torch.from_numpy(self.kept.rows[self.kept.measures])
        names = self.kept.name[self.kept.measures]
        result: dict[str, Any] = {"snr_db": list(JUDGE_SNR_DB)}
        for what, some, truth in (
            ("synthetic", rows, label),
            ("taught", own, torch.tensor([self.classes.index(n) for n in names])),
        ):
            if not len(some):
                continue
            some = scaled(some.to(device))
            before, after = (
                rounded((outputs(each.to(device), some).argmax(1).cpu() == truth).double().mean())
                for each in (self._base.network, network)
            )
            result[what] = {"windows": len(some), "before": before, "after": after}
            log.info(
                "%s classes of %s: %.1f %% before, %.1f %% after, %+.1f points, of %d windows",
                what, self._base.card.name, 100 * before, 100 * after, 100 * (after - before),
                len(some),
            )  # fmt: skip
        return result


def rejection_from(
    network: nn.Module, known: Batch, disturbed: torch.Tensor
) -> tuple[dict[str, Any], Rejection]:
    """Set the threshold beyond which a signal is unknown, on windows that were not learned from.

    The score is the energy. With the distance to class means (`energy_and_distance`) it took many
    bursts of recordings that were not learned from for unknown.

    Args:
        known: Scaled windows (N, 2, L) and labels (N,).
        disturbed: The same windows as another day might have them.

    Returns:
        The entry of the card, and the same as a rule.
    """
    logits = outputs(network, torch.cat((known[0], disturbed))).cpu().numpy()
    threshold = float(np.quantile(energy(logits), RECALL, method="inverted_cdf"))
    entry = {"score": "energy", "threshold": threshold, "recall": RECALL, "windows": len(logits)}
    return entry, Rejection(energy, threshold)
