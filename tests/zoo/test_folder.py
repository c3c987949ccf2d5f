# SPDX-License-Identifier: GPL-3.0-or-later
"""Model folders: what is written comes back, and what does not fit says so."""

import dataclasses
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from spoiling import change_card, change_tensors, change_weights, error_of

from gr_tsddae import nets, zoo

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted(card.parent for card in (REPOSITORY / "models").glob(f"*/{zoo.CARD_FILE}"))


# What is written comes back


@pytest.mark.parametrize("name", ["tsnet-nano", "resnet", "cnn-lstm"])  # all: test_registry.py
def test_round_trip(name, tmp_path, fill):
    network = fill(nets.create(name, class_count=3, window_samples=256))
    card = zoo.Card(
        name="mine",
        task="amc",
        network=name,
        classes=("8PSK", "1e3", "noise – ü"),  # what YAML likes to take for something else
        window_samples=256,
        scaling="unit_power",
        samples_per_symbol=None,
        weights_sha256="ignored",
        licence="MIT",
        description="two: words # and signs",
        training={"snr_db": [-20.0, 30.0], "bfloat16": True},
        accuracy={"accuracy": 0.5, "accuracy_per_snr": {-20: 0.1, 18: 0.9}},
    )
    written = zoo.save(tmp_path / "deep" / "mine", card, network)
    loaded = zoo.load(tmp_path / "deep" / "mine")
    assert loaded.card == written
    assert dataclasses.replace(written, weights_sha256="ignored") == card
    assert loaded.folder == tmp_path / "deep" / "mine"
    assert not loaded.network.training
    for key, value in network.state_dict().items():
        found = loaded.network.state_dict()[key]
        assert found.dtype == value.dtype  # float32 in memory, whatever the file holds
        torch.testing.assert_close(found, value, rtol=2**-11, atol=2**-25)
    assert not any(p.requires_grad for p in loaded.network.parameters())


@pytest.mark.parametrize("change", [{"classes": ("a", "unknown")}, {"window_samples": 0}])
def test_what_could_not_be_loaded_is_not_written(change, model, tmp_path):
    loaded = zoo.load(model)
    with pytest.raises(zoo.ModelCorruptError, match=r"'unknown'|window_samples is 0"):
        zoo.save(tmp_path / "new", dataclasses.replace(loaded.card, **change), loaded.network)
    assert not (tmp_path / "new").exists()
    assert sorted(p.name for p in loaded.folder.iterdir()) == [zoo.CARD_FILE, zoo.WEIGHTS_FILE]


def test_half_precision_halves_the_file_and_full_precision_is_exact(model_folder, tmp_path, fill):
    card = zoo.read_card(model_folder)
    network = fill(nets.create(card.network, class_count=len(card.classes)))
    zoo.save(tmp_path, card, network, half=False)
    full, half = ((f / zoo.WEIGHTS_FILE).stat().st_size for f in (tmp_path, model_folder))
    assert half < 0.55 * full
    for key, value in zoo.load(tmp_path).network.state_dict().items():
        assert torch.equal(value, network.state_dict()[key])


def test_values_beyond_float16_are_kept(model_folder, tmp_path):
    model = zoo.load(model_folder)
    variance = model.network.backbone.spectral[0].norms[0].running_var
    variance[3] = 1e6
    zoo.save(tmp_path, model.card, model.network)
    assert zoo.load(tmp_path).network.backbone.spectral[0].norms[0].running_var[3] == 1e6


def test_saving_replaces_the_model_in_a_folder(model, fill):
    card = zoo.read_card(model)
    network = fill(nets.create("tsnet-nano", class_count=2))
    zoo.save(model, dataclasses.replace(card, classes=("a", "b")), network)
    assert zoo.load(model).card.classes == ("a", "b")


# Where models are found


def test_by_name_by_folder_and_by_either_file(model_folder):
    assert zoo.find(model_folder.name) == model_folder
    assert zoo.find(model_folder) == model_folder
    assert zoo.find(str(model_folder) + os.sep) == model_folder
    assert zoo.find(model_folder / zoo.CARD_FILE) == model_folder
    assert zoo.find(model_folder / zoo.WEIGHTS_FILE) == model_folder
    assert model_folder.name in zoo.names()


