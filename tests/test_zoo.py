# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files: what is written comes back, and whatever does not fit says so, and runs nothing."""

import dataclasses
import hashlib
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors

from gr_tsddae import nets, zoo

REPOSITORY = Path(__file__).parents[1]
SHIPPED = sorted(card.parent for card in (REPOSITORY / "models").glob(f"*/{zoo.CARD_FILE}"))


@pytest.fixture
def model(model_folder, tmp_path):
    """A copy of the untrained model that a test may spoil."""
    return Path(shutil.copytree(model_folder, tmp_path / "spoiled"))


def change_card(folder, **changes):
    """Rewrites entries of a card; None removes one."""
    path = folder / zoo.CARD_FILE
    content = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))


def change_weights(folder, data):
    """Other bytes for the weights, with a card that vouches for them."""
    (folder / zoo.WEIGHTS_FILE).write_bytes(data)
    change_card(folder, weights_sha256=hashlib.sha256(data).hexdigest())


def change_tensors(folder, change):
    """Applies `change` to the dictionary of tensors, with a card that vouches for the result."""
    tensors = parse_tensors((folder / zoo.WEIGHTS_FILE).read_bytes())
    change(tensors)
    change_weights(folder, serialise_tensors(tensors))


def error_of(kind, folder):
    """The message of the error that loading gives; exactly of this kind, naming the folder."""
    with pytest.raises(zoo.ModelError) as caught:
        zoo.load(folder)
    assert type(caught.value) is kind, caught.value
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


# What is written comes back


@pytest.mark.parametrize("name", nets.names())
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


def test_a_card_without_a_sample_rate_is_as_older_programs_know_it(model):
    loaded = zoo.load(model)
    assert loaded.card.sample_rate_hz is None
    zoo.save(model, loaded.card, loaded.network)
    assert "sample_rate_hz" not in (model / zoo.CARD_FILE).read_text()
    zoo.save(model, dataclasses.replace(loaded.card, sample_rate_hz=2.4e6), loaded.network)
    assert zoo.read_card(model).sample_rate_hz == 2.4e6


def test_a_card_that_cannot_be_written_leaves_the_old_model_alone(model):
    loaded = zoo.load(model)
    loaded.network.head[-1].bias += 1
    with pytest.raises(yaml.YAMLError):
        zoo.save(model, dataclasses.replace(loaded.card, training={"x": object()}), loaded.network)
    assert zoo.load(model).card == loaded.card


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


def test_missing_card(model):
    (model / zoo.CARD_FILE).unlink()
    assert "holds no card.yaml" in error_of(zoo.ModelNotFoundError, model)


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


def test_a_card_that_tries_to_run_code(model, tmp_path):
    trace = tmp_path / "executed"
    path = model / zoo.CARD_FILE
    content = path.read_text()
    for tag in (
        f"!!python/object/apply:builtins.open [{trace}, w]",
        f"!!python/object/new:os.system ['touch {trace}']",
        "!!python/name:os.system",
    ):
        path.write_text(f"{content}extra: {tag}\n")
        assert "not readable as plain YAML" in error_of(zoo.ModelCorruptError, model)
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    [
        "classes: [BPSK, QPSK",
        "\tname: x",
        "? [a]\n: b",
        "date: 2001-13-45",
        "flag: !!bool maybe",
        "when: !!timestamp soon",
        "count: !!int ''",
        "[" * 20_000,
        "a: &a [*b]",
    ],
)
def test_a_card_that_is_no_yaml(model, text):
    (model / zoo.CARD_FILE).write_text(text)
    assert "not readable as plain YAML" in error_of(zoo.ModelCorruptError, model)


def test_a_card_that_is_no_text(model):
    (model / zoo.CARD_FILE).write_bytes(b"\xff\xfe\x00\x01" * 9)
    assert "not readable as plain YAML" in error_of(zoo.ModelCorruptError, model)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_a_card_that_is_no_mapping(model, text):
    (model / zoo.CARD_FILE).write_text(text)
    assert "must be a mapping" in error_of(zoo.ModelCorruptError, model)


def test_a_huge_card(model):
    with (model / zoo.CARD_FILE).open("a") as file:
        file.write("#" * (1 << 20))
    assert "larger than 1 MiB" in error_of(zoo.ModelCorruptError, model)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_unknown_format_version(model, version):
    change_card(model, format_version=version)
    message = error_of(zoo.ModelVersionError, model)
    assert f"format_version {version!r}" in message
    assert "export it again" in message


def test_missing_entries_are_all_named(model):
    change_card(model, classes=None, scaling=None)
    assert "lacks classes, scaling" in error_of(zoo.ModelCorruptError, model)


def test_unknown_entries_are_all_named(model):
    change_card(model, zebra=1, clases=["a", "b"])
    assert "unknown entries: clases, zebra" in error_of(zoo.ModelCorruptError, model)


