# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings to a model: what is learned from, what is measured, and what the card says of it."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from gr_tsddae import nets, zoo
from gr_tsddae.data import DatasetError
from gr_tsddae.iq.windows import unit_power
from gr_tsddae.train import __main__ as command
from gr_tsddae.train import teach as teach_module
from gr_tsddae.train.teach import TeachConfig, teach
from gr_tsddae.train.windows.own_windows import OwnWindows

L = 32
TINY = {"width": 8, "heads": 1, "feedforward": 8, "layers": 1, "squeeze": 2}


def record(path, cycles, count, seed=1, rate_hz=None):
    """A tone with noise 20 dB below it, as raw cf32."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((2, count)) * 0.07
    iq = np.exp(2j * np.pi * cycles * np.arange(count)) + noise[0] + 1j * noise[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    iq.astype(np.complex64).tofile(path)
    if rate_hz:
        path.with_suffix(".yaml").write_text(f"sample_rate_hz: {rate_hz}\n")
    return iq


@pytest.fixture(scope="module")
def emitters(tmp_path_factory):
    """Two remotes and a sensor, 60 windows of each recording."""
    folder = tmp_path_factory.mktemp("emitters")
    for seed, (name, cycles) in enumerate((("a/1", 0.05), ("a/2", 0.05), ("b/1", 0.2))):
        record(folder / f"{name}.cf32", cycles, 60 * L + 5, seed, rate_hz=1e6)
    return folder


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


def windows(folder, **changes):
    settings = {
        "window_samples": L, "shots": 10, "gate_db": None, "noise_class": True, "options": {},
        "seed": 1,
    }  # fmt: skip
    return OwnWindows(folder, **settings | changes)


def test_parts_are_apart_in_time_and_shots_are_spread(emitters):
    own = windows(emitters, shots=12)
    store, index = own.dataset.store, own.dataset.index
    taken = {
        name: {(int(store.file[i]), int(store.first_sample[i])) for i in index[which]}
        for name, which in own.split._asdict().items()
    }
    blocks = {name: set(own.subset(name).group[:-40].tolist()) for name in taken}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not taken[one] & taken[other]
        assert not blocks[one] & blocks[other]
    counts = own.counts()
    assert {name: each["train"] for name, each in counts.items()} == {"a": 12, "b": 12}
    assert own.recordings() == {"a": 2, "b": 1}
    # 12 of class a out of blocks of both recordings, not the first 12 windows.
    assert {file for file, _ in taken["train"]} == {0, 1, 2}
    assert any("only one recording of b:" in line for line in own.lines())


def test_noise_is_a_class_of_its_own_unless_it_was_recorded(emitters, tmp_path):
    own = windows(emitters)
    part = own.subset("train")
    assert own.classes == ("a", "b", "noise")
    assert part.label.bincount().tolist() == [10, 10, 10]
    noise = part.rows[part.label == 2]
    assert noise.mean().abs() < 0.15 and noise.std() == pytest.approx(1, abs=0.1)
    assert not torch.equal(noise, own.subset("validation").rows[-len(noise) :])
    recorded = tmp_path / "own"
    record(recorded / "a" / "1.cf32", 0.1, 20 * L)
    record(recorded / "noise" / "1.cf32", 0.3, 20 * L)
    assert windows(recorded).classes == ("a", "noise")
    assert windows(emitters, noise_class=False).classes == ("a", "b")


def test_pauses_are_left_out_and_counted(tmp_path):
    iq = record(tmp_path / "a" / "1.cf32", 0.1, 40 * L)
    iq[15 * L : 22 * L] /= 30  # 29.5 dB
    iq.astype(np.complex64).tofile(tmp_path / "a" / "1.cf32")
    record(tmp_path / "b" / "1.cf32", 0.2, 40 * L)
    own = windows(tmp_path, gate_db=20.0)
    assert own.left_out == {"over 20 dB weaker than the strongest": 7}
    assert len(own.dataset) == 73
    first = own.dataset.store.first_sample[own.dataset.index[own.dataset.label == 0]]
    assert set(first) == {n * L for n in range(40) if not 15 <= n < 22}
    assert windows(tmp_path, gate_db=35.0).left_out == {}


def test_pauses_that_are_called_noise_stay(tmp_path):
    """As in recordings whose pauses are annotated: bursts of a, noise 30 dB below between them."""
    iq = record(tmp_path / "band.cf32", 0.1, 60 * L)
    iq[20 * L : 40 * L] /= 32
    iq.astype(np.complex64).tofile(tmp_path / "band.cf32")
    spans = (("a", 0), ("noise", 20), ("a", 40))
    metadata = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0}],
        "annotations": [
            {"core:sample_start": n * L, "core:sample_count": 20 * L, "core:label": name}
            for name, n in spans
        ],
    }
    (tmp_path / "band.cf32").rename(tmp_path / "band.sigmf-data")
    (tmp_path / "band.sigmf-meta").write_text(json.dumps(metadata))
    own = windows(tmp_path, gate_db=20.0)
    assert own.classes == ("a", "noise") and own.left_out == {}
    assert np.bincount(own.dataset.label).tolist() == [40, 20]


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ({"a/1": (99 * L, 1e6)}, "one class, 'a'.*at least 2"),
        ({"1": (99 * L, 1e6)}, "no class.*one folder per class"),
        ({"a/1": (99 * L, 1e6), "b/1": (9 * L, 1e6)}, "'b' has 9 windows.*10 are needed.* 320 sam"),
        ({"a/1": (99 * L, 1e6), "unknown/1": (99 * L, 1e6)}, "'unknown'.*rename"),
        ({"a/1": (99 * L, 1e6), "b/1": (99 * L, 2e6)}, "1e.06.*2e.06.*resample"),
    ],
)
def test_what_cannot_be_learned_is_said(tmp_path, recordings, message):
    for name, (count, rate_hz) in recordings.items():
        record(tmp_path / f"{name}.cf32", 0.1, count, rate_hz=rate_hz)
    with pytest.raises(DatasetError, match=message) as found:
        windows(tmp_path)
    assert "\n" not in str(found.value)


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
    test = windows(emitters, gate_db=20.0, shots=30).subset("test")
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
