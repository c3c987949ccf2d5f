# SPDX-License-Identifier: GPL-3.0-or-later
"""A small network learns what a large one says: the loss as written, and a card that names it."""

import dataclasses
import math

import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.synth import CLASSES
from gr_tsddae.train.config import DistillConfig, FinetuneConfig, PretrainConfig
from gr_tsddae.train.distill import Distillation, distill, distillation_loss, teacher_for
from gr_tsddae.train.finetune import finetune, shift_noise_prior
from gr_tsddae.train.learn.method import Method
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.run import callbacks
from gr_tsddae.train.windows import sources
from gr_tsddae.train.windows.sources import DatasetSource, SyntheticSource

SYNTH = {"kind": "synth", "path": None, "recipe": "clean", "window_samples": 32}
WIDE = {"options": {"width": 16, "heads": 2}}
CONSTANT = {"schedule": "constant"}


@pytest.fixture(scope="module")
def folders():
    """Teachers, by what they know: made once."""
    return {}


@pytest.fixture
def teacher(folders, settings, tmp_path):
    """A wider network that knows the two tones."""
    if "tones" not in folders:
        config = settings(
            FinetuneConfig, tmp_path / "teacher", network=WIDE, trainer={"epochs": 8},
            optimiser={"learning_rate": 0.02},
        )  # fmt: skip
        finetune(config)
        folders["tones"] = config.out
    return folders["tones"]


def naive_loss(ours, theirs, label, temperature, hard_weight):
    """Hinton's, one window and one class at a time."""
    total = 0.0
    for a, b, true in zip(ours.tolist(), theirs.tolist(), label.tolist(), strict=True):
        p, q, plain = (
            [math.exp(x / t) / sum(math.exp(y / t) for y in logits) for x in logits]
            for logits, t in ((b, temperature), (a, temperature), (a, 1.0))
        )
        soft = sum(pi * (math.log(pi) - math.log(qi)) for pi, qi in zip(p, q, strict=True))
        hard = -math.log(plain[true])
        total += (1 - hard_weight) * temperature**2 * soft + hard_weight * hard
    return total / len(label)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("hard_weight", [0.0, 0.3, 1.0])
def test_the_loss_is_the_naive_one(temperature, hard_weight):
    generator = torch.Generator().manual_seed(1)
    ours, theirs = 3 * torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    label = torch.tensor([0, 3, 1, 1, 2])
    weights = {"temperature": temperature, "hard_weight": hard_weight}
    found = distillation_loss(ours, theirs, label, **weights).item()
    assert found == pytest.approx(naive_loss(ours, theirs, label, **weights), rel=1e-5)


def test_who_says_the_same_has_nothing_to_learn():
    logits = torch.randn(6, 3, requires_grad=True)
    label = torch.zeros(6, dtype=torch.int64)
    loss = distillation_loss(logits, logits.detach(), label, temperature=3.0, hard_weight=0.0)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad.abs().max() < 1e-6


def test_features_are_compared_by_their_angle(settings, teacher):
    """At (1 - cos): the rest of the loss is that without features."""
    network = nets.create("tsnet-nano", class_count=2, **settings(FinetuneConfig).network.options)
    losses = {}
    rows, label = torch.randn(4, 2, 32), torch.tensor([0, 1, 0, 1])
    for weight in (0.0, 0.5):
        config = settings(DistillConfig, teacher=teacher, feature_weight=weight)
        wise = zoo.load(teacher).network
        torch.manual_seed(1)
        method = Distillation(config, network.eval(), wise)
        losses[weight] = method.loss(rows, label).item()
    ours, theirs = method.regressor(network.embed(rows)), wise.embed(rows)
    cosine = (ours * theirs).sum(1) / (ours.norm(dim=1) * theirs.norm(dim=1))
    assert losses[0.5] - losses[0.0] == pytest.approx(0.5 * (1 - cosine).mean().item(), rel=1e-4)


@pytest.mark.parametrize("feature_weight", [0.0, 0.5])
def test_a_student_learns_without_a_label(settings, teacher, feature_weight, monkeypatch):
    """From labels that say nothing; its teacher stays as it was, and is in no checkpoint."""
    before = (teacher / zoo.WEIGHTS_FILE).read_bytes()
    feed = DatasetSource.feed

    def unlabelled(self, *arguments):
        found = feed(self, *arguments)
        found.label.zero_()
        return found

    monkeypatch.setattr(DatasetSource, "feed", unlabelled)
    config = settings(
        DistillConfig, teacher=teacher, hard_weight=0.0, feature_weight=feature_weight,
        trainer={"epochs": 8}, optimiser={"learning_rate": 0.02, "ema_decay": 0.5},
    )  # fmt: skip
    card = distill(config)
    assert card.accuracy["accuracy"] > 0.85
    assert (teacher / zoo.WEIGHTS_FILE).read_bytes() == before
    assert card.training["teacher"] == "tiny"
    assert card.training["teacher_weights_sha256"] == zoo.read_card(teacher).weights_sha256
    assert "taught by tiny" in card.description
    assert zoo.load(config.out).card == card
    state = torch.load(config.out / callbacks.LAST_FILE, weights_only=True)
    heads = {name.split(".")[0] for name in state["state_dict"]}
    assert heads == ({"network", "regressor"} if feature_weight else {"network"})


