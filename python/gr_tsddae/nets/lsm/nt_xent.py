# SPDX-License-Identifier: GPL-3.0-or-later
"""NT-Xent, the loss of LSM's pre-training (Eq. 4 and 5)."""

import torch
import torch.nn.functional as F

TEMPERATURE = 0.05


def nt_xent(
    first: torch.Tensor, second: torch.Tensor, *, temperature: float = TEMPERATURE
) -> torch.Tensor:
    """Measure how badly each view's partner is told from all other views of the batch.

    The batch B of Eq. 4 is both views together, as in SimCLR: each of the 2N features has one
    partner and 2N - 2 strangers. The expectation is the mean over all 2N.

    Args:
        first: features of one view of each window, (N, E); any length, the cosine of Eq. 5
            divides by it.
        second: features of another view of the same windows, (N, E).
        temperature: tau of Eq. 4; small values look at the likeliest confusions alone.

    Returns:
        A scalar, float32, at least 0.

    Raises:
        ValueError: for fewer than two windows, different shapes, or a temperature that is not
            positive.
    """
    if first.shape != second.shape or first.ndim != 2 or len(first) < 2:
        raise ValueError(
            f"features have shapes {tuple(first.shape)} and {tuple(second.shape)}: NT-Xent needs "
            "two views (N, E) of the same N windows, at least 2"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}: it must be positive")
    views = F.normalize(torch.cat((first, second)).float(), dim=1)  # (2N, E)
    scores = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    partner = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(scores.masked_fill(itself, -torch.inf), partner)
