# SPDX-License-Identifier: GPL-3.0-or-later
"""LSM: its disturbances, its encoders against naive computations, and its votes."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from gr_tsddae import nets, zoo
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.windows import to_complex, unit_power
from gr_tsddae.nets.lsm import LSM, LSMBackbone, LSMConfig, crop, nt_xent, rotate
from gr_tsddae.nets.lsm.xcit import ClassAttention, CrossCovarianceAttention

TINY = {"width": 16, "heads": 2, "layers": 2, "class_layers": 1, "dropout": 0.0}


def tiny(window_samples=128, **options):
    return LSMConfig(window_samples=window_samples, **{**TINY, **options})


def windows(batch, length):
    """(batch, 2, length) of a formula, all rows different."""
    count = torch.arange(batch * 2 * length, dtype=torch.float32)
    return torch.sin(count**1.2).view(batch, 2, length)


def count(module):
    return sum(p.numel() for p in module.parameters())


# Crop and rotation


@pytest.mark.parametrize(("length", "patch"), [(128, 12), (1024, 102), (20, 20)])
def test_a_crop_is_a_run_of_samples_from_inside_the_window(length, patch):
    rows = torch.arange(64 * 2 * length).view(64, 2, length).float()
    cut = crop(rows, patch, torch.Generator().manual_seed(1))
    assert cut.shape == (64, 2, patch)
    for window, piece in zip(rows, cut, strict=True):
        start = int(piece[0, 0] - window[0, 0])
        assert 0 <= start <= length - patch
        assert torch.equal(piece, window[:, start : start + patch])


def test_crops_reach_both_ends_and_differ_from_window_to_window():
    rows = torch.arange(16.0).expand(2000, 2, 16)
    starts = crop(rows, 12, torch.Generator().manual_seed(2))[:, 0, 0]
    assert starts.unique().tolist() == [0, 1, 2, 3, 4]
    assert starts.float().histc(5, 0, 4).min() > 300  # 400 expected of each


@pytest.mark.parametrize("patch", [0, 17])
def test_a_patch_that_fits_no_window_is_refused(patch):
    with pytest.raises(ValueError, match=f"patch_samples is {patch}.*1 to 16"):
        crop(torch.zeros(1, 2, 16), patch)


def test_rotation_keeps_the_constellations_shape():
    rows = windows(5, 64)
    turned = rotate(rows, torch.Generator().manual_seed(3))
    before, after = to_complex(rows), to_complex(turned)
    # Distances between all points stay, and so does the sense of rotation.
    torch.testing.assert_close(
        (after[:, :, None] - after[:, None]).abs(), (before[:, :, None] - before[:, None]).abs()
    )
    angle = (after * before.conj()).angle()
    torch.testing.assert_close(angle, angle[:, :1].expand_as(angle), atol=1e-3, rtol=0)
    assert angle[:, 0].unique().numel() == 5, "one angle for each window"


def test_rotation_is_the_matrix_of_equation_3():
    rows = windows(3, 8)
    turned = rotate(rows, torch.Generator().manual_seed(4))
    angle = 2 * math.pi * torch.rand(3, 1, generator=torch.Generator().manual_seed(4))
    for window, result, (theta,) in zip(rows, turned, angle, strict=True):
        matrix = torch.tensor([[theta.cos(), -theta.sin()], [theta.sin(), theta.cos()]])
        torch.testing.assert_close(result, matrix @ window)


def test_angles_lie_evenly_on_the_circle():
    rows = torch.tensor([1.0, 0.0]).view(1, 2, 1).expand(4000, 2, 1)
    turned = to_complex(rotate(rows, torch.Generator().manual_seed(5)))[:, 0]
    assert turned.mean().abs() < 0.05
    assert turned.angle().histc(8, -math.pi, math.pi).min() > 400  # 500 expected of each


# The encoders


def test_cross_covariance_attention_equals_a_naive_computation():
    torch.manual_seed(6)
    attention = CrossCovarianceAttention(width=6, heads=2, dropout=0.0).eval()
    attention.temperature.data = torch.tensor([0.7, 2.0]).view(2, 1, 1)
    x = torch.randn(2, 5, 6)
    query, key, value = attention.qkv(x).split(6, dim=-1)  # (B, N, C)
    mixed = torch.zeros(2, 5, 6)
    for b in range(2):
        for channel in range(6):
            head = channel // 3
            q = query[b, :, channel] / query[b, :, channel].norm()
            likeness = []
            for other in range(3 * head, 3 * head + 3):
                k = key[b, :, other] / key[b, :, other].norm()
                likeness.append(attention.temperature[head, 0, 0] * (q @ k))
            weights = torch.stack(likeness).exp()
            weights = weights / weights.sum()
            for j in range(3):
                mixed[b, :, channel] += weights[j] * value[b, :, 3 * head + j]
    torch.testing.assert_close(attention(x), attention.out(mixed), rtol=1e-4, atol=1e-5)


def test_class_attention_equals_a_naive_computation():
    torch.manual_seed(7)
    attention = ClassAttention(width=4, heads=2, dropout=0.0).eval()
    x = torch.randn(1, 5, 4)
    query, key, value = attention.query(x)[0, 0], attention.key(x)[0], attention.value(x)[0]
    mixed = []
    for head in (slice(0, 2), slice(2, 4)):
        weights = torch.stack([query[head] @ k[head] / 2**0.5 for k in key]).softmax(0)
        mixed.append(sum(w * v[head] for w, v in zip(weights, value, strict=True)))
    torch.testing.assert_close(attention(x)[0, 0], attention.out(torch.cat(mixed)))


def test_the_sequence_encoder_has_the_parameters_of_xcit_tiny_12():
    encoder = LSMBackbone(LSMConfig()).sequence_encoder
    one_dimension = count(encoder.stem)
    image_kernels = 12 * 2 * 192 * (9 - 3)
    second_axis = 32 * 192  # of the position
    channels = (3, 24, 48, 96, 192)
    image_stem = sum(9 * a * b + 2 * b for a, b in itertools.pairwise(channels))
    classifier = 192 * 1000 + 1000
    whole = count(encoder) - one_dimension + image_kernels + second_axis + image_stem + classifier
    assert round(whole / 1e6, 1) == 6.7  # as published
    assert count(encoder) == 6_309_936


def test_sizes_at_both_window_lengths():
    short, long = LSMConfig(), LSMConfig(window_samples=1024)
    assert (short.patch_samples, short.token_samples, short.feature_size) == (12, 2, 7 * 192)
    assert (long.patch_samples, long.token_samples, long.feature_size) == (102, 16, 8 * 192)
    assert count(nets.create("lsm", class_count=11)) == 10_117_118


@pytest.mark.parametrize("length", [128, 500, 1024, 8192])
def test_features_are_as_long_as_the_configuration_says(length):
    config = tiny(length, width=64)
    backbone = LSMBackbone(config).eval()
    patches = windows(3, config.patch_samples)
    with torch.inference_mode():
        sequence, frequency = backbone.sequence(patches), backbone.frequency(patches)
    assert sequence.shape == frequency.shape == (3, config.feature_size)
    assert config.tokens <= 8
    for features in (sequence, frequency):
        torch.testing.assert_close(features.norm(dim=1), torch.ones(3))


# Votes


@pytest.mark.parametrize(("built", "length"), [(128, 128), (1024, 1024), (128, 1024), (128, 131)])
@pytest.mark.parametrize("batch", [1, 3])
@torch.inference_mode()
def test_a_window_is_the_mean_of_its_patches_one_by_one(built, length, batch, fill):
    network = fill(LSM(tiny(built), class_count=4))
    rows = windows(batch, length)
    size = network.backbone.config.patch_samples
    wanted = torch.zeros(batch, 4)
    embedding = torch.zeros(batch, network.head[0].in_features)
    starts = range(0, length - size + 1, size)
    for start in starts:
        patch = rows[:, :, start : start + size]
        features = torch.cat(
            (network.backbone.sequence(patch), network.backbone.frequency(patch)), 1
        )
        wanted += network.head(features).softmax(1) / len(starts)
        embedding += features / len(starts)
    found = network(rows)
    torch.testing.assert_close(found.softmax(1), wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.exp(), wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(network.embed(rows), embedding, rtol=1e-4, atol=1e-6)


def test_the_recogniser_hears_the_votes(fill, tmp_path):
    network = fill(LSM(tiny(), class_count=3))
    card = zoo.Card(
        name="voting",
        task="amc",
        network="lsm",
        classes=("a", "b", "c"),
        window_samples=128,
        scaling="unit_power",
        samples_per_symbol=None,
        weights_sha256="",
        licence="GPL-3.0-or-later",
        network_options=TINY,
    )
    zoo.save(tmp_path, card, network, half=False)
    recognizer = Recognizer(tmp_path, device="cpu", precision="float32", batch_windows=4)
    heard = to_complex(5 * windows(6, 128))
    with torch.inference_mode():
        patches = network.backbone.patches(unit_power(windows(6, 128)))  # (6, 10, 2, 12)
        votes = [network.head(network.backbone.features(p)).softmax(1) for p in patches]
    wanted = torch.stack([v.mean(0) for v in votes])
    found = torch.from_numpy(recognizer.window_probabilities(heard.numpy()))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert recognizer.embed(heard.numpy()).shape == (6, 2 * 7 * 16)


@pytest.mark.parametrize("length", [128, 1024])
def test_gradients_reach_every_parameter(length, unreached):
    torch.manual_seed(8)
    network = LSM(tiny(length), class_count=3).train()
    F.cross_entropy(network(windows(2, length)), torch.tensor([0, 2])).backward()
    assert unreached(network) == []


def test_pretraining_reaches_both_encoders_and_tells_windows_apart(unreached):
    torch.manual_seed(9)
    backbone = LSMBackbone(tiny()).train()
    frequency = torch.linspace(-0.4, 0.4, 16)[:, None]  # (16, 1) cycles per sample
    phase = 2 * torch.pi * frequency * torch.arange(128)
    rows = torch.stack((phase.cos(), phase.sin()), 1)
    generator = torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(backbone.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = backbone.contrast(rows, generator=generator)
        loss.backward()
        losses.append(loss.item())
        if len(losses) == 1:
            assert unreached(backbone) == []
        optimiser.step()
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_pretraining_sets_one_patchs_signal_against_anothers_spectrum(fill):
    backbone = fill(LSMBackbone(tiny()))
    rows = windows(4, 128)
    found = backbone.contrast(rows, temperature=0.3, generator=torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    first, second = (rotate(crop(rows, 12, generator), generator) for _ in range(2))
    assert not torch.equal(first, second)
    wanted = nt_xent(backbone.sequence(first), backbone.frequency(second), temperature=0.3)
    torch.testing.assert_close(found, wanted)


def test_bfloat16_gives_about_the_same(fill):
    network = fill(LSM(tiny(), class_count=4))
    rows = windows(3, 128)
    with torch.inference_mode():
        exact = network(rows)
        torch.testing.assert_close(network.bfloat16()(rows), exact, rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 4}, "width is 4: it must be from 8"),
        ({"width": 10**9}, "width is 1000000000"),
        ({"layers": 10**9}, "layers is 1000000000"),
        ({"layers": 2.5}, "layers is 2.5: it must be an integer"),
        ({"heads": 5}, "width 16 is no multiple of heads 5"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"window_samples": 39}, "window_samples is 39"),
        ({"window_samples": 8192, "width": 40}, "multiple of 64"),
    ],
)
def test_shapes_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_a_window_without_a_patch_is_refused():
    network = LSM(tiny(), class_count=2)
    network.check_window(12)
    with pytest.raises(ValueError, match=r"window of 11 samples.*patches of 12"):
        network.check_window(11)
    with pytest.raises(ValueError, match="window of 11 samples"):
        network(torch.zeros(1, 2, 11))
