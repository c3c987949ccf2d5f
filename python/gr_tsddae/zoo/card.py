# SPDX-License-Identifier: GPL-3.0-or-later
"""The card of a model: what anyone who runs it needs to know; its schema, its checks, its YAML.

YAML's safe loader reads it, so that nothing in it can run code.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gr_tsddae.iq.scalings import SCALING_NAMES
from gr_tsddae.labels import UNKNOWN
from gr_tsddae.zoo.errors import (
    ModelCorruptError,
    ModelMismatchError,
    ModelNotFoundError,
    ModelVersionError,
)

CARD_FILE = "card.yaml"
FORMAT_VERSION = 1
# Tasks of pre-trained networks, which know no classes yet.
DENOISING = "denoising"  # an encoder with its two noise estimates
FEATURES = "features"  # an encoder alone
MAX_WINDOW_SAMPLES = 8192  # a batch of longer ones fits no machine
_SIZE_LIMIT_BYTES = 1 << 20  # a card is a page of text
_TEXTS = ("name", "task", "network", "scaling", "weights_sha256", "licence", "description")
_MAPPINGS = ("training", "accuracy", "network_options", "rejection", "measured")
_POSITIVE_NUMBERS = ("samples_per_symbol", "bandwidth_multiple", "sample_rate_hz", "pauses_db")


@dataclass(frozen=True, kw_only=True)
class Card:
    """The description of a model.

    `input_rate` reads from the optional numbers how a model wants its input. A new number of that
    kind is one more optional field, and one more entry in `_POSITIVE_NUMBERS`.

    Attributes:
        name: The model's name in decisions.
        task: "amc" (modulation), "wtc" (wireless technology) or "anomaly"; for a pre-trained
            network "denoising" (an encoder with its two noise estimates) or "features" (an encoder
            alone).
        network: One of `gr_tsddae.nets.names()`.
        classes: Labels, in the order of the network's outputs; a pre-trained network has none.
        window_samples: L, complex samples per window.
        scaling: One of `gr_tsddae.iq.scalings.SCALING_NAMES`.
        samples_per_symbol: Of the training signals; None where it has no meaning.
        bandwidth_multiple: Sample rate that the model wants, as a multiple of the signal's occupied
            (99 %) bandwidth; None where it has no meaning. A card has this or samples_per_symbol,
            or neither.
        weights_sha256: Checksum of model.safetensors, hexadecimal.
        licence: SPDX identifier of the weights.
        description: One or two sentences.
        training: How the model was made (recipe, windows, steps, seed, command), free form.
        accuracy: Results measured on data that the model never saw, free form; `accuracy_per_snr`
            maps SNR in dB to a share.
        network_options: Differences from the named network, e.g. {"layers": 3}.
        sample_rate_hz: Of all windows that the model learned from, where they share one; None where
            the rate has no meaning or is not known.
        rejection: How the model tells signals that it was never taught: `score`, a name, and
            `threshold`, a number; a signal with a higher score is unknown. Further entries are free
            form. Empty where the model always names a class.
        measured: What the survey measured of the recordings that classes were taught from: class ->
            a list with a mapping per recording (`survey.naming.taught.facts_of`). Empty where no
            class was taught from recordings.
        pauses_db: How much weaker than its signal a pause is, at least, in a stream; it is `noise`
            then. None: levels tell nothing.
        format_version: Of the card itself.
    """

    name: str
    task: str
    network: str
    classes: tuple[str, ...]
    window_samples: int
    scaling: str
    samples_per_symbol: float | None
    weights_sha256: str
    licence: str
    description: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    network_options: Mapping[str, Any] = field(default_factory=dict)
    sample_rate_hz: float | None = None
    bandwidth_multiple: float | None = None
    rejection: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    pauses_db: float | None = None
    format_version: int = FORMAT_VERSION


_KNOWN = {f.name for f in dataclasses.fields(Card)}
_OPTIONAL = {
    f.name
    for f in dataclasses.fields(Card)
    if (f.default, f.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
}


class _CardLoader(yaml.SafeLoader):
    """Reads plain values only: aliases could make gigabytes of a page, and a card needs none."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name): write the value out")
        return super().compose_node(parent, index)


class _CardDumper(yaml.SafeDumper):
    """Writes out values that occur twice, instead of aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read_card(folder: Path) -> Card:
    """Read and check the card in a model's folder.

    Raises:
        ModelNotFoundError: If there is none, or it cannot be read.
        ModelCorruptError, ModelMismatchError: If it is no card, or its values cannot be.
        ModelVersionError: If it is of a format that this program does not know.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        raise ModelNotFoundError(f"{folder} holds no {CARD_FILE}; a model needs one")
    if path.stat().st_size > _SIZE_LIMIT_BYTES:
        raise ModelCorruptError(f"{path} is larger than 1 MiB: that is no model card")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _CardLoader)
    except OSError as error:
        raise ModelNotFoundError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # PyYAML lets KeyError, IndexError, RecursionError and more through
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelCorruptError(f"{path} is not readable as plain YAML: {reason}") from error
    if not isinstance(content, dict):
        raise ModelCorruptError(f"{path} must be a mapping of names to values")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelVersionError(
            f"{path} has format_version {_shown(version)}; this program reads {FORMAT_VERSION}. "
            "Install the gr-tsddae version the model was made for, or export it again"
        )
    if missing := sorted(_KNOWN - _OPTIONAL - content.keys()):
        raise ModelCorruptError(f"{path} lacks {', '.join(missing)}")
    if unknown := sorted(map(str, content.keys() - _KNOWN)):
        raise ModelCorruptError(f"{path} has unknown entries: {', '.join(unknown)}")
    card = Card(**content | {"classes": _classes(content["classes"], path)})
    check(card, path)
    return card


