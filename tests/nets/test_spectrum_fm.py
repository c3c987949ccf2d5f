# SPDX-License-Identifier: GPL-3.0-or-later
"""SpectrumFM: its size, its attention, the mask, and a loss that looks at masked samples alone."""

import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.nets.baselines import spectrum_fm
from gr_tsddae.nets.baselines.spectrum_fm import (
    RelativeAttention,
    SpectrumFM,
    SpectrumFMConfig,
    SpectrumFMPretrainer,
    mask_windows,
    pretraining_loss,
)

TINY = SpectrumFMConfig(width=8, heads=2, feedforward=12, layers=2, dropout=0.0)


def windows(batch, length):
    """(batch, 2, length) of a formula, all rows different and no sample zero."""
    count = torch.arange(batch * 2 * length, dtype=torch.float32)
    return torch.sin(count**1.2).view(batch, 2, length) + 1.5


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_it_has_the_published_networks_parameters():
    """Added up by hand from the layers of the authors' network."""
    feedforward = 256 * 512 + 512 + 512 * 256 + 256
    attention = 4 * 256 * 256 + 256 + (2 * 1024 - 1) * 4
    conv = (256 * 512 + 512) + (256 * 3 + 256) + 2 * 256 + (256 * 256 + 256)
    encoder = 16 * (2 * feedforward + attention + conv + 4 * 2 * 256) + 2 * 256 + 256
    recurrent = 2 * 3 * 256 * (256 + 256 + 2)
    network = nets.create("spectrum-fm", class_count=11)
    assert count(network.backbone.encoder) == encoder == 15_958_720
    assert count(network) == encoder + recurrent + 512 * 11 + 11 == 16_753_867


@torch.inference_mode()
def test_attention_equals_a_naive_computation(monkeypatch):
    monkeypatch.setattr(spectrum_fm, "REACH_SAMPLES", 3)  # so that five samples are out of reach
    torch.manual_seed(1)
    attention = RelativeAttention(SpectrumFMConfig(width=4, heads=2)).eval()
    x = torch.randn(1, 5, 4)
    query, key, value = attention.qkv(x)[0].split(4, dim=-1)
    mixed = torch.zeros(5, 4)
    for head in range(2):
        part = slice(2 * head, 2 * head + 2)
        for i in range(5):
            scores = []
            for j in range(5):
                distance = max(-2, min(2, j - i))
                bias = attention.bias_at[distance + 2, head]
                scores.append(query[i, part] @ key[j, part] / 2**0.5 + bias)
            weights = torch.stack(scores).softmax(0)
            for j in range(5):
                mixed[i, part] += weights[j] * value[j, part]
    torch.testing.assert_close(attention(x)[0], attention.out(mixed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("length", "share", "drawn"), [(128, 0.3, 38), (1024, 0.5, 512)])
def test_a_mask_is_of_the_size_asked_for_and_zeroes_nothing_else(length, share, drawn):
    rows = windows(20, length)
    kept = rows.clone()
    masked, mask = mask_windows(rows, share=share, generator=torch.Generator().manual_seed(2))
    assert torch.equal(rows, kept), "the windows themselves stay"
    assert mask.dtype == torch.bool and mask.shape == (20, length)
    assert mask[:, -1].all()
    # The last sample is masked whether or not it is among those drawn.
    assert set(mask.sum(1).tolist()) <= {drawn, drawn + 1}
    for window, result, hidden in zip(rows, masked, mask, strict=True):
        assert not result[:, hidden].any()
        assert torch.equal(result[:, ~hidden], window[:, ~hidden])
    assert len({tuple(row.tolist()) for row in mask}) == 20, "each window has its own"


def test_every_sample_may_be_masked():
    _, mask = mask_windows(torch.ones(2000, 2, 10), generator=torch.Generator().manual_seed(3))
    often = mask.float().mean(0)
    assert ((often[:-1] > 0.25) & (often[:-1] < 0.35)).all()


def test_the_least_mask_is_the_last_sample():
    _, mask = mask_windows(torch.ones(3, 2, 10), share=0.0)
    assert mask.sum(1).tolist() == [1, 1, 1]


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="share is"):
        mask_windows(torch.ones(1, 2, 8), share=share)


