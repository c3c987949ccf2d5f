# SPDX-License-Identifier: GPL-3.0-or-later
"""Training a classifier: a model that loads, starts from another, and is measured fairly."""

import math
import sys

import numpy as np
import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.inference.metrics import share_interval
from gr_tsddae.synth import CLASSES
from gr_tsddae.train import finetune as module
from gr_tsddae.train.config import DataConfig, FinetuneConfig, PretrainConfig
from gr_tsddae.train.finetune import Classification, classifier, finetune, shift_noise_prior
from gr_tsddae.train.measure.predict import logits, measure, predict_finite
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.windows import sources

SYNTH = {"kind": "synth", "path": None, "recipe": "clean", "window_samples": 32}
STEPS = {"steps": 6, "checkpoint_steps": 2}
CONSTANT = {"schedule": "constant"}


@pytest.fixture(autouse=True)
def few_snrs(monkeypatch):
    """Measure at two SNRs, not at 26."""
    measured = sources.synthetic_set
    monkeypatch.setattr(
        sources, "synthetic_set", lambda *a, **k: measured(*a, **k | {"snrs_db": (0, 20)})
    )


def weights_of(folder):
    return (folder / zoo.WEIGHTS_FILE).read_bytes()


def test_synthetic_windows_make_a_model_that_loads(settings, tmp_path, journal):
    out = tmp_path / "deep" / "amc-tiny"
    config = settings(
        FinetuneConfig, out, data=SYNTH, trainer=STEPS, test_windows=2, optimiser=CONSTANT
    )
    card = finetune(config)
    model = zoo.load(out)
    assert model.card == card
    assert (card.task, card.network, card.classes) == ("amc", "tsnet-nano", CLASSES)
    assert (card.window_samples, card.samples_per_symbol) == (32, 8.0)
    assert card.network_options == config.network.options
    assert card.training["windows"] == 6 * 24
    assert list(card.accuracy["accuracy_per_snr"]) == [0, 20]
    assert card.accuracy["windows"] == 2 * 2 * len(CLASSES)
    assert sorted(journal(out, "loss")) == [1, 2, 3, 4, 5, 6]
    assert list((out / "tensorboard").iterdir())
    with torch.inference_mode():
        assert model.network(torch.randn(2, 2, 32)).isfinite().all()


