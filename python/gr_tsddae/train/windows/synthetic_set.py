# SPDX-License-Identifier: GPL-3.0-or-later
"""A data set without a file: the same synthetic windows whenever it is read."""

from typing import NamedTuple

import numpy as np
import torch

from gr_tsddae.data import Dataset, DatasetError
from gr_tsddae.synth import draw
from gr_tsddae.synth.recipes import AnyRecipe, named

SNRS_DB = tuple(range(-20, 31, 2))


class _Block(NamedTuple):
    """Windows of one recipe at one SNR, which are drawn together."""

    recipe: AnyRecipe
    snr_db: int
    label: torch.Tensor  # (n,)


class _SyntheticStore:
    """A window store that draws a block when one of its windows is read, and keeps the last."""

    def __init__(
        self,
        blocks: list[_Block],
        *,
        window_samples: int,
        emission_windows: int,
        seed: int,
    ):
        self._blocks, self._seed = blocks, seed
        self._emission_windows = emission_windows
        self._starts = np.cumsum([0] + [len(block.label) for block in blocks])
        self.shape = (int(self._starts[-1]), 2, window_samples)
        self._kept: tuple[int, np.ndarray] | None = None

    def read(self, index: np.ndarray) -> np.ndarray:
        rows = np.empty((len(index), *self.shape[1:]), np.float32)
        place = np.searchsorted(self._starts, index, side="right") - 1
        for number in np.unique(place):
            chosen = place == number
            rows[chosen] = self._draw(int(number))[index[chosen] - self._starts[number]]
        return rows

    def _draw(self, number: int) -> np.ndarray:
        if self._kept is None or self._kept[0] != number:
            block = self._blocks[number]
            # Seeds of different sets differ by less than 1000, those of blocks by 1000.
            generator = torch.Generator().manual_seed(self._seed + 1000 * number)
            rows = draw(
                block.recipe,
                block.label,
                torch.full((len(block.label),), float(block.snr_db)),
                window_samples=self.shape[2],
                generator=generator,
                emission_windows=self._emission_windows,
            )
            self._kept = number, rows.numpy()
        return self._kept[1]


def synthetic_set(
    recipe: str,
    *,
    window_samples: int,
    windows_per_class: int,
    seed: int,
    snrs_db: tuple[int, ...] | None = None,
    emission_windows: int = 1,
) -> Dataset:
    """Make a data set of a recipe, with as many windows of each class at each SNR.

    Classes that are empty in a recipe are left out: `noise` covers them.

    Args:
        recipe: One of `synth.RECIPES`, or several joined by `+`, each of which gives its windows.
        window_samples: L.
        windows_per_class: Per class and SNR.
        seed: The same seed gives the same windows.
        snrs_db: Whole decibels; None takes -20, -18, ... 30, as far as the recipe reaches.
        emission_windows: So many windows are of one emission, which is their group.

    Raises:
        DatasetError: `windows_per_class` is under 1, or holds no whole number of emissions; or the
            recipe knows no emissions.
        ValueError: The recipe is unknown.
    """
    if windows_per_class < 1:
        raise DatasetError(f"windows_per_class is {windows_per_class}: it must be at least 1")
    if windows_per_class % emission_windows:
        raise DatasetError(
            f"{windows_per_class} windows per class and SNR are no whole number of emissions of "
            f"{emission_windows} windows"
        )
    blocks = []
    for each in named(recipe):
        if emission_windows > 1 and not each.bandwidth_multiple:
            raise DatasetError(f"recipe {recipe} draws windows alone, and no emissions of several")
        held = [i for i, name in enumerate(each.classes) if name not in each.empty_classes]
        label = torch.tensor(held).repeat_interleave(windows_per_class)
        low, high = each.levels_db
        levels = [s for s in SNRS_DB if low <= s <= high] if snrs_db is None else snrs_db
        blocks += [_Block(each, snr_db, label) for snr_db in levels]
    store = _SyntheticStore(
        blocks, window_samples=window_samples, emission_windows=emission_windows, seed=seed
    )
    index, first = np.arange(store.shape[0]), named(recipe)[0]
    return Dataset(
        kind="synth",
        path=recipe,
        store=store,
        index=index,
        group=index // emission_windows if emission_windows > 1 else None,
        label=torch.cat([block.label for block in blocks]).numpy(),
        level_db=np.concatenate([np.full(len(b.label), b.snr_db) for b in blocks]),
        classes=tuple(first.classes),
        samples_per_symbol=first.samples_per_symbol,
        bandwidth_multiple=first.bandwidth_multiple,
        sample_rate_hz=first.sample_rate_hz,
        task=first.task,
        licence="GPL-3.0-or-later",
    )
