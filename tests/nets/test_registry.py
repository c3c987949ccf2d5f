# SPDX-License-Identifier: GPL-3.0-or-later
"""Every network by name: what anyone who asks the registry for one may rely on.

A new entry is covered unasked: all tests walk `nets.names()`.
"""

import copy
import functools
import sys

import pytest
import torch
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.nets.classifier import Classifier, limits_of
from gr_tsddae.nets.tsnet import TSNetConfig

CLASS_COUNT = 5
each_network = pytest.mark.parametrize("name", nets.names())
DEEP = ("lsm", "spectrum-fm")  # a dozen layers and more, all alike


@pytest.fixture(scope="module")
def filled(fill):
    """Gives networks that tests share, so that they must not change them: (name, length)."""
    return functools.cache(
        lambda name, length=128: fill(
            nets.create(name, class_count=CLASS_COUNT, window_samples=length)
        )
    )


@pytest.fixture(scope="module")
def shallow(fill):
    """The same with two layers, where what is tested does not depend on their number: (name)."""
    return functools.cache(
        lambda name: fill(
            nets.create(
                name, class_count=CLASS_COUNT, window_samples=128, **options_of_shallow(name)
            )
        )
    )


def options_of_shallow(name):
    return {"layers": 2} if name in DEEP else {}


def windows(batch, length):
    """(batch, 2, length) of a formula, all rows different."""
    return torch.sin(torch.arange(batch * 2 * length, dtype=torch.float32) ** 1.2).view(
        batch, 2, length
    )


def test_names_are_sorted_and_hold_the_sizes():
    assert nets.names() == sorted(nets.names())
    assert {"tsnet-base", "tsnet-small", "tsnet-mini", "tsnet-nano"} <= set(nets.names())


@each_network
@pytest.mark.parametrize(("batch", "length"), [(3, 128), (1, 128), (1, 1024)])
def test_shape(name, batch, length, filled):
    network = filled(name, length)
    network.check_window(length)
    with torch.inference_mode():
        logits = network(windows(batch, length))
    assert logits.shape == (batch, CLASS_COUNT)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@each_network