def test_the_loss_equals_a_loop_over_masked_samples():
    torch.manual_seed(4)
    clean, reconstructed = torch.randn(2, 3, 2, 9)
    predicted = torch.randn(3, 2)
    _, mask = mask_windows(clean, share=0.4)
    errors = []
    for b in range(3):
        for n in range(9):
            if mask[b, n]:
                for row in range(2):
                    errors.append((clean[b, row, n] - reconstructed[b, row, n]).item() ** 2)
    guesses = [(clean[b, r, 8] - predicted[b, r]).item() ** 2 for b in range(3) for r in range(2)]
    wanted = sum(errors) / len(errors) + sum(guesses) / len(guesses)
    assert pretraining_loss(clean, mask, reconstructed, predicted).item() == pytest.approx(wanted)


def test_samples_that_are_not_masked_do_not_count():
    clean = windows(2, 16)
    _, mask = mask_windows(clean)
    right = clean.clone().requires_grad_()
    wrong_elsewhere = torch.where(mask.unsqueeze(1), right, right + 100)
    loss = pretraining_loss(clean, mask, wrong_elsewhere, clean[:, :, -1])
    assert loss.item() == 0
    pretraining_loss(clean, mask, right + 1, clean[:, :, -1]).backward()
    assert torch.equal(right.grad.ne(0).all(1), mask)


@torch.inference_mode()
def test_the_guess_does_not_see_the_last_sample(fill):
    network = fill(SpectrumFMPretrainer(TINY))
    rows, other = windows(2, 32), windows(2, 32)
    other[:, :, -1] += 5
    masked, mask = mask_windows(rows, generator=torch.Generator().manual_seed(5))
    masked_other = other.masked_fill(mask.unsqueeze(1), 0)
    assert torch.equal(network(masked)[1], network(masked_other)[1])
    other[:, :, int((~mask[0]).nonzero()[0])] += 5
    assert not torch.equal(network(masked)[1], network(other.masked_fill(mask.unsqueeze(1), 0))[1])


def test_pretraining_reaches_every_parameter_and_learns_to_fill_in(unreached):
    torch.manual_seed(6)
    network = SpectrumFMPretrainer(TINY).train()
    generator = torch.Generator().manual_seed(7)
    phase = 0.4 * torch.arange(32) + 6.28 * torch.rand(16, 1, generator=generator)
    rows = torch.stack((phase.cos(), phase.sin()), 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        masked, mask = mask_windows(rows, generator=generator)
        optimiser.zero_grad()
        loss = pretraining_loss(rows, mask, *network(masked))
        loss.backward()
        losses.append(loss.item())
        if len(losses) == 1:
            assert unreached(network) == []
        optimiser.step()
    # The mean of the samples, which is zero, would leave 0.5 of each task.
    assert sum(losses[-5:]) / 5 < 0.4


def test_a_classifier_starts_from_the_pretrained_encoder():
    pretrainer, network = SpectrumFMPretrainer(TINY), SpectrumFM(TINY, class_count=3)
    network.backbone.encoder.load_state_dict(pretrainer.encoder.state_dict())
    rows = torch.randn(2, 2, 64)
    ours, theirs = network.eval().backbone.encoder(rows), pretrainer.eval().encoder(rows)
    assert torch.equal(ours, theirs) and theirs.std() > 0.1


@pytest.mark.parametrize("length", [128, 1024])
@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_reach_every_parameter(batch, length, unreached):
    torch.manual_seed(8)
    network = SpectrumFM(TINY, class_count=3).train()
    logits = network(windows(batch, length))
    assert logits.shape == (batch, 3)
    logits.square().sum().backward()
    assert unreached(network) == []


@torch.inference_mode()
def test_samples_farther_apart_than_the_reach_are_taken(fill):
    network = fill(SpectrumFM(TINY, class_count=3))
    assert network(windows(1, 1100)).isfinite().all()


@torch.inference_mode()
def test_bfloat16_gives_about_the_same(fill):
    network = fill(SpectrumFM(TINY, class_count=3))
    exact = network(windows(3, 128))
    found = network.bfloat16()(windows(3, 128)).float()
    torch.testing.assert_close(found, exact, rtol=0, atol=0.1 * float(exact.abs().max()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width is 0: it must be from 4"),
        ({"layers": 10**9}, "layers is 1000000000"),
        ({"heads": 3}, "width 256 is no multiple of heads 3"),
        ({"dropout": "0.2"}, "dropout is '0.2': it must be a number"),
    ],
)
def test_shapes_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        SpectrumFMConfig(**options)
