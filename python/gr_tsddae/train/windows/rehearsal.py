# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows of classes that a model knows already: synthetic ones, and some it was taught with.

Synthetic classes are drawn anew whenever they are needed. Of taught ones, some hundred windows lie
in the model's folder with 8 bits per component, about 0.3 MB per class: a user need not keep the
recordings to teach more later.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from gr_tsddae import zoo
from gr_tsddae.data import DatasetError
from gr_tsddae.files import replacing
from gr_tsddae.synth.air import outliers
from gr_tsddae.synth.air.recipe import SENDERS, Draw, draw_at_any_snr

FILE = "rehearsal.npz"
KEPT_WINDOWS, KEPT_TO_MEASURE = 100, 50  # per taught class
DRAWN_WINDOWS = 80  # per synthetic class, and half as many per kind of no class
PEAK = 127


class Kept(NamedTuple):
    """Windows that a model was taught with.

    Attributes:
        rows: float32 (N, 2, L), of any scaling.
        name: Class of each, str (N,).
        measures: bool (N,), whether it was never learned from.
    """

    rows: np.ndarray
    name: np.ndarray
    measures: np.ndarray


def read_kept(model: zoo.Model) -> Kept:
    """Read what `write_kept` wrote; empty where a model has none.

    Raises:
        DatasetError: The file is not what it should be.
    """
    path, samples = model.folder / FILE, model.card.window_samples
    if not path.exists():
        empty = np.zeros((0, 2, samples), np.float32)
        return Kept(empty, np.zeros(0, "U1"), np.zeros(0, bool))
    try:
        with np.load(path, allow_pickle=False) as file:
            iq, name, measures = file["iq"], file["name"], file["measures"]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path} cannot be read ({error}): teach that model again") from error
    fits = iq.shape == (len(name), 2, samples) and iq.dtype == np.int8 and name.dtype.kind == "U"
    if not fits or measures.shape != name.shape or not set(name) <= set(model.card.classes):
        raise DatasetError(f"{path} does not belong to {model.card.name}: teach that model again")
    return Kept(iq.astype(np.float32) / PEAK, name, measures.astype(bool))


def write_kept(folder: Path, kept: Kept) -> None:
    """Write windows beside a model, each scaled to its peak and rounded to 8 bits."""
    peak = np.abs(kept.rows).max((1, 2), keepdims=True, initial=1e-20)
    iq = np.round(PEAK * kept.rows / peak).astype(np.int8)
    with replacing(folder / FILE) as partial, partial.open("wb") as file:
        np.savez_compressed(file, iq=iq, name=kept.name, measures=kept.measures)


def synthetic_classes(card: zoo.Card, kept: Kept) -> list[str]:
    """List the classes of a model that synthetic windows rehearse.

    Raises:
        DatasetError: A class can be rehearsed neither by synthetic windows nor by kept ones.
    """
    drawn = card.training.get("rehearsed", [n for n in card.classes if n not in set(kept.name)])
    if lost := [n for n in card.classes if n not in SENDERS and n not in set(kept.name)]:
        raise DatasetError(
            f"{card.name} cannot rehearse its class {lost[0]!r}: there is no recipe for it, and "
            f"the model's folder has no {FILE} with windows of it; choose another base"
        )
    return [name for name in drawn if name in SENDERS]


def draw_synthetic(
    names: Sequence[str],
    count: int,
    snr_db: tuple[float, float],
    *,
    window_samples: int,
    generator: torch.Generator,
    with_outliers: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `count` windows per class: float32 (N, 2, L), and indices into `names`, int64 (N,).

    Windows of no class come last, with the index `len(names)`: half as many per kind.
    """
    senders: list[Draw] = [SENDERS[name] for name in names]
    which = torch.arange(len(names)).repeat_interleave(count)
    if with_outliers:
        senders += outliers.LEARNED.values()
        kinds = torch.arange(len(names), len(senders)).repeat_interleave(count // 2)
        which = torch.cat((which, kinds))
    rows = draw_at_any_snr(
        senders, which, snr_db, window_samples=window_samples, generator=generator
    )
    return torch.cat(list(rows)), which.clamp(max=len(names))
