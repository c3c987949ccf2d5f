# SPDX-License-Identifier: GPL-3.0-or-later
"""A deeper network grown from a trained one begins where that one is, and can still learn."""

import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.nets.tsnet.growth import can_deepen, can_see_more, deepen, see_more

SHALLOW = {"width": 16, "heads": 1, "feedforward": 16, "layers": 1}


def networks(fill, **changes):
    shallow = fill(nets.create("tsnet-nano", class_count=4, **SHALLOW))
    deep = nets.create("tsnet-nano", class_count=4, **SHALLOW | {"layers": 3} | changes)
    return shallow, deep


def test_small_grows_out_of_mini():
    mini, small = (nets.create(f"tsnet-{size}", class_count=2) for size in ("mini", "small"))
    assert can_deepen(mini.backbone, small.backbone)
    assert not can_deepen(small.backbone, mini.backbone)


def test_it_begins_where_the_shallow_one_is(fill):
    """Temporal embeddings agree up to the norms in between; a fresh deep network has nothing."""
    shallow, deep = networks(fill)
    fresh = nets.create("tsnet-nano", class_count=4, **SHALLOW | {"layers": 3}).eval()
    rows = torch.randn(32, 2, 128, generator=torch.Generator().manual_seed(1))
    deepen(shallow.backbone, deep.backbone)
    deep.eval()

    def embedding(network):
        return network.embed(rows)[:, :16].flatten()

    def alike(a, b):
        return torch.corrcoef(torch.stack((a, b)))[0, 1].item()

    with torch.no_grad():
        assert alike(embedding(deep), embedding(shallow)) > 0.9
        assert abs(alike(embedding(fresh), embedding(shallow))) < 0.5
    for name, value in shallow.backbone.state_dict().items():
        assert torch.equal(deep.backbone.state_dict()[name], value), name


def test_every_new_weight_has_a_gradient_after_two_steps(fill):
    shallow, deep = networks(fill)
    deepen(shallow.backbone, deep.backbone)
    optimiser = torch.optim.SGD(deep.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        optimiser.zero_grad()
        deep(torch.randn(16, 2, 128, generator=generator)).square().mean().backward()
        optimiser.step()
    assert [name for name, p in deep.named_parameters() if not p.grad.abs().max() > 0] == []


@pytest.mark.parametrize("changes", [{"heads": 2}, {"stride_samples": 4}, {"layers": 1}])
def test_only_depth_may_differ(fill, changes):
    shallow, deep = networks(fill, **changes)
    with pytest.raises(ValueError, match="only the number of layers may differ"):
        deepen(shallow.backbone, deep.backbone)


def test_a_network_that_sees_more_begins_where_the_plain_one_is(fill):
    plain = fill(nets.create("tsnet-nano", class_count=4, **SHALLOW)).eval()
    derived = nets.create("tsnet-nano", class_count=4, **SHALLOW, derived=True).eval()
    assert can_see_more(plain.backbone, derived.backbone)
    assert not can_see_more(derived.backbone, plain.backbone)
    see_more(plain.backbone, derived.backbone)
    rows = torch.randn(8, 2, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(derived.embed(rows), plain.embed(rows))
    derived(rows).square().mean().backward()
    weight = derived.backbone.spectrum_projection.conv.weight
    assert weight.grad[:, 2:].abs().max() > 0  # and learns to use what it sees


def test_only_the_rows_may_differ_where_a_network_sees_more(fill):
    plain = fill(nets.create("tsnet-nano", class_count=4, **SHALLOW))
    other = nets.create("tsnet-nano", class_count=4, **SHALLOW | {"layers": 2}, derived=True)
    with pytest.raises(ValueError, match="only the option derived may differ"):
        see_more(plain.backbone, other.backbone)
