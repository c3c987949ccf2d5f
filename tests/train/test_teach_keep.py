# SPDX-License-Identifier: GPL-3.0-or-later
"""Classes that are added to a model of the air, which keeps its own, and a survey with them."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.data import DatasetError
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.survey.__main__ import main as survey
from gr_tsddae.synth.air import CLASSES
from gr_tsddae.synth.air.outliers import LEARNED
from gr_tsddae.train import teach as module
from gr_tsddae.train.learn.extend import MORE_UNITS, favour_old
from gr_tsddae.train.measure import taught as taught_module
from gr_tsddae.train.teach import TeachConfig, teach
from gr_tsddae.train.windows.rehearsal import FILE, read_kept

L, RATE_HZ = 128, 100e3
TINY = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}


def record(folder, name, deviation_hz, seed, seconds=0.6):
    """Two tones around 20 kHz, with a pause, over noise."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    bits = np.repeat(2 * random.integers(0, 2, count // 50 + 1) - 1, 50)[:count]
    on = np.arange(count) % 15_000 < 10_000
    phase = 2 * np.pi * np.cumsum(20e3 + deviation_hz * bits) / RATE_HZ
    noise = random.standard_normal((2, count)) * 0.05
    path = folder / name / f"{seed}.cf32"
    path.parent.mkdir(parents=True, exist_ok=True)
    (on * np.exp(1j * phase) + noise[0] + 1j * noise[1]).astype(np.complex64).tofile(path)
    path.with_suffix(".yaml").write_text(f"sample_rate_hz: {RATE_HZ:g}\n")
    return path