def test_relative_folders_and_the_home_folder(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    assert zoo.load("spoiled").folder.resolve() == model
    assert zoo.load(f".{os.sep}spoiled").folder.resolve() == model
    monkeypatch.setenv("HOME", str(model.parent))
    assert zoo.find("~/spoiled") == model


def test_the_first_folder_of_the_search_path_wins(model_folder, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        shutil.copytree(model_folder, folder / "same")
    shutil.copytree(model_folder, second / "only-here")
    monkeypatch.setenv(zoo.PATH_VARIABLE, os.pathsep.join([str(first), "", str(second)]))
    assert zoo.find("same") == first / "same"
    assert zoo.find("only-here") == second / "only-here"
    assert {"same", "only-here"} <= set(zoo.names())
    assert zoo.names().count("same") == 1


def test_own_folders_go_before_the_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.setenv(zoo.PATH_VARIABLE, str(tmp_path))
    own, *shipped = zoo.search_path()
    assert own == tmp_path
    assert REPOSITORY / "models" in shipped or any("site-packages" in str(p) for p in shipped)


def test_a_folder_in_the_working_directory_needs_a_card_to_hide_a_model(
    model_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / model_folder.name).mkdir()  # what someone's training run left behind
    assert zoo.find(model_folder.name) == model_folder


@pytest.mark.parametrize("name", ["amc-missing", "/nowhere/at/all", "~nobody-of-this-name/model"])
def test_a_missing_model_names_what_there_is_and_where_to_put_ones_own(name, model_folder):
    with pytest.raises(zoo.ModelNotFoundError) as caught:
        zoo.load(name)
    for part in (name, model_folder.name, zoo.PATH_VARIABLE):
        assert part in str(caught.value)


def test_an_empty_name_is_no_model(model_folder):
    with pytest.raises(zoo.ModelNotFoundError, match=f"no model given.*{model_folder.name}"):
        zoo.load("")


# What does not fit


def test_missing_weights(model):
    (model / zoo.WEIGHTS_FILE).unlink()
    assert "no model.safetensors" in error_of(zoo.ModelNotFoundError, model)


def test_a_folder_where_a_file_should_be(model):
    (model / zoo.WEIGHTS_FILE).unlink()
    (model / zoo.WEIGHTS_FILE).mkdir()
    assert "no model.safetensors" in error_of(zoo.ModelNotFoundError, model)


def test_truncated_weights(model):
    path = model / zoo.WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-1000])
    message = error_of(zoo.ModelCorruptError, model)
    assert "cut short" in message
    assert "copy it again" in message


def test_truncated_weights_that_the_card_vouches_for(model):
    change_weights(model, (model / zoo.WEIGHTS_FILE).read_bytes()[:-1000])
    assert "not a safetensors file" in error_of(zoo.ModelCorruptError, model)


def test_a_flipped_bit(model):
    path = model / zoo.WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "damaged" in error_of(zoo.ModelCorruptError, model)


@pytest.mark.parametrize("data", [b"these are no weights\n" * 50, b"", b"\xff" * 64])
def test_a_text_file_renamed_to_safetensors(model, data):
    change_weights(model, data)
    assert "not a safetensors file" in error_of(zoo.ModelCorruptError, model)


def test_a_pickle_renamed_to_safetensors_is_never_opened_as_one(model, tmp_path):
    trace = tmp_path / "executed"

    class Payload:
        def __reduce__(self):
            return (open, (str(trace), "w"))

    data = pickle.dumps(Payload())
    pickle.loads(data).close()
    assert trace.exists(), "the payload works"
    trace.unlink()
    for content in (data, b"PK\x03\x04" + data):
        change_weights(model, content)
        error_of(zoo.ModelCorruptError, model)
    torch.save({"payload": Payload()}, tmp_path / "checkpoint.pt")
    change_weights(model, (tmp_path / "checkpoint.pt").read_bytes())
    error_of(zoo.ModelCorruptError, model)
    assert not trace.exists()