def test_the_same_seed_gives_the_same_weights_and_another_does_not(settings, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trainer = STEPS | {"steps": 2, "seed": seed}
        finetune(
            settings(
                FinetuneConfig, tmp_path / name, data=SYNTH, trainer=trainer, test_windows=1,
                optimiser=CONSTANT,
            )
        )  # fmt: skip
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")
    assert weights_of(tmp_path / "a") != weights_of(tmp_path / "c")


def test_a_dataset_is_learned_and_the_best_epoch_kept(settings, journal, tmp_path):
    config = settings(
        FinetuneConfig, trainer={"epochs": 8}, optimiser={"learning_rate": 0.05}, calibrate=False
    )
    card = finetune(config)
    losses = journal(config.out, "validation_loss")
    assert sorted(losses) == [4 * epoch for epoch in range(1, 9)]
    assert card.accuracy["accuracy"] > 0.85
    source = sources.DatasetSource(config.data, labelled=True)
    outputs, label, _ = predict_finite(
        zoo.load(config.out).network, source.validation_set(), scaling="unit_power"
    )
    kept = torch.nn.functional.cross_entropy(outputs, label).item()
    assert kept == pytest.approx(min(losses.values()), rel=1e-3)
    assert card.classes == ("fast", "slow")
    assert card.training["windows"] == {"train": 96, "validation": 32, "test": 32}


def test_the_average_of_the_weights_is_kept(settings, tmp_path):
    """With a decay near 1, the average stays at the first step, where Adam moves by its rate."""
    kept = {}
    for decay in (0.0, 0.999):
        out = tmp_path / str(decay)
        finetune(
            settings(
                FinetuneConfig, out, data=SYNTH, trainer=STEPS, test_windows=1,
                optimiser={"ema_decay": decay, "schedule": "constant", "learning_rate": 0.01},
            )
        )  # fmt: skip
        kept[decay] = zoo.load(out).network.head[0].weight
    torch.manual_seed(1)
    options = zoo.read_card(tmp_path / "0.0").network_options
    first = nets.create("tsnet-nano", class_count=len(CLASSES), **options).head[0].weight
    moved = {decay: (weight - first).abs().mean().item() for decay, weight in kept.items()}
    assert moved[0.0] > 0.02
    assert moved[0.999] == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("kind", ["npz", "synth"])
def test_the_card_is_of_the_weights_that_are_stored(settings, monkeypatch, kind):
    """Calibrated and measured are float16 weights; the last layer is divided in between."""
    measured, calibrated = [], []

    def copy(network):
        return {name: value.clone() for name, value in network.state_dict().items()}

    def measuring(network, *arguments, **settings):
        measured.append(copy(network))
        return measure(network, *arguments, **settings)

    def predicting(network, *arguments, **settings):
        calibrated.append(copy(network.classifier))
        return predict_finite(network, *arguments, **settings)

    monkeypatch.setattr(module, "measure", measuring)
    monkeypatch.setattr(module, "predict_finite", predicting)
    changes = {"data": SYNTH, "trainer": STEPS, "optimiser": CONSTANT} if kind == "synth" else {}
    config = settings(FinetuneConfig, test_windows=1, **changes)
    finetune(config)
    stored = zoo.load(config.out).network.state_dict()
    assert all(torch.equal(value, stored[name]) for name, value in measured[0].items())
    assert len(calibrated) == (kind == "npz")
    for state in calibrated:
        assert all(torch.equal(v, v.half().to(v.dtype)) for v in state.values())
        differing = [name for name, value in state.items() if not torch.equal(value, stored[name])]
        assert all(name.startswith("head.") for name in differing)


def test_intervals_know_recordings(settings, npz, tmp_path):
    """The 32 windows of the test set are of few recordings, which are the witnesses."""
    with np.load(npz) as file:
        rows, fast, group = file["X"], file["y"] == "fast", np.arange(160) // 16 * 2
    np.savez(tmp_path / "a.npz", X=rows, y=fast.astype(int), sir=np.zeros(160), group=group + fast)
    options = {"window_samples": 32}
    config = settings(
        FinetuneConfig, data={"kind": "icarus", "path": tmp_path / "a.npz", "options": options}
    )
    source = sources.source_of(config, labelled=True)
    torch.manual_seed(1)
    network = classifier(config, source).eval()
    test = source.dataset.select(source.test)
    called = logits(network, torch.from_numpy(test.rows()), scaling="unit_power").argmax(1)
    right, held = called == torch.from_numpy(test.label), torch.from_numpy(test.group)
    found = measure(network, source.test_set(config), scaling="unit_power")["accuracy_interval"]
    assert found == pytest.approx(share_interval(right, held), abs=1e-4)
    assert np.diff(found) > 1.2 * np.diff(share_interval(right, None))


@pytest.mark.parametrize("prior", [0.02, 1 / len(CLASSES), 0.3, 0.9])
@pytest.mark.parametrize("share", [1 / len(CLASSES), 0.1])
@torch.no_grad()
def test_the_noise_prior_is_bayes_rule(prior, share, model_folder):
    """Posterior odds of noise grow by prior odds over training odds; other classes keep theirs."""
    network = zoo.load(model_folder).network
    rows = torch.sin(torch.arange(4 * 2 * 128).float() ** 1.1).view(4, 2, 128)
    before = network(rows).double().softmax(1)
    noise = CLASSES.index("noise")
    shift_noise_prior(network, noise, prior, share)
    after = network(rows).double().softmax(1)
    weight = torch.full((len(CLASSES),), (1 - prior) / (1 - share)).double()
    weight[noise] = prior / share
    wanted = before * weight
    torch.testing.assert_close(after, wanted / wanted.sum(1, keepdim=True), rtol=1e-4, atol=1e-6)


def test_a_class_that_no_model_may_have_is_refused_before_training(settings, npz, tmp_path):
    held = dict(np.load(npz))
    held["y"] = np.where(held["y"] == "slow", "unknown", "fast")
    np.savez(tmp_path / "unknown.npz", **held)
    config = settings(FinetuneConfig, data={"path": tmp_path / "unknown.npz"})
    with pytest.raises(ValueError, match=r"no class may be called 'unknown'.*rename it"):
        finetune(config)
    assert not config.out.exists()


# Starting from another model


def start(settings, init, **changes):
    """The network a run begins with."""
    config = settings(FinetuneConfig, init=init, **changes)
    torch.manual_seed(5)
    return classifier(config, sources.source_of(config, labelled=True))


def test_a_classifier_starts_from_what_fits(settings, tmp_path, caplog):
    caplog.set_level("INFO")
    pretrain(settings(PretrainConfig, tmp_path / "pretrained", trainer={"epochs": 1}))
    denoiser = zoo.load(tmp_path / "pretrained").network
    fresh, begun = start(settings, None), start(settings, tmp_path / "pretrained")
    for name, value in denoiser.backbone.state_dict().items():
        assert torch.equal(begun.backbone.state_dict()[name], value)
    assert torch.equal(begun.head[0].weight, fresh.head[0].weight)
    assert "the head is new" in caplog.text
    finetune(settings(FinetuneConfig, tmp_path / "tuned", trainer={"epochs": 1}))
    tuned = zoo.load(tmp_path / "tuned").network.state_dict()
    begun = start(settings, tmp_path / "tuned").state_dict()
    assert all(torch.equal(begun[name], tuned[name]) for name in tuned)
    assert "backbone and head of tiny" in caplog.text


def test_a_prior_is_not_folded_in_twice(settings, tmp_path):
    """The head of a model that expects much noise begins as it was trained."""
    more = {"data": SYNTH, "trainer": STEPS, "optimiser": CONSTANT, "test_windows": 1}
    finetune(settings(FinetuneConfig, tmp_path / "base", noise_prior=0.9, **more))
    head = zoo.load(tmp_path / "base").network.head[-1]
    begun = start(settings, tmp_path / "base", **more).head[-1]
    wanted = torch.zeros(len(CLASSES))
    wanted[CLASSES.index("noise")] = -math.log(0.9 / 0.1 * (len(CLASSES) - 1))
    torch.testing.assert_close(begun.bias - head.bias, wanted)
    assert torch.equal(begun.weight, head.weight)
    more["trainer"] = STEPS | {"steps": 1}
    again = settings(
        FinetuneConfig, tmp_path / "again", init=tmp_path / "base", noise_prior=0.9, **more
    )
    finetune(again)
    moved = zoo.load(tmp_path / "again").network.head[-1].bias - head.bias
    assert moved.abs().max() < 0.01  # one step of Adam, and float16


def test_what_does_not_fit_is_named(settings, tmp_path):
    pretrain(settings(PretrainConfig, tmp_path / "p", trainer={"epochs": 1}))
    for changes, words in (
        ({"network": {"options": {"heads": 2}}}, "heads 1 where this run has 2"),
        ({"network": {"options": {"width": 16}}}, "width 8 where this run has 16"),
        ({"network": {"options": {"spectral": False}}}, "spectral True where this run has False"),
        (
            {"data": SYNTH | {"window_samples": 64}, "trainer": STEPS, "optimiser": CONSTANT},
            "has window_samples 32",
        ),
    ):
        with pytest.raises(ValueError, match=f"(?is){words}"):
            start(settings, tmp_path / "p", **changes)
    with pytest.raises(zoo.ModelNotFoundError):
        start(settings, tmp_path / "nothing" / "there")


def test_windows_that_do_not_fit_the_network(settings):
    more = {"trainer": STEPS, "optimiser": CONSTANT}
    with pytest.raises(ValueError, match="window of 36 samples"):
        start(settings, None, data=SYNTH | {"window_samples": 36}, **more)
    with pytest.raises(ValueError, match="no recipe 'soup'"):
        start(settings, None, data=SYNTH | {"recipe": "soup"}, **more)
    with pytest.raises(ValueError, match=r"data\.scaling is 'max'"):
        start(settings, None, data={"scaling": "max"})


# The schedule


def test_a_run_needs_no_tensorboard(settings, journal, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    config = settings(FinetuneConfig, trainer={"epochs": 1})
    finetune(config)
    assert sorted(journal(config.out, "loss")) == [1, 2, 3, 4]
    assert not (config.out / "tensorboard").exists()
    assert "TensorBoard is not installed" in caplog.text


def test_mixed_precision_learns_too(settings, journal):
    """With a fused optimiser and clipped gradients, which Lightning alone refuses together."""
    config = settings(
        FinetuneConfig, trainer={"epochs": 8, "precision": "bf16-mixed"},
        optimiser={"learning_rate": 0.05, "clip_norm": 1.0},
    )  # fmt: skip
    assert finetune(config).accuracy["accuracy"] > 0.85


@pytest.mark.parametrize(("limit", "norm"), [(0.5, 0.5), (100.0, 5.0), (0.0, 5.0)])
def test_gradients_are_clipped_by_their_common_norm(settings, limit, norm):
    network = torch.nn.Linear(2, 1)
    method = Classification(settings(FinetuneConfig, optimiser={"clip_norm": limit}), network)
    network.weight.grad, network.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    method.configure_gradient_clipping(None)
    found = torch.cat([network.weight.grad.flatten(), network.bias.grad]).norm().item()
    assert found == pytest.approx(norm, rel=1e-4)


def test_a_compiled_run_learns_the_same(settings, tmp_path, journal, monkeypatch):
    """Training and validation, through dropout, stochastic depth and BatchNorm's statistics."""
    shaky = {"options": {"dropout": 0.2, "drop_path": 0.2}}
    monkeypatch.setattr(  # the compiler proper takes a minute
        Classification, "compile_networks",
        lambda self: self.network.compile(backend="aot_eager", fullgraph=True),
    )  # fmt: skip
    losses = {}
    for compiled in (False, True):
        config = settings(
            FinetuneConfig, tmp_path / str(compiled), network=shaky, optimiser={"ema_decay": 0.5},
            trainer={"epochs": 2, "compile": compiled},
        )  # fmt: skip
        finetune(config)
        losses[compiled] = journal(config.out, "loss") | journal(config.out, "validation_loss")
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)


def test_a_plateau_counts_validations(settings, journal):
    """At a learning rate that does nothing, validations soon are no better."""
    config = settings(
        FinetuneConfig,
        optimiser={"learning_rate": 1e-6, "plateau_patience": 1, "min_learning_rate": 1e-7},
        trainer={"epochs": 25},
    )
    finetune(config)
    rates, losses = (journal(config.out, key) for key in ("learning_rate", "validation_loss"))
    assert min(rates.values()) == 1e-7
    changes = [step for step in rates if step > 1 and rates[step] != rates[step - 1]]
    assert all(step % 4 == 1 for step in changes), "only behind a validation"
    assert math.isfinite(sum(losses.values()))


def test_validation_that_gets_no_better_stops_the_run(settings, journal):
    config = settings(
        FinetuneConfig,
        optimiser={"learning_rate": 0.3, "schedule": "constant"},
        trainer={"epochs": 40, "stop_patience": 2},
    )
    finetune(config)
    losses = journal(config.out, "validation_loss")
    assert max(losses) == min(losses, key=losses.get) + 2 * 4


def test_classes_that_training_drew_twice_are_expected_no_more_often():
    """Their outputs fall by log 2, so their odds halve; the opposite brings them back."""
    source = sources.SyntheticSource(DataConfig(recipe="air-open", window_samples=1024))
    network = nets.create("tsnet-nano", class_count=len(source.classes), window_samples=1024)
    bias = network.head[-1].bias
    before = bias.detach().clone()
    module.balance(network, source)
    fallen = (before - bias).detach()
    for name, fall in zip(source.classes, fallen.tolist(), strict=True):
        assert fall == pytest.approx(math.log(2) if name in source.twice else 0, abs=1e-5)
    module.balance(network, source, undo=True)
    torch.testing.assert_close(bias.detach(), before)
