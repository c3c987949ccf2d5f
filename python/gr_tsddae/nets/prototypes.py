# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that classify unseen classes from a few examples of each, the support.

Sources: Jake Snell, Kevin Swersky, Richard Zemel, "Prototypical networks for few-shot learning",
NIPS 2017. Flood Sung, Yongxin Yang, Li Zhang, Tao Xiang, Philip H. S. Torr, Timothy M. Hospedales,
"Learning to compare: relation network for few-shot learning", CVPR 2018.

Both put an encoder on windows, are trained on episodes (a task of N classes, K examples of each,
and queries), and are used on new classes as they are. Deviations: one dimension in the place of an
image's two. The relation paper's encoder pools twice, ours four times, as `conv4` does; its module
then has less left to pool, and takes the mean over time before its dense layers.
"""

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN = 8  # units of the relation module's first dense layer, as in the paper


class Prototypical(nn.Module):
    """Classify queries by squared Euclidean distance to the mean of each class (Eq. 1 and 2).

    Args:
        encoder: windows (B, 2, L) -> features (B, E).
    """

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, support: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        """Return minus the distance of each query to each class: (N, K, E), (Q, E) -> (Q, N)."""
        prototypes = support.mean(1)
        return -(query.unsqueeze(1) - prototypes).square().sum(2)

    @staticmethod
    def loss(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of the softmax over distances: (Q, N), (Q,) -> a scalar."""
        return F.cross_entropy(scores, label)


class Relation(nn.Module):
    """Classify queries by a learned comparison with the sum of each class's maps (Eq. 1 and 2).

    Args:
        encoder: windows (B, 2, L) -> features (B, E), which are maps (channels, E // channels),
            flattened.
        channels: of the maps.
    """

    def __init__(self, encoder: nn.Module, channels: int):
        super().__init__()
        self.encoder = encoder
        self.channels = channels
        self.compare = nn.Sequential(_block(2 * channels, channels), _block(channels, channels))
        self.dense = nn.Sequential(nn.Linear(channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, support: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        """Score how related each query is to each class, 0 to 1: (N, K, E), (Q, E) -> (Q, N)."""
        classes, queries = support.sum(1), len(query)
        pairs = torch.cat(
            (
                classes.expand(queries, -1, -1).unflatten(2, (self.channels, -1)),
                query.unsqueeze(1).expand(-1, len(classes), -1).unflatten(2, (self.channels, -1)),
            ),
            dim=2,
        )  # (Q, N, 2C, T)
        compared = self.compare(pairs.flatten(0, 1)).mean(2)  # (Q N, C)
        return self.dense(compared).sigmoid().view(queries, len(classes))

    @staticmethod
    def loss(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error against 1 for the true class: (Q, N), (Q,) -> scalar."""
        return F.mse_loss(scores, F.one_hot(label, scores.shape[1]).to(scores.dtype))


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, after, 3, padding=1, bias=False), nn.BatchNorm1d(after), nn.ReLU()
    )
