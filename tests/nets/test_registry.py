# SPDX-License-Identifier: GPL-3.0-or-later
"""Every network by name: what anyone who asks the registry for one may rely on."""

import pytest
import torch

from gr_tsddae import nets

CLASS_COUNT = 5
each_network = pytest.mark.parametrize("name", nets.names())


def windows(batch, length):
    """(batch, 2, length) of a formula, all rows different."""
    return torch.sin(torch.arange(batch * 2 * length, dtype=torch.float32) ** 1.2).view(
        batch, 2, length
    )


def test_names_are_sorted_and_hold_the_three_sizes():
    assert nets.names() == sorted(nets.names())
    assert {"tsnet-base", "tsnet-small", "tsnet-nano"} <= set(nets.names())


@each_network
@pytest.mark.parametrize(("batch", "length"), [(3, 128), (1, 128), (2, 1024), (1, 1024)])
def test_shape(name, batch, length, fill):
    network = fill(nets.create(name, class_count=CLASS_COUNT))
    with torch.inference_mode():
        logits = network(windows(batch, length))
    assert logits.shape == (batch, CLASS_COUNT)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@each_network
def test_gradients_reach_every_parameter(name, fill):
    network = fill(nets.create(name, class_count=CLASS_COUNT))
    network(windows(2, 128)).square().sum().backward()
    unreached = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


@each_network
def test_evaluation_is_deterministic_and_keeps_its_state(name, fill):
    network = fill(nets.create(name, class_count=CLASS_COUNT))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        first, second = network(windows(4, 128)), network(windows(4, 128))
    assert torch.equal(first, second)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@each_network
def test_a_window_does_not_see_its_neighbours_in_the_batch(name, fill):
    network = fill(nets.create(name, class_count=CLASS_COUNT))
    rows = windows(6, 128)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    with torch.inference_mode():
        logits = network(rows)
        shuffled = network(rows[order])
        alone = network(rows[3:4])
    assert logits.std(0).min() > 1e-3, "windows must differ, or this test shows nothing"
    torch.testing.assert_close(shuffled, logits[order], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(alone, logits[3:4], rtol=1e-4, atol=1e-4)


@each_network
def test_training_mode_differs_only_where_the_size_says_so(name, fill):
    network = fill(nets.create(name, class_count=CLASS_COUNT)).train()
    config = network.backbone.config
    torch.manual_seed(0)
    first = network(windows(4, 128))
    second = network(windows(4, 128))
    assert torch.equal(first, second) == (config.dropout == 0 and config.drop_path == 0)


@each_network
def test_a_length_that_does_not_fit_is_refused(name):
    network = nets.create(name, class_count=CLASS_COUNT)
    with pytest.raises(ValueError, match="window of 0 samples"):
        network.check_window(0)
    stride = network.backbone.config.stride_samples
    if stride > 1:
        with pytest.raises(ValueError, match=f"window of 129 samples.*stride, {stride}"):
            network.check_window(129)
        with pytest.raises(ValueError, match="window of 129 samples"):
            network(torch.zeros(1, 2, 129))
    network.check_window(128)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'tsnet-huge'.*tsnet-base, .*tsnet-small"):
        nets.create("tsnet-huge", class_count=4)


@pytest.mark.parametrize("class_count", [1, 0, -3])
def test_fewer_than_two_classes_are_refused(class_count):
    with pytest.raises(ValueError, match=f"class_count is {class_count}"):
        nets.create("tsnet-nano", class_count=class_count)


@pytest.mark.parametrize("name", ["layers", "width", "feedforward"])
@pytest.mark.parametrize("value", [0, 10**9])
def test_sizes_that_no_machine_holds(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}: it is from 1 to"):
        nets.create("tsnet-nano", class_count=4, **{name: value})
