# SPDX-License-Identifier: GPL-3.0-or-later
"""NT-Xent against two nested loops."""

import math

import pytest
import torch

from gr_tsddae.nets.lsm import nt_xent


def by_hand(first, second, temperature):
    """Equation 4 as it is written, one similarity at a time."""
    views = [*first.tolist(), *second.tolist()]
    count = len(first)

    def likeness(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    total = 0.0
    for i, view in enumerate(views):
        partner = views[(i + count) % (2 * count)]
        others = [math.exp(likeness(view, v) / temperature) for k, v in enumerate(views) if k != i]
        total -= math.log(math.exp(likeness(view, partner) / temperature) / sum(others))
    return total / len(views)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("count", [2, 7])
def test_equals_the_double_loop(count, temperature):
    generator = torch.Generator().manual_seed(count)
    first, second = torch.randn(2, count, 5, generator=generator)
    second = first + 0.3 * second
    found = nt_xent(first, second, temperature=temperature).item()
    assert found == pytest.approx(by_hand(first, second, temperature), rel=1e-4, abs=1e-6)


def test_the_default_temperature_is_the_papers():
    first, second = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1))
    assert nt_xent(first, second) == nt_xent(first, second, temperature=0.05)


def test_views_that_agree_cost_nothing_and_swapped_partners_much():
    first = torch.eye(4)
    assert nt_xent(first, first) < 1e-6
    # A stranger of cosine 1 against a partner of cosine 0, in both directions.
    assert nt_xent(first, first.roll(1, 0)) == pytest.approx(20, abs=1e-3)


def test_views_without_any_difference_cost_the_logarithm_of_the_choice():
    alike = torch.ones(5, 3)
    assert nt_xent(alike, alike) == pytest.approx(math.log(9))


def test_length_of_features_and_order_of_views_do_not_count():
    first, second = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(2))
    wanted = nt_xent(first, second)
    torch.testing.assert_close(nt_xent(3 * first, second / 7), wanted)
    torch.testing.assert_close(nt_xent(second, first), wanted)


def test_descent_brings_partners_together():
    first, second = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(3))
    second.requires_grad_()
    optimiser = torch.optim.Adam([second], lr=0.1)
    for _ in range(50):
        optimiser.zero_grad()
        nt_xent(first, second, temperature=0.5).backward()
        optimiser.step()
    likeness = torch.cosine_similarity(first[:, None], second.detach()[None], dim=-1)
    assert (likeness.argmax(1) == torch.arange(8)).all()


@pytest.mark.parametrize(("one", "other"), [((1, 4), (1, 4)), ((3, 4), (2, 4)), ((4,), (4,))])
def test_views_that_make_no_pairs_are_refused(one, other):
    with pytest.raises(ValueError, match="at least 2"):
        nt_xent(torch.ones(one), torch.ones(other))


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature is"):
        nt_xent(torch.ones(2, 2), torch.ones(2, 2), temperature=temperature)
