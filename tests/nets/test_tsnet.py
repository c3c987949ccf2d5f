# SPDX-License-Identifier: GPL-3.0-or-later
"""TS-Net as a whole: its size, who sees whom, and its heads."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gr_tsddae import nets
from gr_tsddae.nets.heads import TSNetClassifier, TSNetDenoiser
from gr_tsddae.nets.tsnet import SIZES, TSNet, TSNetConfig

TINY = TSNetConfig(width=16, heads=2, feedforward=24, layers=2)


@pytest.fixture
def rows():
    """(3, 2, 16) windows."""
    return torch.sin(torch.arange(3 * 2 * 16, dtype=torch.float32) ** 1.4).view(3, 2, 16)


@pytest.fixture
def other_rows():
    """(3, 2, 16), unlike `rows`."""
    return torch.cos(torch.arange(3 * 2 * 16, dtype=torch.float32) ** 1.1).view(3, 2, 16)


STEP = torch.tensor([4 / 3000])


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_base_has_the_papers_parameters():
    network = nets.create("tsnet-base", class_count=11)
    assert count(network.backbone) == 10_317_384  # the paper's 10.3 million
    assert count(network.head) == 512 * 256 + 256 + 1 + 256 * 11 + 11


def test_sizes_are_ordered():
    counts = [count(TSNet(SIZES[size])) for size in ("nano", "mini", "small", "base")]
    assert counts == sorted(counts)


@pytest.mark.parametrize(("window_samples", "flop"), [(128, 1_753_814_528), (1024, 13_980_472_832)])
@torch.no_grad()
def test_base_costs_the_papers_work(window_samples, flop):
    """1.75 GFLOP per 128 samples, 14.0 per 1024: a multiplication and an addition are two.

    What counts is products of data with weights, as in the paper's figures. Products of data with
    data (attention scores, `bmm`) come on top; norms, activations and the DFT are never counted.
    """
    network = nets.create("tsnet-base", class_count=11).eval()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 2, window_samples))
    found = {str(op): n for op, n in counter.get_flop_counts()["Global"].items()}
    scores = found.pop("aten.bmm")
    assert sum(found.values()) == flop
    assert scores == 4 * 2 * 2 * window_samples**2 * 256  # layers, products, mul + add, N^2 C


@torch.no_grad()
def test_the_domains_meet_only_through_the_cross_scales(rows, other_rows, fill):
    network = fill(TSNet(TINY))
    x, z = network(rows, other_rows, STEP)
    x_seen, _ = network(rows, rows, STEP)
    _, z_seen = network(other_rows, other_rows, STEP)
    assert not torch.allclose(x, x_seen, atol=1e-3), "time must see the spectrum"
    assert not torch.allclose(z, z_seen, atol=1e-3), "the spectrum must see time"
    for encoder in (*network.temporal, *network.spectral):
        encoder.cross_scale.zero_()
    x, z = network(rows, other_rows, STEP)
    x_apart, z_changed = network(rows, rows, STEP)
    x_changed, z_apart = network(other_rows, other_rows, STEP)
    assert torch.equal(x, x_apart)
    assert torch.equal(z, z_apart)
    assert not torch.allclose(x, x_changed, atol=1e-3)
    assert not torch.allclose(z, z_changed, atol=1e-3)


def test_the_cross_scales_start_at_minus_one_half():
    network = TSNet(TINY)
    scales = [encoder.cross_scale for encoder in (*network.temporal, *network.spectral)]
    assert [s.item() for s in scales] == [-0.5] * 4
    assert all(isinstance(s, nn.Parameter) for s in scales)


@torch.no_grad()
def test_time_goes_first_and_the_spectrum_sees_the_new_time(rows, other_rows, fill):
    network = fill(TSNet(TINY))
    calls = []

    def note(name):
        def hook(_module, inputs, output):
            calls.append((name, inputs[0], inputs[1], output))

        return hook

    for layer in range(2):
        network.temporal[layer].register_forward_hook(note(f"temporal {layer}"))
        network.spectral[layer].register_forward_hook(note(f"spectral {layer}"))
    x_out, z_out = network(rows, other_rows, STEP)
    names, own, other, out = zip(*calls, strict=True)
    assert names == ("temporal 0", "spectral 0", "temporal 1", "spectral 1")
    x, z = network.time_projection(rows), network.spectrum_projection(other_rows)
    for layer in (0, 1):
        time, spectrum = 2 * layer, 2 * layer + 1
        assert torch.equal(own[time], x)
        assert torch.equal(other[time], z)
        assert torch.equal(own[spectrum], z)
        assert torch.equal(other[spectrum], out[time])
        x, z = out[time], out[spectrum]
    assert torch.equal(x_out, x)
    assert torch.equal(z_out, z)


@torch.no_grad()
def test_the_step_reaches_both_domains(rows, other_rows, fill):
    network = fill(TSNet(TINY))
    early = network(rows, other_rows, torch.tensor([0.0]))
    late = network(rows, other_rows, torch.tensor([1.0]))
    for a, b in zip(early, late, strict=True):
        assert not torch.allclose(a, b, atol=1e-3)


@torch.no_grad()
def test_one_step_for_all_is_the_same_step_for_each(rows, other_rows, fill):
    network = fill(TSNet(TINY))
    shared = network(rows, other_rows, STEP)
    each = network(rows, other_rows, STEP.repeat(3))
    for a, b in zip(shared, each, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_classifier_averages_both_embeddings_of_step_4(rows, fill):
    network = fill(TSNetClassifier(TINY, class_count=3))
    transformed = np.fft.fft(rows[:, 0].numpy() + 1j * rows[:, 1].numpy(), norm="ortho")
    spectrum_rows = torch.from_numpy(np.stack([transformed.real, transformed.imag], 1)).float()
    x, z = network.backbone(rows, spectrum_rows, torch.tensor([4 / 3000]))
    features = torch.cat((x.sum(1), z.sum(1)), dim=1) / 16
    torch.testing.assert_close(network.embed(rows), features, rtol=1e-4, atol=1e-4)
    first, _, prelu, last = network.head
    hidden = features @ first.weight.T + first.bias
    hidden = torch.where(hidden > 0, hidden, prelu.weight * hidden)
    wanted = hidden @ last.weight.T + last.bias
    torch.testing.assert_close(network(rows), wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_classifier_runs_in_bfloat16(rows, fill):
    network = fill(TSNetClassifier(TINY, class_count=3))
    wanted = network(rows)
    found = network.to(torch.bfloat16)(rows)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("size", ["small", "mini", "nano"])
@torch.no_grad()
def test_denoiser_gives_one_estimate_per_noise(size, fill):
    network = fill(TSNetDenoiser(SIZES[size]))
    noisy = torch.sin(torch.arange(2 * 2 * 128, dtype=torch.float32)).view(2, 2, 128)
    temporal, spectral = network(noisy, torch.tensor([0, 3000]))
    assert temporal.shape == spectral.shape == (2, 2, 128)
    assert not torch.allclose(temporal, spectral, atol=1e-3)


def test_gradients_reach_every_parameter_of_the_denoiser(fill):
    network = fill(TSNetDenoiser(TINY))
    noisy = torch.sin(torch.arange(2 * 2 * 16, dtype=torch.float32) ** 1.2).view(2, 2, 16)
    temporal, spectral = network(noisy, torch.tensor([4, 900]))
    (temporal.square().sum() + spectral.square().sum()).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_denoiser_puts_each_tokens_samples_where_they_came_from():
    """A head says for token n: I of its `stride` samples, then Q of them."""
    config = SIZES["nano"]
    stride, tokens = config.stride_samples, 4

    class Numbered(nn.Module):
        def forward(self, embedding):
            sample = torch.arange(tokens)[:, None] * stride + torch.arange(stride)  # (N, stride)
            return torch.cat((sample, 1000 + sample), 1).expand(len(embedding), -1, -1).float()

    network = TSNetDenoiser(config).eval()
    network.temporal_head = network.spectral_head = Numbered()
    sample = torch.arange(tokens * stride).float()
    wanted = torch.stack((sample, 1000 + sample)).expand(2, -1, -1)
    for estimate in network(torch.zeros(2, 2, tokens * stride), torch.tensor([1, 2])):
        assert torch.equal(estimate, wanted)
