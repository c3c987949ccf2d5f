# SPDX-License-Identifier: GPL-3.0-or-later
"""TS-Net's pieces against their formulas, written out one channel and one token at a time."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.nets.tsnet.config import SIZES, TSNetConfig
from gr_tsddae.nets.tsnet.layers import DropPath, FeedForward, TokenBatchNorm, TokenConv
from gr_tsddae.nets.tsnet.network import InputProjection, StepEmbedding
from gr_tsddae.nets.tsnet.spectral import ChannelAttention, LocalSpectrum
from gr_tsddae.nets.tsnet.temporal import GatedConv, RotaryAttention

BATCH, TOKENS, WIDTH = 2, 7, 12


@pytest.fixture
def tokens():
    """(BATCH, TOKENS, WIDTH), no two values alike."""
    index = torch.arange(BATCH * TOKENS * WIDTH, dtype=torch.float32)
    return torch.sin(index**1.3).view(BATCH, TOKENS, WIDTH)


def naive_depthwise(x, conv):
    """Kernel-3 convolution of each channel with itself, zeros behind both ends."""
    y = torch.zeros_like(x)
    for token in range(x.shape[1]):
        for tap in range(3):
            if 0 <= token + tap - 1 < x.shape[1]:
                y[:, token] += x[:, token + tap - 1] * conv.weight[:, 0, 0, tap]
        y[:, token] += conv.bias
    return y


def naive_norm(x, norm):
    """BatchNorm with its running statistics, Ioffe and Szegedy's formula."""
    standard = (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    return standard * norm.weight + norm.bias


def product(x, linear):
    return x @ linear.weight.T + linear.bias


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


@torch.no_grad()
def test_rotary_attention_is_each_head_turned_by_its_position(tokens, fill):
    """Eq. 9: channel i and i + C/2H of a head are one complex number, turned by its token's angle.

    Both turn at n * 10000^(-2i / (C/H)), so that the score of two tokens sees their distance.
    """
    heads = 3
    attention = fill(RotaryAttention(width=WIDTH, heads=heads))
    width = WIDTH // heads
    half = width // 2
    stacked = tokens @ attention.qkv.weight.T
    mixed = torch.empty_like(tokens)
    for b in range(BATCH):
        for h in range(heads):

            def part(which, b=b, h=h):
                start = which * WIDTH + h * width
                return stacked[b, :, start : start + width].double()

            def turned(x):
                number = torch.complex(x[:, :half], x[:, half:])
                for n in range(TOKENS):
                    for i in range(half):
                        angle = n * 10_000 ** (-2 * i / width)
                        number[n, i] *= complex(math.cos(angle), math.sin(angle))
                return torch.cat((number.real, number.imag), dim=1)

            query, key, value = turned(part(0)), turned(part(1)), part(2)
            for n in range(TOKENS):
                scores = torch.stack([query[n] @ key[m] for m in range(TOKENS)]) / math.sqrt(width)
                weights = scores.exp() / scores.exp().sum()
                mixed[b, n, h * width : (h + 1) * width] = weights @ value
    wanted = product(attention.norm(mixed), attention.out)
    torch.testing.assert_close(attention(tokens), wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attention_scores_depend_on_distance_only(monkeypatch, fill):
    seen = {}

    def spy(query, key, value):
        seen["scores"] = query @ key.transpose(-1, -2)
        return value

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    attention = fill(RotaryAttention(width=32, heads=2))
    same = torch.sin(torch.arange(32.0)).expand(1, 40, 32)  # every token has the same content
    attention(same)
    scores = seen["scores"][0]  # (H, N, N)
    torch.testing.assert_close(scores[:, :-1, :-1], scores[:, 1:, 1:], rtol=1e-4, atol=1e-4)
    assert scores[:, 0].std(-1).min() > 0.01, "distance must matter"
    assert not torch.allclose(scores, scores.transpose(1, 2), atol=0.01), "and its sign"


@pytest.mark.parametrize("depthwise", [True, False])
@torch.no_grad()
def test_token_conv_is_conv1d_on_transposed_data(tokens, depthwise, fill):
    conv = fill(TokenConv(width=WIDTH, depthwise=depthwise))
    plain = nn.Conv1d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH if depthwise else 1)
    plain.weight.copy_(conv.weight.squeeze(2))
    plain.bias.copy_(conv.bias)
    wanted = plain(tokens.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(conv(tokens), wanted, rtol=1e-5, atol=1e-6)
    assert conv(tokens[:, :1]).shape == (BATCH, 1, WIDTH)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_depthwise_convolution_written_out(tokens, bfloat16, fill):
    """The same values, gradients and dtypes, in float32 and under autocast."""
    found = {}
    for written_out in (True, False):
        conv = fill(TokenConv(width=WIDTH, depthwise=True))
        x = tokens.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            y = conv.sum_of_shifts(x) if written_out else conv(x)
        (y.float() * torch.sin(torch.arange(y.numel()).view_as(y))).sum().backward()
        assert y.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
        found[written_out] = [y.float(), x.grad, conv.weight.grad, conv.bias.grad]
    tolerance = {"rtol": 0.05, "atol": 0.05} if bfloat16 else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(found[True], found[False], **tolerance)


def test_token_batch_norm_is_batch_norm_on_transposed_data(tokens, fill):
    norm, plain = fill(TokenBatchNorm(WIDTH)), fill(nn.BatchNorm1d(WIDTH))
    for mode in (True, False):  # training first, so that running statistics are compared too
        norm.train(mode)
        plain.train(mode)
        wanted = plain(tokens.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(norm(tokens), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)


def test_drop_path_drops_whole_windows_and_keeps_the_mean():
    torch.manual_seed(1)
    drop = DropPath(0.3).train()
    x = torch.full((20_000, 2, 3), 1.5)
    y = drop(x)
    dropped = y[:, 0, 0] == 0
    assert torch.equal(y[dropped], torch.zeros_like(y[dropped]))
    torch.testing.assert_close(y[~dropped], x[~dropped] / 0.7)
    assert dropped.double().mean().item() == pytest.approx(0.3, abs=0.015)
    assert y.mean().item() == pytest.approx(1.5, rel=0.02)


def test_drop_path_does_nothing_in_evaluation_or_at_zero():
    x = torch.randn(4, 2, 3)
    assert torch.equal(DropPath(0.9).eval()(x), x)
    assert torch.equal(DropPath(0.0).train()(x), x)


@torch.no_grad()
def test_feed_forward_is_linear_gelu_linear(tokens, fill):
    layer = fill(FeedForward(width=WIDTH, hidden=5, dropout=0.5))
    wanted = product(gelu(product(tokens, layer.expand)), layer.contract)
    torch.testing.assert_close(layer(tokens), wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_gated_conv_is_equation_10(tokens, fill):
    conv = fill(GatedConv(width=WIDTH, dropout=0.5))
    step = torch.cos(torch.arange(WIDTH, dtype=torch.float32)).view(1, 1, WIDTH)
    expanded = product(tokens, conv.expand)
    value, gate = expanded[..., :WIDTH] + step, expanded[..., WIDTH:] + step
    local = naive_norm(naive_depthwise(value * sigmoid(gate), conv.depthwise), conv.norm)
    wanted = product(local * sigmoid(local), conv.contract)
    torch.testing.assert_close(conv(tokens, step), wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_local_spectrum_is_equation_11(tokens, fill):
    local = fill(LocalSpectrum(width=WIDTH))
    features = naive_norm(naive_depthwise(tokens, local.depthwise), local.norm)
    wanted = local.scale * product(gelu(product(features, local.first)), local.second)
    torch.testing.assert_close(local(tokens), wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_channel_attention_is_equation_12(tokens, fill):
    attention = fill(ChannelAttention(width=WIDTH, squeeze=4))
    assert attention.squeeze.out_features == WIDTH // 4
    wanted = torch.empty_like(tokens)
    for b in range(BATCH):
        pooled = torch.stack([tokens[b, :, c].sum() / TOKENS for c in range(WIDTH)])
        hidden = product(pooled, attention.squeeze)
        weight = sigmoid(product(hidden * sigmoid(hidden), attention.excite))
        for c in range(WIDTH):
            wanted[b, :, c] = tokens[b, :, c] * weight[c]
    torch.testing.assert_close(attention(tokens), wanted, rtol=1e-5, atol=1e-6)


def test_channel_attention_keeps_one_channel_when_squeezed_to_nothing():
    assert ChannelAttention(width=8, squeeze=16).squeeze.out_features == 1


@torch.no_grad()
def test_step_embedding_is_a_sinusoid_and_an_mlp(fill):
    embedding = fill(StepEmbedding(width=8))
    fraction = torch.tensor([0.0, 4 / 3000, 1.0])
    period = [10_000 ** (-i / 3) for i in range(4)]
    waves = torch.tensor(
        [
            [math.sin(f * p) for p in period] + [math.cos(f * p) for p in period]
            for f in fraction.tolist()
        ]
    )
    hidden = product(waves, embedding.first)
    wanted = product(hidden * sigmoid(hidden), embedding.second)
    torch.testing.assert_close(embedding(fraction), wanted, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(wanted[0], wanted[2], atol=1e-3)


@torch.no_grad()
def test_input_projection_of_the_base_size_sees_one_sample_per_token(fill):
    """Eq. 8: a convolution with kernel 1 is one matrix for every sample."""
    projection = fill(InputProjection(SIZES["base"], rows=2))
    rows = torch.sin(torch.arange(2 * 2 * 16, dtype=torch.float32)).view(2, 2, 16)
    wanted = rows.transpose(1, 2) @ projection.conv.weight[..., 0].T + projection.conv.bias
    torch.testing.assert_close(projection(rows), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", sorted(SIZES))
@torch.no_grad()
def test_input_projection_sees_every_sample_once_its_stride_says_so(size, fill):
    config = SIZES[size]
    projection = fill(InputProjection(config, rows=2))
    silent = projection(torch.zeros(1, 2, 64))
    assert silent.shape == (1, config.tokens(64), config.width)
    for sample in range(64):
        rows = torch.zeros(1, 2, 64)
        rows[0, 0, sample] = 1
        changed = (projection(rows) - silent).abs().amax(2)[0].nonzero().flatten().tolist()
        assert sample // config.stride_samples in changed
        assert len(changed) <= math.ceil(config.kernel_samples / config.stride_samples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 30}, "width 30 with 4 heads"),
        ({"kernel_samples": 2, "stride_samples": 4}, "kernel_samples 2, stride_samples 4"),
        ({"kernel_samples": 1, "stride_samples": 0}, "stride_samples is 0"),
        ({"kernel_samples": 5, "stride_samples": 4}, "differ by an even number"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(change, message):
    fine = {"width": 32, "heads": 4, "feedforward": 64, "layers": 1}
    TSNetConfig(**fine)
    with pytest.raises(ValueError, match=message):
        TSNetConfig(**fine | change)
