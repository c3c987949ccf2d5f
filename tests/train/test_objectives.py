# SPDX-License-Identifier: GPL-3.0-or-later
"""Every objective of pre-training: its loss, its model folder, and what can be made of that."""

import dataclasses
import math
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.windows import to_complex
from gr_tsddae.nets.lsm import nt_xent
from gr_tsddae.nets.views import Views, blank, quarter_turns
from gr_tsddae.train.config import (
    FewshotConfig,
    FinetuneConfig,
    NetworkChoice,
    PretrainConfig,
    PretrainSettings,
    ProbeConfig,
)
from gr_tsddae.train.evaluate import EvaluateConfig, evaluate
from gr_tsddae.train.export import ExportConfig, export
from gr_tsddae.train.fewshot import fewshot
from gr_tsddae.train.finetune import finetune
from gr_tsddae.train.objectives import OBJECTIVES, objective_of, objectives_of
from gr_tsddae.train.objectives.simsiam import agreement
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.probe import probe

L = 40  # samples; the shortest window that LSM cuts patches of
TSNET = {
    "width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2, "stride_samples": 8,
    "kernel_samples": 16,
}  # fmt: skip
NETWORKS = {
    "tsnet-nano": TSNET,
    "lsm": {"width": 8, "heads": 1, "layers": 1, "class_layers": 1, "dropout": 0.0},
    "spectrum-fm": {"width": 8, "heads": 1, "feedforward": 8, "layers": 1},
    "gru2": {"width": 8},  # takes windows of any length
    "cnn2": {"width": 2, "hidden": 8},  # is built for one
}
# objective, network: each objective, and those for all networks with both kinds of view
PAIRS = [
    ("noise", "tsnet-nano"), ("single", "tsnet-nano"), ("masked", "spectrum-fm"), ("lsm", "lsm"),
    ("simclr", "gru2"), ("simclr", "cnn2"), ("simclr", "lsm"), ("simsiam", "gru2"),
    ("simsiam", "cnn2"), ("semiamc", "tsnet-nano"), ("semiamc", "cnn2"),
]  # fmt: skip
FEATURES = [pair for pair in PAIRS if pair[0] not in ("noise", "single")]


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """160 noisy tones of `L` samples in two classes."""
    random = np.random.default_rng(0)
    kind = np.arange(160) % 2
    cycles = np.where(kind == 0, 0.05, 0.2)[:, None] * np.arange(L)
    noise = 0.3 * random.standard_normal((2, 160, L))
    windows = np.exp(2j * np.pi * (cycles + random.random((160, 1)))) + noise[0] + 1j * noise[1]
    path = tmp_path_factory.mktemp("data") / "tones.npz"
    rows = np.stack((windows.real, windows.imag), 1).astype(np.float32)
    np.savez(path, X=rows, y=np.array(["slow", "fast"])[kind], snr=np.zeros(160, int))
    return path


@pytest.fixture
def config_of(settings, tmp_path, tones):
    """(class, folder, network, **changes) -> a tiny run."""

    def make(kind, folder, network, **changes):
        config = settings(kind, tmp_path / folder, data={"path": tones}, **changes)
        named = NetworkChoice(name=network, options=NETWORKS[network])
        return dataclasses.replace(config, network=named)

    return make


def created(config):
    """The objective of a configuration, with a fresh network."""
    torch.manual_seed(1)
    kind = objective_of(config)
    return kind(config, kind.create(config, L))


def windows(count=6):
    return torch.randn(count, 2, L, generator=torch.Generator().manual_seed(2))


# Views