@pytest.fixture(scope="module", autouse=True)
def few_windows():
    """An untrained base forgets nothing: some windows show what is done with them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("DRAWN_WINDOWS", 4), ("JUDGE_WINDOWS", 4), ("FIT_WINDOWS", 4)):
            patch.setattr(taught_module, name, count)
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "base"
    torch.manual_seed(1)
    card = zoo.Card(
        name="base", task="amc", network="tsnet-nano", network_options=TINY, classes=CLASSES,
        window_samples=L, scaling="unit_power", samples_per_symbol=None, bandwidth_multiple=4.0,
        rejection={"score": "energy", "threshold": -1e9}, weights_sha256="",
        licence="GPL-3.0-or-later",
    )  # fmt: skip
    zoo.save(folder, card, nets.create("tsnet-nano", class_count=len(CLASSES), **TINY).eval())
    return folder


@pytest.fixture(scope="module")
def taught(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("captures")
    for seed, deviation_hz in ((1, 1e3), (2, 1e3)):
        record(folder, "doorbell", deviation_hz, seed)
    config = TeachConfig(
        captures=folder, base=str(base), out=tmp_path_factory.mktemp("out") / "mine", keep=True,
        epochs=1, shots=20, device="cpu",
    )  # fmt: skip
    return config, teach(config)


def test_the_old_classes_stay_and_the_card_is_true(taught, base):
    config, card = taught
    assert card.classes == (*CLASSES, "doorbell")
    assert (card.bandwidth_multiple, card.sample_rate_hz) == (4.0, None)
    assert card.rejection["threshold"] != -1e9  # the base's was measured for other weights
    assert card.training["rehearsed"] == list(CLASSES)
    assert card.accuracy["base_classes"]["synthetic"]["windows"] == 4 * len(CLASSES)
    other = card.accuracy["by_burst"]["other_recordings"]
    assert other["bursts"] > 0 and other["pauses"] > 0
    assert card.training["windows"]["noise"]["train"] > 0
    model, before = zoo.load(config.out), zoo.load(base)
    assert model.card == card
    rows = torch.randn(16, 2, L)
    with torch.no_grad():
        said, said_before = model.network(rows), before.network(rows)
    # Outputs of old classes are those of the base, to the rounding of the stored weights.
    assert said[:, : len(CLASSES)].numpy() == pytest.approx(said_before.numpy(), abs=1e-3)
    assert said[:, len(CLASSES)].std() > 0
    kept = before.network.backbone.state_dict()
    for name, value in model.network.backbone.state_dict().items():
        assert torch.equal(value, kept[name])
    assert card.network_options["head_width"] == TINY["width"] + MORE_UNITS
    assert set(card.measured) == {"doorbell"} and card.pauses_db == config.gate_db
    assert card.accuracy["by_survey"]["emissions"] > 0


def test_more_is_taught_later_without_the_first_recordings(taught, tmp_path, monkeypatch):
    config, _ = taught
    kept = read_kept(zoo.load(config.out))
    assert set(kept.name) == {"doorbell"}  # pauses are not learned from
    assert kept.measures.any() and not kept.measures.all()
    seen = {}

    def watch(network, base, train, rehearsed, *more, **options):
        seen.update(rows=rehearsed[0], said=rehearsed[1])
        return real(network, base, train, rehearsed, *more, **options)

    real = module.extend
    monkeypatch.setattr(module, "extend", watch)
    record(tmp_path / "more", "sensor", 4e3, 3)
    second = dataclasses.replace(
        config, captures=tmp_path / "more", base=str(config.out), out=tmp_path / "more-mine"
    )
    again = teach(second)
    assert again.classes == (*CLASSES, "doorbell", "sensor")
    learned = int((~kept.measures).sum())
    assert len(seen["rows"]) == 4 * len(CLASSES) + 2 * len(LEARNED) + 2 * learned
    assert seen["said"].shape[1] == len(CLASSES) + 2 and not seen["said"][:, -1].any()
    assert seen["said"].sum(1).numpy() == pytest.approx(1, abs=1e-4)
    assert set(read_kept(zoo.load(second.out)).name) == {"doorbell", "sensor"}
    assert again.network_options["head_width"] == TINY["width"] + 2 * MORE_UNITS
    assert set(again.measured) == {"doorbell", "sensor"}
    assert again.accuracy["base_classes"]["taught"]["windows"] == int(kept.measures.sum())

    (config.out / FILE).rename(tmp_path / FILE)
    with pytest.raises(DatasetError, match=f"cannot rehearse its class 'doorbell'.*{FILE}"):
        teach(dataclasses.replace(second, out=tmp_path / "third"))
    (tmp_path / FILE).rename(config.out / FILE)


def test_a_survey_asks_the_taught_model(taught, tmp_path, capsys):
    config, card = taught
    path = record(tmp_path, "later", 1e3, 9)
    words = ["--rate", f"{RATE_HZ:g}", "--model", str(config.out), "--json", "--threshold", "0"]
    assert survey([str(path), *words]) == 0
    (emission,) = json.loads(capsys.readouterr().out)["emissions"]
    assert set(emission["probabilities"]) == set(card.classes)
    assert "unknown_score" in emission["measured"]
    recognizer = Recognizer(config.out, device="cpu")
    assert recognizer.rejection.threshold == card.rejection["threshold"]


def test_a_new_class_yields_what_its_own_windows_can_spare():
    """Its output leads by 1 to 100, so that it can spare what 95 % of them lead by."""

    class Said(torch.nn.Module):
        head = torch.nn.Sequential(torch.nn.Linear(2, 2))

        def forward(self, rows):
            return rows + self.head[0].bias

    network = Said()
    with torch.no_grad():
        network.head[0].bias.zero_()
    lead = torch.arange(1.0, 101.0)
    rows = torch.stack((torch.zeros(100), lead), 1)
    favour_old(network, (rows, torch.ones(100, dtype=torch.long)), [1])
    assert network.head[0].bias[0] == 0
    assert (network(rows).argmax(1) == 1).sum() == 95
    favour_old(network, (-rows, torch.ones(100, dtype=torch.long)), [1])  # it never leads
    assert (network(rows).argmax(1) == 1).sum() == 95


def test_a_base_without_a_recipe_is_refused(taught, base, tmp_path):
    other = dataclasses.replace(
        zoo.read_card(base), bandwidth_multiple=None, samples_per_symbol=8.0, rejection={}
    )
    zoo.save(tmp_path / "other", other, zoo.load(base).network)
    with pytest.raises(ValueError, match="keep needs a base that was made for surveys"):
        teach(dataclasses.replace(taught[0], base=str(tmp_path / "other"), out=tmp_path / "m"))
