# SPDX-License-Identifier: GPL-3.0-or-later
"""The folded network is the trained one, for every size and every ablation."""

import pytest
import torch
from torch import nn

from gr_tsddae import nets
from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

# A base of one layer has every part of the whole; the whole one is looked at once.
NETWORKS = [
    ("tsnet-nano", 128, {}),
    ("tsnet-mini", 128, {}),
    ("tsnet-small", 128, {}),
    ("tsnet-small", 256, {}),
    ("tsnet-base", 128, {}),
    ("tsnet-base", 96, {"layers": 1}),
    ("tsnet-nano", 64, {"spectral": False}),
    ("tsnet-nano", 64, {"temporal": False}),
    ("tsnet-nano", 64, {"interactive": False}),
    ("tsnet-nano", 60, {"stride_samples": 2, "kernel_samples": 6}),
    ("tsnet-nano", 128, {"derived": True}),
    ("tsnet-nano", 48, {"derived": True, "stride_samples": 1, "kernel_samples": 1}),
]


@torch.no_grad()
def trained_like(name, seed=3, **options):
    """A network with statistics and scales that no fresh one has."""
    torch.manual_seed(seed)
    network = nets.create(name, class_count=7, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 3)
        if isinstance(module, nn.BatchNorm1d | nn.LayerNorm):
            module.weight.uniform_(-1.5, 1.5)
            module.bias.normal_(0, 0.3)
        if isinstance(getattr(module, "scale", None), nn.Parameter):
            module.scale.uniform_(-1.5, 1.5)
        if hasattr(module, "cross_scale"):
            module.cross_scale.uniform_(-1, 1)
    return network


@pytest.mark.parametrize(("name", "window_samples", "options"), NETWORKS)
@torch.inference_mode()
def test_it_gives_what_the_trained_network_gives(name, window_samples, options):
    network = trained_like(name, **options)
    rows = torch.randn(4, 2, window_samples)
    folded = FoldedTSNet(network, window_samples)
    wanted = network(rows)
    assert wanted.std(0).max() > 1e-3, "windows must differ, or this shows nothing"
    assert (folded(rows) - wanted).abs().max() < 1e-5 * wanted.abs().max().clamp(min=1)
    features = network.embed(rows)
    found = folded.embed(rows)
    assert (found - features).abs().max() < 1e-5 * features.abs().max().clamp(min=1)
    assert folded.feature_size == network.feature_size == found.shape[1]


@torch.inference_mode()
def test_shifted_products_are_the_convolution(monkeypatch):
    """What a compiler and a GPU see instead of the convolution gives the same."""
    folded = FoldedTSNet(trained_like("tsnet-nano"), 128)
    rows = torch.randn(4, 2, 128)
    wanted = folded(rows)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(folded(rows), wanted, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_nothing_of_training_is_left_and_the_trained_network_is_as_it_was():
    network = trained_like("tsnet-nano")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = FoldedTSNet(network, 128).to_precision(torch.bfloat16)
    gone = nn.BatchNorm1d | nn.Dropout | nn.Conv1d | nn.Conv2d
    assert not any(isinstance(module, gone) for module in folded.modules())
    assert not list(folded.parameters())
    assert folded.dtype == torch.bfloat16
    assert {buffer.dtype for buffer in folded.head.buffers()} == {torch.float32}
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    rows = torch.randn(2, 2, 128)
    assert folded(rows).dtype == folded.embed(rows).dtype == torch.float32
    assert folded.features(rows.bfloat16(), spectrum(rows).bfloat16()).dtype == torch.float32


def test_another_length_is_refused():
    folded = FoldedTSNet(trained_like("tsnet-nano"), 128)
    with pytest.raises(ValueError, match=r"window of 256 samples: .* folded for 128"):
        folded(torch.zeros(1, 2, 256))
    with pytest.raises(ValueError, match=r"window of 130 samples: .* multiples of its stride, 16"):
        FoldedTSNet(trained_like("tsnet-nano"), 130)