def as_yaml(card: Card) -> str:
    """Write a card as the text that `read_card` reads.

    Raises:
        yaml.YAMLError: If a free-form part holds more than plain values.
    """
    content = dataclasses.asdict(card) | {"classes": list(card.classes)}
    for name in ("sample_rate_hz", "bandwidth_multiple", "rejection", "measured", "pauses_db"):
        if not content[name]:  # older programs can read a card that says nothing new
            del content[name]
    return yaml.dump(
        content, Dumper=_CardDumper, sort_keys=False, allow_unicode=True, width=100,
        default_flow_style=None,
    )  # fmt: skip


def _shown(value: Any) -> str:
    """Show a value in a message, however large it is."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def _classes(value: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ModelCorruptError(f"{path}: classes must be a list of strings")
    return tuple(value)


def check(card: Card, path: Path) -> None:
    """Check all values of a card that the program relies on.

    Raises:
        ModelCorruptError: If a value is of a wrong type or out of its range.
        ModelMismatchError: If this program has no such network or scaling.
    """
    from gr_tsddae import nets

    for name in _TEXTS:
        if not isinstance(value := getattr(card, name), str):
            raise ModelCorruptError(f"{path}: {name} is {_shown(value)}; it must be text")
    for name in _MAPPINGS:
        if not isinstance(value := getattr(card, name), dict):
            raise ModelCorruptError(f"{path}: {name} is {_shown(value)}; it must be a mapping")
    for name in _POSITIVE_NUMBERS:
        value = getattr(card, name)
        if value is not None and not (type(value) in (int, float) and 0 < value < math.inf):
            raise ModelCorruptError(
                f"{path}: {name} is {_shown(value)}; it must be a positive number, or null"
            )
    if card.samples_per_symbol is not None and card.bandwidth_multiple is not None:
        raise ModelCorruptError(
            f"{path}: a model wants samples_per_symbol or a bandwidth_multiple, not both; "
            "set one of them to null"
        )
    if card.rejection:
        _check_rejection(card.rejection, path)
    _check_measured(card.measured, path)
    if card.task in (DENOISING, FEATURES):
        if card.classes:
            raise ModelCorruptError(f"{path}: a model for {card.task} has no classes")
    elif len(card.classes) < 2 or len(set(card.classes)) != len(card.classes):
        raise ModelCorruptError(f"{path}: classes must be at least two different labels")
    if UNKNOWN in card.classes:
        raise ModelCorruptError(
            f"{path}: no class may be called {UNKNOWN!r}, the word for decisions that are not sure"
        )
    if type(card.window_samples) is not int or not 1 <= card.window_samples <= MAX_WINDOW_SAMPLES:
        raise ModelCorruptError(
            f"{path}: window_samples is {_shown(card.window_samples)}; it must be an integer from "
            f"1 to {MAX_WINDOW_SAMPLES}"
        )
    if card.scaling not in SCALING_NAMES:
        raise ModelMismatchError(
            f"{path}: scaling {card.scaling!r} is not one of {', '.join(SCALING_NAMES)}"
        )
    if card.network not in nets.names():
        raise ModelMismatchError(
            f"{path}: network {card.network!r} is not one of {', '.join(nets.names())}; one from "
            "outside needs its package installed, or its module named in GR_TSDDAE_PLUGINS"
        )


def _check_rejection(rejection: Mapping[str, Any], path: Path) -> None:
    score, threshold = rejection.get("score"), rejection.get("threshold")
    if not isinstance(score, str):
        raise ModelCorruptError(f"{path}: rejection.score is {_shown(score)}; it must be text")
    if type(threshold) not in (int, float) or not math.isfinite(threshold):
        raise ModelCorruptError(
            f"{path}: rejection.threshold is {_shown(threshold)}; it must be a finite number"
        )


def _check_measured(measured: Mapping[str, Any], path: Path) -> None:
    for name, recordings in measured.items():
        listed = isinstance(recordings, list) and all(isinstance(r, dict) for r in recordings)
        if not listed or not all(
            isinstance(value, str)
            if fact == "regularity"
            else type(value) in (int, float) and 0 < value < math.inf
            for each in recordings
            for fact, value in each.items()
        ):
            raise ModelCorruptError(
                f"{path}: measured.{_shown(name)} is {_shown(recordings)}; it must be a list of "
                "mappings with positive numbers, and text as regularity"
            )


def need_classes(card: Card) -> None:
    """Raise ModelMismatchError for a pre-trained network, which knows no classes."""
    if card.task in (DENOISING, FEATURES):
        kind = "denoiser" if card.task == DENOISING else "encoder"
        raise ModelMismatchError(
            f"{card.name} is a pre-trained {kind}: it knows no classes yet; make a classifier of "
            "it with `tsddae train finetune --init FOLDER`"
        )
