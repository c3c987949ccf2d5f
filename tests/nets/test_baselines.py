# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of other papers: their published sizes, and what each does that no other does."""

import pytest
import torch
import torch.nn.functional as F

from gr_tsddae import nets
from gr_tsddae.nets.baselines.cgdnn import GaussianDropout
from gr_tsddae.nets.baselines.transformer import sinusoids


def parameters(name, length, class_count):
    network = nets.create(name, class_count=class_count, window_samples=length)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "length", "class_count", "published"),
    [
        ("resnet", 128, 11, 3_098_283),
        ("resnet", 128, 10, 3_098_154),
        ("resnet", 1024, 24, 21_450_040),
        ("cnn2", 128, 11, 858_123),
        ("mcnet", 128, 10, 121_226),
        ("mcnet", 1024, 24, 126_616),
        ("mcnet", 1024, 26, 127_386),
    ],
)
def test_parameters_are_exactly_as_published(name, length, class_count, published):
    assert parameters(name, length, class_count) == published


@pytest.mark.parametrize(
    ("name", "length", "class_count", "published"),
    [
        ("gru2", 128, 11, 151_200),
        ("gru2", 1024, 24, 152_900),
        ("cgdnn", 128, 11, 124_900),
        ("cgdnn", 1024, 24, 665_900),
    ],
)
def test_parameters_are_as_published_to_a_tenth_of_a_thousand(name, length, class_count, published):
    assert abs(parameters(name, length, class_count) - published) <= 50


def test_gaussian_dropout_keeps_the_mean_and_has_its_variance():
    torch.manual_seed(0)
    layer = GaussianDropout(0.2)
    noisy = layer(torch.full((200_000,), 3.0)) / 3
    assert abs(noisy.mean() - 1) < 0.01
    assert abs(noisy.var() - 0.25) < 0.01
    ones = torch.ones(5)
    assert layer.eval()(ones) is ones


def test_sinusoids_are_those_of_the_paper():
    found = sinusoids(40, 6)
    for place in (0, 1, 39):
        for pair in range(3):
            angle = torch.tensor(place / 10_000 ** (2 * pair / 6))
            torch.testing.assert_close(found[place, 2 * pair], angle.sin())
            torch.testing.assert_close(found[place, 2 * pair + 1], angle.cos())


def test_correction_of_a_spectrum_bin_by_bin():
    backbone = nets.create("amc-net", class_count=2, window_samples=16).backbone
    rows = torch.randn(1, 2, 16, generator=torch.Generator().manual_seed(1))
    found = backbone.correction(rows)
    bins = torch.arange(16)
    for row in range(2):
        turns = torch.exp(-2j * torch.pi * torch.outer(bins, bins) / 16)
        spectrum = turns @ rows[0, row].to(turns.dtype)
        real = backbone.correction.real(spectrum.real) * spectrum.real
        imaginary = backbone.correction.imaginary(spectrum.imag) * spectrum.imag
        back = (turns.conj() @ torch.complex(real, imaginary)).real / 16
        torch.testing.assert_close(found[0, row], rows[0, row] + back, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
def test_padding_of_even_kernels_is_that_of_the_reference(fill):
    """ResNet's 2x3 and CNN2's 2x8 keep the image's size, the odd row and column at the end."""
    network = fill(nets.create("cnn2", class_count=2, width=1, hidden=4, window_samples=16))
    convolution = network.backbone.convolutions[0]
    image = torch.randn(1, 1, 2, 16, generator=torch.Generator().manual_seed(2))
    wanted = F.conv2d(image, convolution.weight, convolution.bias, padding="same")
    found = convolution(F.pad(image, (3, 4, 0, 1)))
    torch.testing.assert_close(found, wanted)


def test_a_gru_remembers_the_first_sample(fill):
    network = fill(nets.create("gru2", class_count=3, width=8))
    rows = torch.randn(1, 2, 12, generator=torch.Generator().manual_seed(3)).requires_grad_()
    network(rows).sum().backward()
    assert rows.grad[0, :, 0].abs().min() > 0