def test_entries_that_are_no_text(model):
    with (model / zoo.CARD_FILE).open("a") as file:
        file.write("7: 8\nx: 1\n")
    assert "unknown entries: 7, x" in error_of(zoo.ModelCorruptError, model)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (zoo.ModelMismatchError, {"network": "tsnet-huge"}, ["tsnet-huge", "tsnet-nano"]),
        (zoo.ModelMismatchError, {"scaling": "loud"}, ["'loud'", "unit_power"]),
        (zoo.ModelCorruptError, {"scaling": ["unit_power"]}, ["scaling"]),
        (zoo.ModelCorruptError, {"network": {}}, ["network"]),
        (zoo.ModelCorruptError, {"classes": ["BPSK"]}, ["at least two different"]),
        (zoo.ModelCorruptError, {"classes": []}, ["at least two different"]),
        (zoo.ModelCorruptError, {"classes": ["BPSK", "BPSK"]}, ["at least two different"]),
        (zoo.ModelCorruptError, {"classes": [1, 2]}, ["list of strings"]),
        (zoo.ModelCorruptError, {"classes": "BPSK"}, ["list of strings"]),
        (zoo.ModelCorruptError, {"classes": {"BPSK": 1}}, ["list of strings"]),
        (zoo.ModelCorruptError, {"window_samples": 0}, ["window_samples is 0"]),
        (zoo.ModelCorruptError, {"window_samples": 128.0}, ["window_samples is 128.0"]),
        (zoo.ModelCorruptError, {"window_samples": True}, ["window_samples is True"]),
        (zoo.ModelCorruptError, {"window_samples": 1 << 20}, ["from 1 to 8192"]),
        (zoo.ModelCorruptError, {"licence": ["x" * 1000]}, ["licence is ['xxx", "...;"]),
        (zoo.ModelMismatchError, {"network_options": {"heads": 0}}, ["heads is 0"]),
        (zoo.ModelMismatchError, {"network_options": {"heads": -1}}, ["heads is -1"]),
        (zoo.ModelMismatchError, {"network_options": {"squeeze": 0}}, ["squeeze is 0"]),
        (zoo.ModelMismatchError, {"network_options": {"width": 64.0}}, ["width is 64.0"]),
        (zoo.ModelMismatchError, {"network_options": {"temporal": 1}}, ["temporal is 1"]),
        (zoo.ModelMismatchError, {"network_options": {"dropout": "much"}}, ["dropout is 'much'"]),
        (zoo.ModelMismatchError, {"network_options": {"kernel_samples": 2**29}}, ["1 to 8192"]),
        (zoo.ModelMismatchError, {"window_samples": 100}, ["window of 100", "stride, 16"]),
        (zoo.ModelCorruptError, {"name": 12}, ["name is 12"]),
        (zoo.ModelCorruptError, {"licence": []}, ["licence is []"]),
        (zoo.ModelCorruptError, {"weights_sha256": 7}, ["weights_sha256 is 7"]),
        (zoo.ModelCorruptError, {"training": "long"}, ["training is 'long'"]),
        (zoo.ModelCorruptError, {"accuracy": [0.9]}, ["accuracy is [0.9]"]),
        (zoo.ModelCorruptError, {"samples_per_symbol": "eight"}, ["samples_per_symbol is 'eight'"]),
        (zoo.ModelCorruptError, {"samples_per_symbol": -8}, ["samples_per_symbol is -8"]),
        (zoo.ModelCorruptError, {"samples_per_symbol": float("nan")}, ["samples_per_symbol"]),
        (zoo.ModelCorruptError, {"sample_rate_hz": 0}, ["sample_rate_hz is 0"]),
        (zoo.ModelCorruptError, {"sample_rate_hz": "fast"}, ["sample_rate_hz is 'fast'"]),
    ],
)
def test_a_card_that_says_what_cannot_be(model, kind, change, words):
    change_card(model, **change)
    message = error_of(kind, model)
    assert all(word in message for word in words), message


def test_a_card_that_asks_for_more_than_a_machine_has(model):
    """Its shapes are compared with the weights before any memory is taken: 200 GB here."""
    huge = {"width": 4096, "feedforward": 16384, "layers": 64}
    change_card(model, network_options=huge)
    assert "does not fit" in error_of(zoo.ModelMismatchError, model)


def test_a_card_with_aliases_is_not_unfolded(model):
    """A page of them can hold more than any memory, and a card needs none."""
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    path = model / zoo.CARD_FILE
    path.write_text(path.read_text() + bomb)
    assert "alias" in error_of(zoo.ModelCorruptError, model)


def test_a_number_too_long_to_be_printed(model):
    change_card(model, window_samples=None)
    path = model / zoo.CARD_FILE
    path.write_text(f"{path.read_text()}window_samples: 0x{'F' * 5000}\n")
    assert "thousands of digits" in error_of(zoo.ModelCorruptError, model)


def test_values_that_occur_twice_are_written_out(model):
    loaded = zoo.load(model)
    same = ["a", "b"]
    written = zoo.save(
        model, dataclasses.replace(loaded.card, training={"x": same, "y": same}), loaded.network
    )
    assert zoo.load(model).card.training == written.training == {"x": same, "y": same}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn, torch.bool])
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
    task = "denoise" if card.task == zoo.DENOISING else card.task
    assert card.name.split("-")[0] == task
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