def test_a_card_that_asks_for_more_than_a_machine_has(model):
    """Its shapes are compared with the weights before any memory is taken: 200 GB here."""
    huge = {"width": 4096, "feedforward": 16384, "layers": 64}
    change_card(model, network_options=huge)
    assert "does not fit" in error_of(zoo.ModelMismatchError, model)


@pytest.mark.parametrize("dtype", [torch.int16, torch.float8_e4m3fn, torch.bool])
def test_weights_of_a_kind_no_network_has(model, dtype):
    def change(tensors):
        tensors["head.3.bias"] = tensors["head.3.bias"].to(dtype)

    change_tensors(model, change)
    assert str(dtype) in error_of(zoo.ModelCorruptError, model)


def test_variances_below_zero(model):
    def change(tensors):
        name = next(name for name in tensors if name.endswith("running_var"))
        tensors[name] = -tensors[name] - 1

    change_tensors(model, change)
    assert "variances below 0" in error_of(zoo.ModelCorruptError, model)


def test_another_class_count_than_the_weights_have(model):
    change_card(model, classes=["a", "b", "c"])
    message = error_of(zoo.ModelMismatchError, model)
    for part in ("model.safetensors", "tsnet-nano", "3 classes", "head.3", "(3,"):
        assert part in message


def test_another_network_than_the_weights_are_of(model):
    change_card(model, network="tsnet-small")
    assert "tsnet-small" in error_of(zoo.ModelMismatchError, model)


def test_a_missing_tensor(model):
    change_tensors(model, lambda tensors: tensors.pop("head.0.weight"))
    assert "head.0.weight is missing" in error_of(zoo.ModelMismatchError, model)


def test_a_tensor_too_many(model):
    change_tensors(model, lambda tensors: tensors.update(backdoor=torch.zeros(3)))
    message = error_of(zoo.ModelMismatchError, model)
    assert "backdoor is (3,), expected nothing" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(model, value):
    change_tensors(model, lambda tensors: tensors["head.0.weight"][0].fill_(value))
    assert "head.0.weight holds NaN or infinity" in error_of(zoo.ModelCorruptError, model)


def test_every_kind_of_error_is_a_model_error_and_a_value_error():
    kinds = [
        zoo.ModelNotFoundError, zoo.ModelCorruptError,
        zoo.ModelMismatchError, zoo.ModelVersionError,
    ]  # fmt: skip
    assert all(issubclass(kind, zoo.ModelError) for kind in kinds)
    assert issubclass(zoo.ModelError, ValueError)


# What is shipped


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_model_opens_and_says_what_it_is(folder):
    model = zoo.load(folder)
    card = model.card
    assert card.name == folder.name
    named = "denoise" if card.task == zoo.DENOISING else card.task
    named = "air" if card.bandwidth_multiple else named  # amc, for what a survey cuts out
    assert card.name.split("-")[0] == named
    assert card.network.rsplit("-", 1)[1] == card.name.rsplit("-", 1)[1]
    assert (folder / zoo.WEIGHTS_FILE).stat().st_size < 24 << 20
    files = {p.name for p in folder.iterdir()} - {"log.jsonl"}  # how training went; not installed
    assert files == {zoo.CARD_FILE, zoo.WEIGHTS_FILE}
    assert card.licence
    assert card.description
    assert card.training, "how it was made"
    rows = torch.sin(torch.arange(2 * 2 * card.window_samples).float() ** 1.1).view(2, 2, -1)
    if card.task == zoo.DENOISING:
        gains = card.accuracy["gain_db_per_snr_db"]
        assert len(gains) >= 10 and all(gain > 0 for gain in gains.values())
        with torch.inference_mode():
            noises = model.network(rows, torch.tensor([1, 100]))
        assert all(noise.shape == rows.shape and noise.isfinite().all() for noise in noises)
        return
    per_snr = card.accuracy["accuracy_per_snr"]
    assert len(per_snr) >= 10
    assert all(isinstance(snr, int) and 0 <= share <= 1 for snr, share in per_snr.items())
    assert 1.5 / len(card.classes) < card.accuracy["accuracy"] <= card.accuracy["best"] <= 1
    with torch.inference_mode():
        logits = model.network(rows)
    assert logits.shape == (2, len(card.classes))
    assert logits.isfinite().all()