def test_a_killed_distillation_ends_like_one_that_was_not(
    settings, teacher, tmp_path, monkeypatch, journal
):
    long = {
        "teacher": teacher, "feature_weight": 0.3, "network": {"options": {"dropout": 0.2}},
        "optimiser": {"ema_decay": 0.9}, "trainer": {"epochs": 2, "checkpoint_steps": 2},
    }  # fmt: skip
    distill(settings(DistillConfig, tmp_path / "whole", **long))
    config = settings(DistillConfig, tmp_path / "killed", **long)
    step = Method.training_step

    def dying(self, batch, index):
        if self.global_step == 5:
            raise RuntimeError("killed")
        return step(self, batch, index)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(Method, "training_step", dying)
        distill(config)
    torch.manual_seed(99)
    distill(config)
    for key in ("loss", "validation_loss"):
        assert journal(config.out, key) == journal(tmp_path / "whole", key)
    weights = [(tmp_path / n / zoo.WEIGHTS_FILE).read_bytes() for n in ("whole", "killed")]
    assert weights[0] == weights[1]
    other = dataclasses.replace(config, temperature=5.0)
    with pytest.raises(ValueError, match=r"another configuration \(temperature\)"):
        distill(other)


def synthetic_teacher(settings, folder, monkeypatch):
    """A model of synthetic windows, in whose head there is a prior."""
    measured = sources.synthetic_set
    monkeypatch.setattr(
        sources, "synthetic_set", lambda *a, **k: measured(*a, **k | {"snrs_db": (20,)})
    )
    trainer = {"steps": 2}
    common = {"data": SYNTH, "trainer": trainer, "optimiser": CONSTANT, "test_windows": 1}
    finetune(settings(FinetuneConfig, folder, noise_prior=0.9, **common))
    return common


def test_a_teacher_speaks_without_its_prior(settings, tmp_path, monkeypatch):
    common = synthetic_teacher(settings, tmp_path / "t", monkeypatch)
    config = settings(DistillConfig, teacher=tmp_path / "t", **common)
    source = SyntheticSource(config.data)
    ours = teacher_for(config, source).network
    plain = zoo.load(tmp_path / "t").network
    noise, rows = CLASSES.index("noise"), torch.randn(3, 2, 32)
    with torch.no_grad():
        difference = plain(rows) - ours(rows)
    share = source.noise_share
    odds = math.log(0.9 / 0.1 / (share / (1 - share)))
    assert difference[:, noise].tolist() == pytest.approx([odds] * 3, rel=1e-4)
    difference[:, noise] = 0
    assert not difference.any()
    card = distill(config)  # the student has a prior of its own, once
    assert (card.training["teacher"], card.training["noise_prior"]) == ("tiny", 0.3)
    assert card.training["windows"] == 2 * 24
    kept = torch.load(config.out / callbacks.LAST_FILE, weights_only=True)["state_dict"]
    learned = nets.create("tsnet-nano", class_count=len(CLASSES), **config.network.options)
    learned.load_state_dict({k.removeprefix("network."): v for k, v in kept.items()})
    shift_noise_prior(learned, noise, 0.3, share)
    found = zoo.load(config.out).network.head[-1].bias
    torch.testing.assert_close(found, learned.head[-1].bias, atol=2e-3, rtol=2e-3)


def test_teachers_that_do_not_fit(settings, teacher, tmp_path, monkeypatch):
    pretrain(settings(PretrainConfig, tmp_path / "denoiser", trainer={"epochs": 1}))
    common = synthetic_teacher(settings, tmp_path / "synthetic", monkeypatch)
    short = common | {"data": SYNTH | {"window_samples": 16}}
    for config, words in (
        (settings(DistillConfig, teacher=tmp_path / "nobody"), "no model"),
        (settings(DistillConfig, teacher=tmp_path / "denoiser"), "knows no classes"),
        (settings(DistillConfig, teacher, teacher=teacher), "the folder of teacher"),
        (settings(DistillConfig, teacher=tmp_path / "synthetic"), "has classes 8PSK.*fast, slow"),
        (
            settings(DistillConfig, teacher=tmp_path / "synthetic", **short),
            "has window_samples 32; these windows have 16",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            distill(config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"hard_weight": 1.5}, "hard_weight is 1.5"),
        ({"feature_weight": -1}, "feature_weight is -1"),
        ({"feature_weight": 1, "network": {"name": "lsm"}}, "network.name lsm"),
    ],
)
def test_options_that_cannot_be(settings, change, words):
    with pytest.raises(ValueError, match=words):
        settings(DistillConfig, teacher="t", **change)
