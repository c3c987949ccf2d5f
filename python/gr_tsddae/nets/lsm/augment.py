# SPDX-License-Identifier: GPL-3.0-or-later
"""LSM's two augmentations: a patch from anywhere in the window, turned in the IQ plane."""

import torch

from gr_tsddae.iq.windows import to_complex, to_rows


def crop(
    rows: torch.Tensor, patch_samples: int, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Cut one patch out of each window, its place drawn evenly (Eq. 1): (B, 2, L) -> (B, 2, P).

    Args:
        rows: windows, (B, 2, L).
        patch_samples: P, 1 to L.
        generator: of the device of `rows`; torch's own when None.

    Raises:
        ValueError: when a patch is empty or longer than a window.
    """
    window_samples = rows.shape[-1]
    if not 1 <= patch_samples <= window_samples:
        raise ValueError(
            f"patch_samples is {patch_samples}: a patch of these windows has 1 to {window_samples}"
        )
    starts = torch.randint(
        window_samples - patch_samples + 1, (len(rows), 1), generator=generator, device=rows.device
    )
    index = starts + torch.arange(patch_samples, device=rows.device)  # (B, P)
    return rows.gather(2, index.unsqueeze(1).expand(-1, 2, -1))


def rotate(rows: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """Turn each window by one angle of its own, even over the circle (Eq. 3): (B, 2, L) -> same.

    All samples of a window turn alike, so that its constellation keeps its shape.

    Args:
        rows: windows, (B, 2, L).
        generator: of the device of `rows`; torch's own when None.
    """
    angle = 2 * torch.pi * torch.rand(len(rows), 1, generator=generator, device=rows.device)
    return to_rows(to_complex(rows) * torch.polar(torch.ones_like(angle), angle))
