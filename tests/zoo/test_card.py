# SPDX-License-Identifier: GPL-3.0-or-later
"""Model cards: a card that does not fit says so, and runs nothing."""

import dataclasses

import pytest
import yaml
from spoiling import change_card, error_of

from gr_tsddae import zoo


def test_a_card_without_a_sample_rate_is_as_older_programs_know_it(model):
    loaded = zoo.load(model)
    assert loaded.card.sample_rate_hz is None
    zoo.save(model, loaded.card, loaded.network)
    assert "sample_rate_hz" not in (model / zoo.CARD_FILE).read_text()
    zoo.save(model, dataclasses.replace(loaded.card, sample_rate_hz=2.4e6), loaded.network)
    assert zoo.read_card(model).sample_rate_hz == 2.4e6


def test_a_card_without_bandwidth_and_rejection_is_as_older_programs_know_it(model):
    loaded = zoo.load(model)
    assert loaded.card.bandwidth_multiple is None and loaded.card.rejection == {}
    zoo.save(model, loaded.card, loaded.network)
    text = (model / zoo.CARD_FILE).read_text()
    for name in ("bandwidth_multiple", "rejection", "measured", "pauses_db"):
        assert name not in text


def test_a_card_keeps_how_its_model_wants_a_signal_and_tells_unknown_ones(model):
    loaded = zoo.load(model)
    rejection = {"score": "energy", "threshold": -3.5, "outliers": "air"}
    card = dataclasses.replace(
        loaded.card, samples_per_symbol=None, bandwidth_multiple=4.0, rejection=rejection
    )
    zoo.save(model, card, loaded.network)
    read = zoo.read_card(model)
    assert (read.samples_per_symbol, read.bandwidth_multiple) == (None, 4.0)
    assert read.rejection == rejection


def test_a_card_keeps_what_was_measured_of_taught_recordings(model):
    loaded = zoo.load(model)
    measured = {"bell": [{"bandwidth_hz": 1e4, "regularity": "frequency"}], "noise": []}
    card = dataclasses.replace(loaded.card, measured=measured, pauses_db=5.0)
    zoo.save(model, card, loaded.network)
    read = zoo.read_card(model)
    assert (read.measured, read.pauses_db) == (measured, 5.0)


def test_a_model_wants_symbols_or_a_bandwidth(model):
    change_card(model, bandwidth_multiple=4.0)  # its samples_per_symbol is 8
    assert "set one of them to null" in error_of(zoo.ModelCorruptError, model)


def test_a_card_that_cannot_be_written_leaves_the_old_model_alone(model):
    loaded = zoo.load(model)
    loaded.network.head[-1].bias += 1
    with pytest.raises(yaml.YAMLError):
        zoo.save(model, dataclasses.replace(loaded.card, training={"x": object()}), loaded.network)
    assert zoo.load(model).card == loaded.card


def test_missing_card(model):
    (model / zoo.CARD_FILE).unlink()
    assert "holds no card.yaml" in error_of(zoo.ModelNotFoundError, model)


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
        (zoo.ModelCorruptError, {"bandwidth_multiple": 0}, ["bandwidth_multiple is 0"]),
        (zoo.ModelCorruptError, {"bandwidth_multiple": "wide"}, ["bandwidth_multiple is 'wide'"]),
        (zoo.ModelCorruptError, {"rejection": "often"}, ["rejection is 'often'"]),
        (zoo.ModelCorruptError, {"rejection": {"score": 7}}, ["rejection.score is 7"]),
        (zoo.ModelCorruptError, {"rejection": {"score": "energy"}}, ["threshold is None"]),
        (
            zoo.ModelCorruptError,
            {"rejection": {"score": "energy", "threshold": float("inf")}},
            ["rejection.threshold is inf"],
        ),
        (zoo.ModelCorruptError, {"pauses_db": -5}, ["pauses_db is -5"]),
        (zoo.ModelCorruptError, {"measured": {"bell": 5}}, ["measured.'bell' is 5"]),
        (zoo.ModelCorruptError, {"measured": {"bell": [{"rate_hz": 0}]}}, ["measured.'bell' is"]),
        (zoo.ModelCorruptError, {"measured": {"bell": [{"rate_hz": "a"}]}}, ["measured.'bell' is"]),
        (zoo.ModelCorruptError, {"measured": {"bell": [{"regularity": 1}]}}, ["measured.'bell'"]),
    ],
)
def test_a_card_that_says_what_cannot_be(model, kind, change, words):
    change_card(model, **change)
    message = error_of(kind, model)
    assert all(word in message for word in words), message


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