def test_the_head_turns_features_into_logits(name, shallow):
    network = shallow(name)
    with torch.inference_mode():
        features = network.embed(windows(2, 128))
        logits, of_features = network(windows(2, 128)), network.head(features)
        parts = network.parts(windows(2, 128))  # (2, M, E)
        voted = network.vote(network.head(parts))
    assert features.shape == (2, network.head[0].in_features)
    assert not torch.equal(features[0], features[1])
    torch.testing.assert_close(voted, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(parts.mean(1), features, rtol=1e-4, atol=1e-4)
    if parts.shape[1] == 1:
        torch.testing.assert_close(of_features, logits, rtol=1e-4, atol=1e-4)


@each_network
def test_backbone_and_head_are_all_there_is(name, shallow):
    network = shallow(name)
    assert {parameter.partition(".")[0] for parameter, _ in network.named_parameters()} == {
        "backbone",
        "head",
    }
    # Of a trained model, a temperature and a prior are folded into these two.
    assert isinstance(network.head[0], nn.Linear)
    assert isinstance(network.head[-1], nn.Linear)
    assert network.head[-1].bias.shape == (CLASS_COUNT,)


@each_network
def test_bfloat16_is_near_float32(name, filled):
    network = filled(name)
    with torch.inference_mode():
        logits = network(windows(2, 128))
        rounded = copy.deepcopy(network).bfloat16()(windows(2, 128)).float()
    assert (rounded - logits).abs().max() < 0.15 * logits.abs().max()


@each_network
def test_saved_and_loaded(name, shallow, tmp_path):
    network = shallow(name)
    card = zoo.Card(
        name="any",
        task="amc",
        network=name,
        network_options=options_of_shallow(name),
        classes=tuple("abcde"),
        window_samples=128,
        scaling="unit_power",
        samples_per_symbol=None,
        weights_sha256="",
        licence="GPL-3.0-or-later",
    )
    zoo.save(tmp_path / "any", card, network, half=False)
    loaded = zoo.load(tmp_path / "any").network
    with torch.inference_mode():
        torch.testing.assert_close(loaded(windows(3, 128)), network(windows(3, 128)))


@each_network
def test_its_module_says_how_many_parameters_it_has(name, filled):
    network = filled(name)
    if not isinstance(network, Classifier):
        pytest.skip("a TS-Net comes in sizes; test_tsnet.py counts them")
    count = sum(parameter.numel() for parameter in network.parameters())
    count += (11 - CLASS_COUNT) * (network.head[-1].in_features + 1)
    assert f"{count:,}" in sys.modules[type(network).__module__].__doc__


@each_network
def test_gradients_reach_every_parameter(name, shallow):
    network = shallow(name)
    network(windows(2, 128)).square().sum().backward()
    unreached = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    network.zero_grad()
    assert unreached == []


@each_network
def test_evaluation_is_deterministic_and_keeps_its_state(name, shallow):
    network = shallow(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        first, second = network(windows(4, 128)), network(windows(4, 128))
    assert torch.equal(first, second)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@each_network
def test_a_window_does_not_see_its_neighbours_in_the_batch(name, shallow):
    network = shallow(name)
    rows = windows(6, 128)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    with torch.inference_mode():
        logits = network(rows)
        shuffled = network(rows[order])
        alone = network(rows[3:4])
    differences = logits.std(0).min()
    assert differences > 1e-4 * logits.std(), "windows must differ, or this test shows nothing"
    assert (shuffled - logits[order]).abs().max() < 0.05 * differences
    assert (alone - logits[3:4]).abs().max() < 0.05 * differences


@each_network
def test_training_mode_differs_only_where_the_size_says_so(name, shallow):
    network = copy.deepcopy(shallow(name)).train()
    config = network.backbone.config
    torch.manual_seed(0)
    first = network(windows(2, 128))
    second = network(windows(2, 128))
    random = [getattr(config, name, 0) for name in ("dropout", "drop_path")]
    assert torch.equal(first, second) == (not any(random))


@each_network
def test_a_length_that_does_not_fit_is_refused(name, shallow):
    network = shallow(name)
    with pytest.raises(ValueError, match="window of 0 samples"):
        network.check_window(0)
    config = network.backbone.config
    if isinstance(config, TSNetConfig) and config.stride_samples > 1:
        reason = f"stride, {config.stride_samples}"
    elif not getattr(config, "ANY_WINDOW", True):
        reason = "built for 128; build it with the option window_samples=129"
    else:
        reason = None
    if reason:
        with pytest.raises(ValueError, match=f"window of 129 samples.*{reason}"):
            network.check_window(129)
        with pytest.raises(ValueError, match="window of 129 samples"):
            network(torch.zeros(1, 2, 129))
    else:
        network.check_window(129)
        assert network(windows(1, 129)).isfinite().all()
    network.check_window(128)


@each_network
def test_an_option_it_does_not_have(name):
    with pytest.raises(ValueError, match=f"{name} has no option colour; its options are: .+, "):
        nets.create(name, class_count=CLASS_COUNT, colour="red")


@each_network
def test_sizes_beyond_their_limits(name, filled):
    limits = limits_of(filled(name).backbone.config)
    assert limits, "every network has a size"
    for option, (least, most) in limits.items():
        for value in (least - 1, most + 1, float("nan"), "3", None, True):
            reason = f"^{option} is {value!r}: it must be .*from {least} to {most}"
            with pytest.raises(ValueError, match=reason):
                nets.create(name, class_count=CLASS_COUNT, **{option: value})


@each_network
def test_digital_silence_has_finite_logits(name, shallow):
    with torch.inference_mode():
        assert shallow(name)(torch.zeros(1, 2, 128)).isfinite().all()


@each_network
def test_an_encoder_is_a_classifier_without_its_head(name, shallow):
    network, length = shallow(name), 128
    encoder = nets.create_encoder(name, window_samples=length, **options_of_shallow(name))
    assert {key.partition(".")[0] for key in encoder.state_dict()} == {"backbone"}
    encoder.backbone.load_state_dict(network.backbone.state_dict())
    with torch.inference_mode():
        features = encoder.eval()(windows(2, length))
        torch.testing.assert_close(features, network.embed(windows(2, length)))
    assert features.shape == (2, encoder.feature_size)


@each_network
def test_only_some_can_denoise(name):
    if name in nets.denoisers():
        assert hasattr(nets.create_denoiser(name), "backbone")
        return
    with pytest.raises(ValueError, match=f"'{name}' cannot be .* denoising; these can: .*tsnet"):
        nets.create_denoiser(name)


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
    with pytest.raises(ValueError, match=f"{name} is {value}: it must be from 1 to"):
        nets.create("tsnet-nano", class_count=4, **{name: value})
