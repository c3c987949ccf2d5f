# SPDX-License-Identifier: GPL-3.0-or-later
"""Temperature: found where it is known, and no decision changed by it."""

import pytest
import torch
import torch.nn.functional as F

from gr_tsddae import nets
from gr_tsddae.inference.metrics import metrics
from gr_tsddae.nets.lsm import LSM, LSMConfig
from gr_tsddae.train.learn.calibration import apply_temperature, calibrate, fit_temperature
from gr_tsddae.train.learn.parts import PartLogits

CLASSES = tuple("abcde")


def drawn(temperature, count=20_000):
    """Logits that are `temperature` times as steep as the truth; labels drawn from the truth."""
    torch.manual_seed(2)
    honest = 1.5 * torch.randn(count, 5)
    label = torch.multinomial(honest.softmax(1), 1).squeeze(1)
    return honest * temperature, label


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_put_in_is_found(temperature):
    logits, label = drawn(temperature)
    found = fit_temperature(logits, label)
    assert found == pytest.approx(temperature, rel=0.03)
    losses = [F.cross_entropy(logits / t, label) for t in (found, 0.97 * found, 1.03 * found)]
    assert losses[0] == min(losses)


def test_confidence_means_what_it_says_afterwards():
    logits, label = drawn(4.0)
    ece = [
        metrics((logits / t).softmax(1), label, None, CLASSES)["ece"]
        for t in (1.0, fit_temperature(logits, label))
    ]
    assert ece[0] > 0.2 and ece[1] < 0.01


def test_windows_that_are_all_right_or_all_wrong():
    logits = torch.eye(5) * 3
    assert fit_temperature(logits, torch.arange(5)) == 1
    assert fit_temperature(logits, (torch.arange(5) + 1) % 5) == pytest.approx(20, rel=1e-3)


def test_what_cannot_be_fitted():
    logits, label = drawn(1.0, 10)
    with pytest.raises(ValueError, match="no windows"):
        fit_temperature(logits[:0], label[:0])
    logits[2, 2] = torch.inf
    with pytest.raises(ValueError, match="infinity"):
        fit_temperature(logits, label)


def test_the_network_takes_the_temperature_and_keeps_its_decisions(fill):
    network = fill(nets.create("tsnet-nano", class_count=5))
    torch.manual_seed(1)
    rows = torch.randn(40, 2, 128)
    with torch.no_grad():
        before = 30 * network(rows)  # far too sure
        network.head[-1].weight *= 30
        network.head[-1].bias *= 30
    label = torch.where(torch.rand(40) < 0.5, before.argmax(1), torch.randint(5, (40,)))
    told = calibrate(network, before.unsqueeze(1), label)
    with torch.no_grad():
        after = network(rows)
    torch.testing.assert_close(after, before / fit_temperature(before, label), rtol=1e-3, atol=1e-4)
    assert torch.equal(after.argmax(1), before.argmax(1))
    assert told["temperature"] > 1 and told["windows"] == 40
    assert told["ece_after"] < told["ece_before"]


def test_where_parts_vote_what_is_fitted_is_what_is_folded(fill):
    """LSM: the last layer is a patch's, and the vote is no linear function of it."""
    network = fill(LSM(LSMConfig(width=12, heads=1, layers=1, class_layers=1), class_count=3))
    torch.manual_seed(1)
    rows = torch.randn(90, 2, 128)
    with torch.no_grad():
        network.head[-1].weight *= 400
        before, logits = network(rows), PartLogits(network)(rows)
    assert logits.shape == (90, 10, 3) and logits.softmax(2).std(1).max() > 0.3
    torch.testing.assert_close(network.vote(logits), before)
    label = torch.where(torch.rand(90) < 0.6, before.argmax(1), torch.randint(3, (90,)))
    told = calibrate(network, logits, label)
    names = tuple("abc")
    with torch.no_grad():
        after = network(rows)
        best = F.cross_entropy(after, label)
        for factor in (0.97, 1.03):
            apply_temperature(network, factor)
            assert F.cross_entropy(network(rows), label) > best
            apply_temperature(network, 1 / factor)
    assert abs(told["temperature"] - 1) > 0.1
    for key, found in (("ece_before", before), ("ece_after", after)):
        assert told[key] == metrics(found.softmax(1), label, None, names)["ece"]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_no_temperature(fill, temperature):
    with pytest.raises(ValueError, match="temperature is"):
        apply_temperature(nets.create("tsnet-nano", class_count=2), temperature)
