# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings to a model: what is learned from, what is measured, and what the card says of it."""

import dataclasses
import json
import sys

import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.iq.windows import unit_power
from gr_tsddae.train import __main__ as command
from gr_tsddae.train import teach as teach_module
from gr_tsddae.train.teach import TeachConfig, teach
from gr_tsddae.train.windows.own_windows import OwnWindows

L = 32
TINY = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "base"
    torch.manual_seed(1)
    card = zoo.Card(
        name="base", task="amc", network="tsnet-nano", network_options=TINY, classes=("x", "y"),
        window_samples=L, scaling="unit_power", samples_per_symbol=8.0, weights_sha256="",
        licence="GPL-3.0-or-later",
    )  # fmt: skip
    zoo.save(folder, card, nets.create("tsnet-nano", class_count=2, **TINY))
    return folder


@pytest.fixture(scope="module")
def taught(emitters, base, tmp_path_factory):
    config = TeachConfig(
        captures=emitters, base=str(base), out=tmp_path_factory.mktemp("out") / "mine", shots=30,
        epochs=3, learning_rate=3e-3, device="cpu",
    )  # fmt: skip
    return config, teach(config)


def test_the_model_knows_the_emitters_as_well_as_its_card_says(taught, emitters):
    config, card = taught
    model = zoo.load(config.out)
    assert model.card == card
    assert (card.name, card.classes, card.samples_per_symbol) == ("mine", ("a", "b", "noise"), None)
    assert card.training["sample_rate_hz"] == card.sample_rate_hz == 1e6
    assert card.training["recordings"] == {"a": 2, "b": 1}
    assert card.training["windows"]["a"]["train"] == 30
    assert card.training["base"] == "base"
    own = OwnWindows(
        emitters, card=zoo.read_card(zoo.find(config.base)), shots=30, gate_db=5.0,
        noise_class=True, options={}, seed=1,
    )  # fmt: skip
    test = own.subset("test")
    with torch.no_grad():
        log_probability = model.network(unit_power(test.rows)).log_softmax(1)
    right = (log_probability.argmax(1) == test.label).double().mean().item()
    assert card.accuracy["accuracy"] == pytest.approx(right, abs=2 / len(test.label))
    assert right > 0.8  # an untrained encoder of 8 channels; chance is a third
    nll = -log_probability.gather(1, test.label[:, None]).mean().item()
    assert card.accuracy["nll"] == pytest.approx(nll, abs=0.01)  # the temperature is in the weights
    in_noise = card.accuracy["accuracy_with_noise_added_at_snr_db"]
    assert in_noise[20] >= in_noise[0]
    written = json.loads((config.out / "metrics.json").read_text())
    assert written["confusion"] == card.accuracy["confusion"]


def test_the_card_is_of_the_weights_that_are_stored(taught, tmp_path, monkeypatch):
    """Calibrated and measured are float16 weights; the last layer is divided in between."""
    seen = {}

    def watch(name, real):
        def watched(network, *arguments):
            seen[name] = {k: v.clone() for k, v in network.state_dict().items()}
            return real(network, *arguments)

        monkeypatch.setattr(teach_module, name, watched)

    watch("calibrate", teach_module.calibrate)
    watch("_measured", teach_module._measured)
    config = dataclasses.replace(taught[0], out=tmp_path / "mine", epochs=1)
    teach(config)
    stored = zoo.load(config.out).network.state_dict()
    assert all(torch.equal(value, stored[name]) for name, value in seen["_measured"].items())
    assert all(torch.equal(v, v.half().to(v.dtype)) for v in seen["calibrate"].values())


def test_licences_of_base_and_recordings_hold(taught, base, tmp_path):
    config, card = taught
    assert card.licence == "GPL-3.0-or-later"  # the recordings state none
    assert card.training["base_weights_sha256"] == zoo.read_card(base).weights_sha256
    said = {"licence": "CC-BY-NC-SA-4.0"}
    config = dataclasses.replace(config, out=tmp_path / "mine", epochs=0, options=said)
    assert teach(config).licence == "GPL-3.0-or-later AND CC-BY-NC-SA-4.0"


def test_the_same_seed_gives_the_same_weights(taught, tmp_path):
    config, card = taught
    again = teach(dataclasses.replace(config, out=tmp_path / "again"))
    assert again.weights_sha256 == card.weights_sha256
    assert again.accuracy == card.accuracy


def test_a_pretrained_denoiser_can_be_the_base(emitters, base, tmp_path):
    network = nets.create_denoiser("tsnet-nano", **TINY)
    card = dataclasses.replace(zoo.read_card(base), task=zoo.DENOISING, classes=())
    zoo.save(tmp_path / "denoiser", card, network)
    config = TeachConfig(
        captures=emitters, base=str(tmp_path / "denoiser"), out=tmp_path / "mine", epochs=0,
        device="cpu",
    )  # fmt: skip
    assert teach(config).training["kept"] == "head"
    kept = zoo.load(tmp_path / "mine").network.backbone.state_dict()
    for name, value in zoo.load(tmp_path / "denoiser").network.backbone.state_dict().items():
        assert torch.equal(kept[name], value)


def test_fewshot_with_captures_is_teach(emitters, base, tmp_path, monkeypatch, capsys):
    words = ["--captures", str(emitters), "--base", str(base), "--out", str(tmp_path / "m")]
    assert command.meant("fewshot", words) == "teach"
    assert command.meant("fewshot", ["--data.kind", "npz"]) == "fewshot"
    monkeypatch.setattr(
        sys, "argv", ["train", "fewshot", *words, "--epochs=0", "--shots=5", "--device=cpu"]
    )
    assert command.main() == 0
    assert zoo.load(tmp_path / "m").card.classes == ("a", "b", "noise")
    monkeypatch.setattr(sys, "argv", ["train", "fewshot", *words[:3], "nothing", *words[4:]])
    assert command.main() == 1
    assert capsys.readouterr().err.startswith("error: no model 'nothing'")


def test_bad_settings_are_named():
    good = {"captures": "c", "base": "b", "out": command.Path("o")}
    for name, value in (
        ("shots", 0), ("epochs", -1), ("learning_rate", 0.0), ("frequency_shift", 0.6),
        ("snr_db", (9.0, 1.0)), ("gate_db", 0.0), ("device", "tpu"), ("name", "a/b"),
        ("options", {"window_samples": 64}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            TeachConfig(**good | {name: value})