def test_a_view_is_the_longest_that_the_network_takes():
    def of(name, share):
        encoder = nets.create_encoder(name, window_samples=L, **NETWORKS[name])
        return Views.of(encoder.check_window, L, share=share)

    stride = nets.create_encoder("tsnet-nano", **TSNET).backbone.config.stride_samples
    assert stride > 1
    assert of("tsnet-nano", 0.55) == Views(22 // stride * stride, keep_length=False)
    assert of("gru2", 0.55) == Views(22, keep_length=False)
    assert of("gru2", 1) == Views(L, keep_length=False)
    assert of("cnn2", 0.55) == Views(22, keep_length=True)


def test_views_are_turned_stretches():
    rows = windows(300)
    short = Views(10, keep_length=False)(rows, torch.Generator().manual_seed(3))
    whole = Views(10, keep_length=True)(rows, torch.Generator().manual_seed(3))
    assert short.shape == (300, 2, 10)
    starts = set()
    for window, stretch, view in zip(*map(to_complex, (rows, short, whole)), strict=True):
        (inside,) = torch.nonzero(view, as_tuple=True)
        starts.add(int(inside[0]))
        assert inside.tolist() == list(range(inside[0], inside[0] + 10))
        turn = stretch / window[inside]
        torch.testing.assert_close(turn, turn[:1].expand(10))
        assert abs(turn[0]).item() == pytest.approx(1, abs=1e-5)
        torch.testing.assert_close(view[inside], stretch)
    assert starts == set(range(31))


def test_a_stretch_as_long_as_the_window_blanks_nothing():
    assert torch.equal(blank(windows(), L), windows())


def test_quarter_turns_are_different_right_angles():
    rows = windows(400)
    views = [to_complex(view) for view in quarter_turns(rows, torch.Generator().manual_seed(4))]
    turns = [(view / to_complex(rows)).mean(1).angle() / (torch.pi / 2) for view in views]
    for turn in turns:
        assert (turn - turn.round()).abs().max() < 1e-3
        assert (turn.round() % 4).histc(4, 0, 3).min() > 70  # 100 expected of each
    apart = (turns[1] - turns[0]).round() % 4
    assert apart.unique().tolist() == [1, 2, 3]


# Losses


def test_the_agreement_of_simsiam_equals_a_naive_loop():
    predicted, projected = torch.randn(2, 5, 7, requires_grad=True).unbind()
    naive = 0
    for p, z in zip(predicted, projected, strict=True):
        dot = sum(a * b for a, b in zip(p.tolist(), z.tolist(), strict=True))
        naive -= dot / math.hypot(*p.tolist()) / math.hypot(*z.tolist()) / 5
    assert agreement(predicted, projected).item() == pytest.approx(naive, rel=1e-5)


def test_the_loss_of_simsiam_stops_at_the_predicted(config_of):
    """Against its definition, with the gradient of autograd where the second is a constant."""
    objective = created(config_of(PretrainConfig, "out", "gru2", objective="simsiam"))
    network = objective.network.eval()  # BatchNorm's statistics aside
    torch.manual_seed(5)
    loss = objective.loss(windows(), None)
    loss.backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    torch.manual_seed(5)
    views = Views(L // 2, keep_length=False)
    first, second = views(windows()), views(windows())
    targets = [network(view)[0].detach() for view in (first, second)]
    cosine = torch.nn.functional.cosine_similarity
    wanted = -cosine(network(first)[1], targets[1]) - cosine(network(second)[1], targets[0])
    wanted = wanted.mean() / 2
    torch.testing.assert_close(loss, wanted)
    wanted.backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, msg=name)


@pytest.mark.parametrize(("objective", "temperature"), [("simclr", 0.1), ("semiamc", 0.1)])
def test_contrast_between_views_equals_a_naive_loop(objective, temperature, config_of):
    for changes in ({}, {"temperature": 0.7}):
        config = config_of(PretrainConfig, "out", "gru2", objective=objective, **changes)
        method = created(config)
        method.eval()
        torch.manual_seed(6)
        found = method.loss(windows(), None).item()
        torch.manual_seed(6)
        first, second = (method.network(view) for view in method.pair(windows()))
        features = torch.cat((first, second))
        tau, naive = changes.get("temperature", temperature), 0
        for i in range(12):
            likeness = [
                torch.cosine_similarity(features[i], features[k], dim=0).item() / tau
                for k in range(12)
            ]
            strangers = sum(math.exp(likeness[k]) for k in range(12) if k != i)
            naive -= (likeness[(i + 6) % 12] - math.log(strangers)) / 12
        assert found == pytest.approx(naive, rel=1e-4)


def test_the_loss_of_lsm_is_its_networks(config_of):
    method = created(config_of(PretrainConfig, "out", "lsm", objective="lsm", temperature=0.3))
    torch.manual_seed(7)
    found = method.loss(windows(), None)
    torch.manual_seed(7)
    torch.testing.assert_close(found, method.network.backbone.contrast(windows(), temperature=0.3))


@pytest.mark.parametrize(("objective", "network"), PAIRS)
def test_gradients_reach_what_learns(objective, network, config_of):
    method = created(config_of(PretrainConfig, "out", network, objective=objective)).train()
    method.loss(windows(), torch.zeros(6)).backward()
    unreached = [n for n, p in method.network.named_parameters() if p.grad is None]
    assert not unreached
    still = [n for n, p in method.network.named_parameters() if not p.grad.any()]
    # A bias right before a BatchNorm moves nothing.
    assert not [name for name in still if not name.endswith("bias")]


def test_gradients_of_the_contrast_reach_the_whole_denoiser(config_of):
    changes = {"contrast_weight": 1.0, "views": True}
    method = created(config_of(PretrainConfig, "out", "tsnet-nano", **changes)).train()
    method.loss(windows(), torch.zeros(6)).backward()
    assert all(p.grad is not None for p in method.network.parameters())


# Denoising with LSM's lesson


def test_denoising_with_contrast_is_the_sum_of_both(config_of):
    def method(**changes):
        return created(config_of(PretrainConfig, "out", "tsnet-nano", **changes)).eval()

    plain, both = method(), method(contrast_weight=0.25, temperature=0.4, crop=0.55)
    both.network.load_state_dict(plain.network.state_dict())
    torch.manual_seed(8)
    denoising = plain.loss(windows(), None)
    view = Views.of(plain.network.check_window, L, share=0.55)
    first, second = (plain.network.embed(view(windows())) for _ in range(2))
    assert not torch.allclose(first, second)
    contrast = nt_xent(first, second, temperature=0.4)
    torch.manual_seed(8)
    torch.testing.assert_close(both.loss(windows(), None), denoising + 0.25 * contrast)


def test_views_are_denoised_in_training_alone(config_of):
    method = created(config_of(PretrainConfig, "out", "tsnet-nano", views=True, crop=0.55))
    plain = created(config_of(PretrainConfig, "out", "tsnet-nano"))
    plain.network.load_state_dict(method.network.state_dict())
    view = Views.of(method.network.check_window, L, share=0.55)
    assert view.samples < L
    for training in (True, False):
        method.train(training), plain.train(training)
        torch.manual_seed(9)
        found = method.loss(windows(), None)
        torch.manual_seed(9)
        seen = view(windows()) if training else windows()
        torch.testing.assert_close(found, plain.loss(seen, None))


# Model folders


@pytest.mark.parametrize(("objective", "network"), FEATURES)
def test_a_model_folder_of_features(objective, network, config_of, journal):
    config = config_of(PretrainConfig, "pre", network, objective=objective)
    card = pretrain(config)
    assert (card.task, card.classes, card.network) == (zoo.FEATURES, (), network)
    assert card.training["objective"] == objective
    losses = journal(config.out, "validation_loss")
    assert card.accuracy["validation_loss"] == min(losses.values())
    model = zoo.load(config.out)
    assert model.card == card
    features = model.network(windows())
    assert features.shape == (6, model.network.feature_size)
    assert features.isfinite().all()
    state = torch.load(config.out / "best.pt", weights_only=True)["state_dict"]
    trained, kept = "network." if objective == "lsm" else "network.encoder.", ""
    if objective == "masked":
        kept = "backbone.encoder."
    learned = {k.removeprefix(trained): v for k, v in state.items() if k.startswith(trained)}
    loaded = model.network.state_dict()
    assert learned
    for name, value in learned.items():
        torch.testing.assert_close(loaded[kept + name], value, atol=1e-3, rtol=1e-3)
    assert objective == "masked" or learned.keys() == loaded.keys()
    with pytest.raises(zoo.ModelMismatchError, match=r"pre-trained encoder: it knows no classes"):
        Recognizer(config.out, device="cpu")
    probed = config_of(ProbeConfig, "probed", network, init=config.out, trainer={"epochs": 1})
    probe(probed)
    after = zoo.load(probed.out).network.backbone.state_dict()
    for name, value in model.network.backbone.state_dict().items():
        assert torch.equal(after[name], value), name


def test_what_else_takes_features_and_what_does_not(config_of, tmp_path, tones):
    config = config_of(PretrainConfig, "pre", "gru2", objective="simclr")
    pretrain(config)
    still = {"init": config.out, "optimiser": {"learning_rate": 1e-9}, "trainer": {"epochs": 1}}
    tuned = config_of(FinetuneConfig, "tuned", "gru2", **still)
    few = config_of(FewshotConfig, "few", "gru2", shots=(10,), **still)
    finetune(tuned)
    fewshot(few)
    before = zoo.load(config.out).network.backbone.state_dict()
    for folder in (tuned.out, few.out / "10-shot"):
        after = zoo.load(folder).network.backbone.state_dict()
        for name, value in before.items():
            torch.testing.assert_close(after[name], value, atol=1e-5, rtol=1e-3)
    with pytest.raises(ValueError, match="is a GRU2Backbone where this run has a CNN2Backbone"):
        finetune(config_of(FinetuneConfig, "other", "cnn2", init=config.out))
    with pytest.raises(zoo.ModelMismatchError, match="knows no classes"):
        evaluate(
            EvaluateConfig(model=str(config.out), out=tmp_path / "e", dataset="npz", path=tones)
        )
    copy = ExportConfig(model=str(config.out), out=tmp_path / "copy")
    assert export(copy) < 0.1
    for name, value in zoo.load(copy.out).network.state_dict().items():
        assert torch.equal(value, zoo.load(config.out).network.state_dict()[name])
    with pytest.raises(zoo.ModelMismatchError, match="knows no classes"):
        export(ExportConfig(model=str(config.out), out=tmp_path / "a.pt2", format="pt2"))


# What does not fit


def test_every_network_has_an_objective_and_every_objective_a_network():
    assert list(OBJECTIVES) == list(get_args(get_type_hints(PretrainSettings)["objective"]))
    for name in nets.names():
        assert {"simclr", "simsiam", "semiamc"} <= set(objectives_of(name))
    assert set().union(*(objectives_of(name) for name in nets.names())) == set(OBJECTIVES)
    for objective in OBJECTIVES:
        PretrainSettings(objective=objective)


@pytest.mark.parametrize(
    ("objective", "network", "named"),
    [
        ("noise", "lsm", "takes no lsm, but tsnet-base.*lsm can be pre-trained with lsm, simclr"),
        ("masked", "lsm", "takes no lsm, but spectrum-fm; lsm can"),
        ("lsm", "tsnet-nano", "takes no tsnet-nano, but lsm; .* noise, single, simclr, simsiam"),
    ],
)
def test_an_objective_that_the_network_has_not(objective, network, named, config_of):
    with pytest.raises(ValueError, match=named):
        pretrain(config_of(PretrainConfig, "out", network, objective=objective))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"objective": "simclr", "ratio": 0.5}, "ratio is 0.5, an option of noise: .*simclr"),
        ({"objective": "single", "ratio": 0.5}, "ratio is 0.5, an option of noise: .*single"),
        ({"objective": "single", "split": "published_code"}, "split is published_code, an option"),
        ({"objective": "single", "weighted": True}, "weighted is True, an option of noise"),
        ({"objective": "semiamc", "crop": 0.3}, "crop is 0.3, an option of noise, simclr, simsia"),
        ({"objective": "simsiam", "temperature": 0.3}, "temperature is 0.3, an option of noise, l"),
        ({"objective": "single", "views": True}, "views is True, an option of noise"),
        ({"objective": "simclr", "contrast_weight": 1.0}, "contrast_weight is 1.0, an option of n"),
        ({"contrast_weight": -1.0}, "contrast_weight is -1.0: it must be at least 0"),
        (
            {"crop": 0.3},
            "crop is 0.3, which denoising of whole .* contrast_weight as well, or views",
        ),
        ({"views": True, "temperature": 0.3}, "temperature is 0.3, .* give contrast_weight as w"),
        ({"objective": "simclr", "crop": 0.0}, "crop is 0.0: it must be over 0"),
        ({"objective": "simclr", "temperature": 0.0}, "temperature is 0.0: it must be over 0"),
    ],
)
def test_options_that_do_not_fit(changes, reason):
    with pytest.raises(ValueError, match=reason):
        PretrainSettings(**changes)


def test_a_batch_without_strangers(config_of):
    config = config_of(PretrainConfig, "out", "gru2", objective="simclr", optimiser={"batch": 3})
    with pytest.raises(
        ValueError, match=r"optimiser.batch is 3: objective simclr needs at least 4"
    ):
        pretrain(config)
