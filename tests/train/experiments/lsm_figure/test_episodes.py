# SPDX-License-Identifier: GPL-3.0-or-later
"""Episodes, and what is learned from them: to tell classes that were never seen."""

import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.nets.prototypes import Prototypical, Relation
from gr_tsddae.train.experiments.lsm_figure.episodes import draw, learn_by_episodes, recognised


def test_an_episode_holds_each_window_once():
    members = [torch.arange(20 * c, 20 * c + 20) for c in range(6)]
    torch.manual_seed(0)
    support, query = draw(members, ways=5, shots=3, queries=10)
    assert (support.shape, query.shape) == ((5, 3), (5, 10))
    both = torch.cat((support, query), dim=1)
    assert len(both.unique()) == both.numel()
    assert (both // 20 == both[:, :1] // 20).all()  # a row is one class
    assert len((both[:, 0] // 20).unique()) == 5
    assert draw(members, ways=5, shots=15, queries=10)[1].shape == (5, 5)
    with pytest.raises(ValueError, match="shots is 20, and a class has 20 windows"):
        draw(members, ways=5, shots=20, queries=10)


@pytest.mark.parametrize("kind", [Prototypical, lambda encoder: Relation(encoder, 8)])
def test_it_learns_to_tell_new_tones(kind):
    """Trained on six frequencies, it tells three others by one example of each."""
    generator = torch.Generator().manual_seed(0)

    def tones(cycles, count):
        phase = torch.rand(len(cycles), count, 1, generator=generator)
        time = torch.arange(32) * torch.tensor(cycles)[:, None, None]
        windows = torch.polar(torch.ones(()), 2 * torch.pi * (time + phase))
        return torch.stack((windows.real, windows.imag), 2)  # (N, count, 2, L)

    torch.manual_seed(0)
    learner = kind(nets.create_encoder("conv4", window_samples=32, width=8))
    known = tones([-0.4, -0.25, -0.1, 0.05, 0.2, 0.35], 20)
    learn_by_episodes(
        learner, known.flatten(0, 1), torch.arange(6).repeat_interleave(20),
        ways=5, shots=1, episodes=60, learning_rate=1e-2,
    )  # fmt: skip
    with torch.no_grad():
        new = learner.encoder(tones([-0.32, 0.0, 0.28], 11).flatten(0, 1)).unflatten(0, (3, 11))
    found = recognised(learner, new[:, :1], new[:, 1:].flatten(0, 1), batch=7)
    right = (found == torch.arange(3).repeat_interleave(10)).float().mean()
    assert right > 0.7
