# SPDX-License-Identifier: GPL-3.0-or-later
"""Augmented views of a window, for contrastive pre-training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from gr_tsddae.iq.windows import to_complex, to_rows
from gr_tsddae.nets.lsm.augment import crop, rotate


@dataclass(frozen=True)
class Views:
    """LSM's two augmentations for any network: a stretch from anywhere in the window, turned.

    Attributes:
        samples: length of the stretch.
        keep_length: whether a view is as long as the window, with zeros around the stretch.
            Networks built for one length need such views.
    """

    samples: int
    keep_length: bool

    @classmethod
    def of(cls, check_window: Callable[[int], None], window_samples: int, *, share: float) -> Views:
        """Find the longest views, of at most a share of a window, that a network takes.

        Args:
            check_window: raises ValueError for a length that the network does not take.
            window_samples: L.
            share: over 0 to 1; 1 does not crop.
        """
        most = max(1, int(share * window_samples))
        for samples in range(most, 0, -1):
            try:
                check_window(samples)
            except ValueError:
                continue
            return cls(samples, keep_length=False)
        return cls(most, keep_length=True)

    def __call__(
        self, rows: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Draw one view of each window: (B, 2, L) -> (B, 2, samples), or (B, 2, L)."""
        seen = blank if self.keep_length else crop
        return rotate(seen(rows, self.samples, generator), generator)


def blank(
    rows: torch.Tensor, samples: int, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Zero each window outside a stretch, its place drawn evenly: (B, 2, L) -> (B, 2, L).

    Args:
        rows: windows, (B, 2, L).
        samples: length of the stretch, 1 to L.
        generator: of the device of `rows`; torch's own when None.
    """
    length = rows.shape[-1]
    starts = torch.randint(
        length - samples + 1, (len(rows), 1), generator=generator, device=rows.device
    )
    place = torch.arange(length, device=rows.device)
    inside = (place >= starts) & (place < starts + samples)  # (B, L)
    return rows * inside.unsqueeze(1)


def quarter_turns(
    rows: torch.Tensor, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw two views of each window, turned by different multiples of a right angle.

    Args:
        rows: windows, (B, 2, L).
        generator: of the device of `rows`; torch's own when None.

    Returns:
        Two tensors (B, 2, L).
    """
    device = rows.device
    first = torch.randint(4, (len(rows), 1), generator=generator, device=device)
    apart = torch.randint(1, 4, (len(rows), 1), generator=generator, device=device)
    unit = torch.tensor([1, 1j, -1, -1j], dtype=torch.complex64, device=device)
    windows = to_complex(rows)
    return to_rows(windows * unit[first]), to_rows(windows * unit[(first + apart) % 4])
