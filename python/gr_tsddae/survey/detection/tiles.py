# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells of a slab's spectra in which something is sent, found by tiles of many lengths and widths.

The finest tiles look first; what they have found is taken out before coarser ones look, so that a
strong burst does not smear.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import special

from gr_tsddae.survey.detection.spectrum import LONG_RATIO

FALSE_ALARM = 1e-10  # of a tile of pure noise
LEAST_RATIO = 1.4  # power over floor; the floor itself is not known better than this
WIDER = 4  # times as wide is each tile as the one before
FINE_WIDTHS = 2  # of tiles of the fine spectrum


@functools.cache
def threshold(cells: float) -> float:
    """Mean of `cells` independent noise powers (of mean 1) that a tile must exceed."""
    return max(LEAST_RATIO, float(special.gammainccinv(cells, FALSE_ALARM) / cells))


def active_cells(ratio: np.ndarray, fine_ratio: np.ndarray) -> np.ndarray:
    """Coarse cells in which something is sent.

    Args:
        ratio: power over floor of frames half a frame apart, float32 (T, F), F a power of two.
        fine_ratio: the same of frames LONG_RATIO times as long, (T2, LONG_RATIO * F); what the
            coarse ones show already is taken out of it.

    Returns:
        bool (T, F).
    """
    bins = ratio.shape[1]
    mask = tiles_above(ratio, max(1, min(4, int(np.log2(bins)) // 2 - 1)))
    step = LONG_RATIO  # coarse frames between two fine ones
    for row in range(len(fine_ratio)):
        known = mask[row * step : (row + 2) * step].any(0)
        known[1:-1] |= known[2:] | known[:-2]
        np.putmask(fine_ratio[row], np.repeat(known, LONG_RATIO), np.float32(1))
    found = tiles_above(fine_ratio, FINE_WIDTHS)
    # A fine bin k covers the coarse bin nearest to it: half of its group lies below.
    for row in np.flatnonzero(found.any(1)):
        here = np.roll(found[row], LONG_RATIO // 2).reshape(bins, LONG_RATIO).any(1)
        start = row * step + step // 2
        mask[start : start + step] |= here
        if row == 0:
            mask[:start] |= here
        if row == len(found) - 1:
            mask[start:] |= here
    return mask


def tiles_above(ratio: np.ndarray, widths: int) -> np.ndarray:
    """Cells of tiles above the floor.

    Args:
        ratio: power over floor, float32 (T, F), F a power of two.
        widths: tiles are 1, 4, 16, ... bins wide; how many of these.

    Returns:
        bool (T, F).
    """
    bins = ratio.shape[1]
    line, length = ratio.copy(), 1
    by_length: list[np.ndarray] = []  # bool (T / length, F): in tiles of this length
    while len(line):
        found = line > threshold(length / 1.06)  # frames half a frame apart share power
        if found.any():
            np.putmask(line, found, np.float32(1))
        tiles = line
        for width in WIDER ** np.arange(1, widths):
            tiles = tiles[:, ::4] + tiles[:, 1::4] + tiles[:, 2::4] + tiles[:, 3::4]
            tiles *= np.float32(0.25)
            # Neighbouring bins of a Hann window share power, too.
            above = tiles > threshold(length * (int(width) / 1.9) / 1.06)
            if above.any():
                at = np.flatnonzero(above)  # few: most that is strong is in the finest tiles
                for cells, value in ((found, True), (line, 1.0)):
                    cells.reshape(-1, width)[at] = value
                tiles.reshape(-1)[at] = 1.0
        by_length.append(found)
        line = (line[0 : len(line) - 1 : 2] + line[1::2]) * np.float32(0.5)
        length *= 2
    while len(by_length) > 1:
        long, short = by_length.pop(), by_length[-1]
        short[: 2 * len(long)].reshape(-1, 2, bins)[:] |= long[:, None]
    return by_length[0] if by_length else np.zeros(ratio.shape, bool)
