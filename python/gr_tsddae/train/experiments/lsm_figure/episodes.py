# SPDX-License-Identifier: GPL-3.0-or-later
"""Learn by episodes: each step is a small task of its own, on classes that are known."""

import torch
from torch import nn

QUERIES = 15  # of each class in an episode, as in both papers for one shot


def draw(
    members: list[torch.Tensor], *, ways: int, shots: int, queries: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one task: some classes, and windows of each that are support or query, never both.

    Args:
        members: Of each class, the numbers of its windows, int64.
        ways: N, classes of the task.
        shots: K, support of each class.
        queries: Of each class, at most; a class with fewer left gives all of them.

    Returns:
        Numbers of the support (N, K), and of the queries (N, R).
    """
    queries = min(queries, min(map(len, members)) - shots)
    if queries < 1:
        raise ValueError(
            f"shots is {shots}, and a class has {min(map(len, members))} windows: an episode "
            "needs one more than shots"
        )
    drawn = torch.stack(
        [
            members[c][torch.randperm(len(members[c]))[: shots + queries]]
            for c in torch.randperm(len(members))[:ways].tolist()
        ]
    )
    return drawn[:, :shots], drawn[:, shots:]


def learn_by_episodes(
    learner: nn.Module,
    rows: torch.Tensor,
    label: torch.Tensor,
    *,
    ways: int,
    shots: int,
    episodes: int,
    learning_rate: float,
) -> None:
    """Train a learner of `nets.prototypes` with Adam, whose rate halves every third of the run.

    Args:
        learner: It has `encoder`, scores and loss.
        rows: Scaled windows, (P, 2, L).
        label: Of these windows, (P,).
        ways: N, classes of an episode.
        shots: K, as many as in the later tasks.
        episodes: Optimiser steps.
        learning_rate: At the start.
    """
    members = [torch.nonzero(label.cpu() == c).flatten() for c in label.unique().tolist()]
    optimiser = torch.optim.Adam(learner.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, max(1, episodes // 3), 0.5)
    learner.train()
    for _ in range(episodes):
        support, query = draw(members, ways=ways, shots=shots, queries=QUERIES)
        seen = torch.cat((support.flatten(), query.flatten())).to(rows.device)
        features = learner.encoder(rows[seen])
        scores = learner(
            features[: support.numel()].unflatten(0, support.shape), features[support.numel() :]
        )
        target = torch.arange(ways, device=rows.device).repeat_interleave(query.shape[1])
        optimiser.zero_grad()
        learner.loss(scores, target).backward()
        optimiser.step()
        schedule.step()
    learner.eval()


@torch.no_grad()
def recognised(
    learner: nn.Module,
    support: torch.Tensor,
    query: torch.Tensor,
    *,
    batch: int,
) -> torch.Tensor:
    """Recognise the classes of queries: features (N, K, E), (Q, E) -> (Q,)."""
    return torch.cat([learner(support, some).argmax(1) for some in query.split(batch)])
