# SPDX-License-Identifier: GPL-3.0-or-later
"""IQFormer: its size, its spectrogram, its attention, and that both branches count."""

import numpy as np
import pytest
import torch
from scipy.signal import stft

from gr_tsddae import nets
from gr_tsddae.nets.baselines.iqformer import (
    AdditiveAttention,
    IQFormer,
    IQFormerConfig,
    Spectrogram,
)

TINY = IQFormerConfig(width=16, layers=(1, 2), dropout=0.0)


def windows(batch, length):
    """(batch, 2, length) of a formula, all rows different."""
    count = torch.arange(batch * 2 * length, dtype=torch.float32)
    return torch.sin(count**1.2).view(batch, 2, length)


def test_it_has_the_published_networks_parameters():
    """Added up by hand from the layers of the authors' network, 64 wide."""
    convolving = (64 * 3 + 64) + 2 * 64 + (64 * 256 + 256) + (256 * 64 + 64) + 64
    local = (64 * 3 + 64) + 2 * 64 + 2 * (64 * 64 + 64) + 64
    attention = 4 * (64 * 64 + 64) + 64
    feedforward = 2 * 64 + (64 * 256 + 256) + (256 * 64 + 64)
    stems = (2 + 2) + (8 * 5 + 8 + 16) + 2 + (8 * 32 + 8 + 16)
    fusion = (16 * 32 + 32) + 64 + (32 * 32 + 32)
    recurrent = 2 * 4 * 32 * ((32 + 32 + 2) + (64 + 32 + 2))
    last = 2 * 64 + (64 * 11 + 11)
    wanted = stems + fusion + recurrent + 4 * convolving + last
    wanted += 3 * (local + attention + feedforward)
    assert wanted == 355_049
    network = nets.create("iqformer", class_count=11)
    assert sum(p.numel() for p in network.parameters()) == wanted


@pytest.mark.parametrize("length", [128, 1024])
def test_the_spectrogram_is_scipys(length):
    rows = windows(2, length)
    _, _, wanted = stft(
        rows[:, 0].numpy(), window="blackman", nperseg=31, noverlap=30, nfft=128, axis=-1
    )
    found = Spectrogram()(rows)
    assert found.shape == (2, 32, length)
    np.testing.assert_allclose(found, np.abs(wanted)[:, :32], atol=1e-5)


def test_additive_attention_equals_a_naive_computation():
    torch.manual_seed(1)
    attention = AdditiveAttention(width=4)
    x = torch.randn(1, 5, 4)
    query = [q / q.norm() for q in attention.query(x)[0]]
    key = [k / k.norm() for k in attention.key(x)[0]]
    shares = torch.stack([(q * attention.weight[:, 0]).sum() for q in query])
    shares = shares / shares.square().sum().sqrt()
    everyone = sum(share * q for share, q in zip(shares, query, strict=True))
    wanted = [
        attention.out(attention.meet(everyone * k) + q) for k, q in zip(key, query, strict=True)
    ]
    torch.testing.assert_close(attention(x)[0], torch.stack(wanted), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [128, 1024])
@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_reach_every_parameter(batch, length, unreached):
    torch.manual_seed(2)
    network = IQFormer(TINY, class_count=3).train()
    logits = network(windows(batch, length))
    assert logits.shape == (batch, 3)
    logits.square().sum().backward()
    assert unreached(network) == []


@pytest.mark.parametrize("branch", ["iq_stem", "spectrogram_stem"])
@torch.inference_mode()
def test_each_branch_counts(branch, fill):
    network = fill(IQFormer(TINY, class_count=3))
    whole = network(windows(2, 128))
    first = next(m for m in getattr(network.backbone, branch) if isinstance(m, torch.nn.Conv1d))
    first.weight.zero_()
    assert (network(windows(2, 128)) - whole).abs().max() > 1e-3


@torch.inference_mode()
def test_bfloat16_gives_about_the_same(fill):
    network = fill(IQFormer(TINY, class_count=3))
    exact = network(windows(3, 128))
    found = network.bfloat16()(windows(3, 128)).float()
    torch.testing.assert_close(found, exact, rtol=0, atol=0.1 * float(exact.abs().max()))


@torch.inference_mode()
def test_silence_is_finite(fill):
    assert fill(IQFormer(TINY, class_count=3))(torch.zeros(1, 2, 128)).isfinite().all()


def test_layers_may_come_as_a_cards_list():
    assert IQFormerConfig(layers=[2, 1]).layers == (2, 1)
    network = nets.create("iqformer", class_count=3, width=16, layers=[2, 1])
    kinds = [type(layer).__name__ for layer in network.backbone.stages]
    assert kinds == ["ConvBranch", "AttentionLayer", "AttentionLayer"]


@pytest.mark.parametrize("layers", [[], [0], [17], [2] * 9, [True], ["2"], "2", 3, [1.0]])
def test_layers_that_make_no_network_are_refused(layers):
    with pytest.raises(ValueError, match=r"layers is .*1 to 8 stages"):
        IQFormerConfig(layers=layers)


@pytest.mark.parametrize("width", [0, 24, 10**9])
def test_widths_that_do_not_fit_are_refused(width):
    with pytest.raises(ValueError, match=f"width is {width}"):
        IQFormerConfig(width=width)
