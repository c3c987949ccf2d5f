# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files: a folder with `card.yaml` and `model.safetensors` becomes a ready network.

Nothing here can run code from a file: the card is read by YAML's safe loader, the weights by
safetensors, and the network is one of `gr_tsddae.nets`. Whatever does not fit is an error that
says what to do; nothing is guessed, skipped or downloaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gr_tsddae.files import write_bytes
from gr_tsddae.labels import UNKNOWN

if TYPE_CHECKING:
    import torch
    from torch import nn

FORMAT_VERSION = 1
# Tasks of pre-trained networks, which know no classes yet.
DENOISING = "denoising"  # an encoder with its two noise estimates
FEATURES = "features"  # an encoder alone
MAX_WINDOW_SAMPLES = 8192  # a batch of longer ones fits no machine
CARD_FILE = "card.yaml"
WEIGHTS_FILE = "model.safetensors"
PATH_VARIABLE = "GR_TSDDAE_MODELS"  # folders with models of one's own, separated like PATH
_WEIGHT_DTYPES = (
    "torch.float16",
    "torch.bfloat16",
    "torch.float32",
    "torch.float64",
    "torch.int64",
)
_CARD_LIMIT_BYTES = 1 << 20  # a card is a page of text


class ModelError(ValueError):
    """A model cannot be used; the message says which file, why, and what to do."""


class ModelNotFoundError(ModelError):
    """There is no such model, or one of its two files is missing."""


class ModelCorruptError(ModelError):
    """A file is damaged, truncated, or not what its name says."""


class ModelMismatchError(ModelError):
    """Card and weights, or card and this program, do not belong together."""


class ModelVersionError(ModelError):
    """The card is of a format this program does not know."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model is, as far as anyone who runs it needs to know.

    Attributes:
        name: what the model calls itself in decisions.
        task: "amc" (modulation), "wtc" (wireless technology), "anomaly"; or of a pre-trained
            network "denoising" (an encoder with its two noise estimates) or "features" (an encoder
            alone).
        network: one of `gr_tsddae.nets.names()`.
        classes: labels, in the order of the network's outputs; none for the last two.
        window_samples: L, complex samples per window.
        scaling: one of `gr_tsddae.iq.windows.SCALINGS`.
        samples_per_symbol: what the training signals had; None where it has no meaning.
        weights_sha256: checksum of model.safetensors, hexadecimal.
        licence: SPDX identifier of the weights.
        description: one or two sentences.
        training: how it was made (recipe, windows, steps, seed, command), free form.
        accuracy: measured results on data it never saw, free form; `per_snr_db` maps SNR to share.
        network_options: what differs from the named network, e.g. {"layers": 3}.
        sample_rate_hz: of the recordings it was taught with, where they share one; None where the
            rate has no meaning, or is not known.
        format_version: of the card itself.
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
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode, and its card."""

    card: Card
    network: nn.Module
    folder: Path


def search_path() -> list[Path]:
    """Folders that are searched for models, first match wins."""
    own = [Path(p).expanduser() for p in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if p]
    package = Path(__file__).resolve().parent
    # Installed, models lie inside the package; in a checkout, beside python/.
    return [*own, package / "models", package.parent.parent / "models"]


def names() -> list[str]:
    """Names of all models that can be found, sorted."""
    return sorted(
        {card.parent.name for folder in search_path() for card in folder.glob(f"*/{CARD_FILE}")}
    )


def find(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder of a model, given its name or the folder itself.

    Raises:
        ModelNotFoundError: when there is none.
    """
    text = os.fspath(name_or_folder)
    if not text:
        raise ModelNotFoundError(f"no model given; there are: {', '.join(names()) or 'none'}")
    as_path = Path(os.path.expanduser(text))  # leaves the ~ of an unknown user alone
    if as_path.name in (CARD_FILE, WEIGHTS_FILE):
        as_path = as_path.parent
    if as_path.is_dir() and (os.sep in text or (as_path / CARD_FILE).exists()):
        return as_path
    if os.sep not in text:
        for folder in search_path():
            if (folder / text / CARD_FILE).exists():
                return folder / text
    raise ModelNotFoundError(
        f"no model {text!r}: it is neither a folder with a {CARD_FILE} nor one of the models "
        f"found here ({', '.join(names()) or 'none'}); folders of your own go into "
        f"the environment variable {PATH_VARIABLE}"
    )


class _CardLoader(yaml.SafeLoader):
    """Plain values only. Aliases could make gigabytes of a page, and a card needs none."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name): write the value out")
        return super().compose_node(parent, index)


class _CardDumper(yaml.SafeDumper):
    """Writes values out that occur twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read_card(folder: Path) -> Card:
    """Read and check a model's card.

    Raises:
        ModelNotFoundError, ModelCorruptError, ModelVersionError, ModelMismatchError.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        raise ModelNotFoundError(f"{folder} holds no {CARD_FILE}; a model needs one")
    if path.stat().st_size > _CARD_LIMIT_BYTES:
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
    known = {f.name: f for f in dataclasses.fields(Card)}
    required = {
        name
        for name, f in known.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - content.keys()):
        raise ModelCorruptError(f"{path} lacks {', '.join(missing)}")
    if unknown := sorted(map(str, content.keys() - known.keys())):
        raise ModelCorruptError(f"{path} has unknown entries: {', '.join(unknown)}")
    return _checked(Card(**content | {"classes": _classes(content["classes"], path)}), path)


def _shown(value: Any) -> str:
    """A value in a message, however large it is."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def _classes(value: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ModelCorruptError(f"{path}: classes must be a list of strings")
    return tuple(value)


def _checked(card: Card, path: Path) -> Card:
    """Check what the rest of the program relies on."""
    from gr_tsddae import nets
    from gr_tsddae.iq.windows import SCALINGS

    for name in ("name", "task", "network", "scaling", "weights_sha256", "licence", "description"):
        if not isinstance(value := getattr(card, name), str):
            raise ModelCorruptError(f"{path}: {name} is {_shown(value)}; it must be text")
    for name in ("training", "accuracy", "network_options"):
        if not isinstance(value := getattr(card, name), dict):
            raise ModelCorruptError(f"{path}: {name} is {_shown(value)}; it must be a mapping")
    for name in ("samples_per_symbol", "sample_rate_hz"):
        value = getattr(card, name)
        if value is not None and not (type(value) in (int, float) and 0 < value < math.inf):
            raise ModelCorruptError(
                f"{path}: {name} is {_shown(value)}; it must be a positive number, or null"
            )
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
    if card.scaling not in SCALINGS:
        raise ModelMismatchError(
            f"{path}: scaling {card.scaling!r} is not one of {', '.join(SCALINGS)}"
        )
    if card.network not in nets.names():
        raise ModelMismatchError(
            f"{path}: network {card.network!r} is not one of {', '.join(nets.names())}"
        )
    return card


def need_classes(card: Card) -> None:
    """Raise ModelMismatchError when a model is a pre-trained network, which knows no classes."""
    if card.task in (DENOISING, FEATURES):
        what = "denoiser" if card.task == DENOISING else "encoder"
        raise ModelMismatchError(
            f"{card.name} is a pre-trained {what}: it knows no classes yet; make a classifier of "
            "it with `python -m gr_tsddae.train finetune --init FOLDER`"
        )


def load(name_or_folder: str | os.PathLike[str]) -> Model:
    """A ready network, on the CPU, float32, in evaluation mode.

    Args:
        name_or_folder: a name from `names()`, or a folder with card.yaml and model.safetensors.

    Raises:
        ModelError: one of its kinds, with a message for the user.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    folder = find(name_or_folder)
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise ModelNotFoundError(f"{folder} has a card but no {WEIGHTS_FILE}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelNotFoundError(f"{path} cannot be read: {error.strerror}") from error
    if (digest := hashlib.sha256(data).hexdigest()) != card.weights_sha256:
        raise ModelCorruptError(
            f"{path} ({len(data)} bytes) has sha256 {digest[:12]}..., the card says "
            f"{card.weights_sha256[:12]}...: the file is damaged, cut short or another "
            "model's; copy it again"
        )
    try:
        tensors = parse(data)
    except SafetensorError as error:
        raise ModelCorruptError(f"{path} is not a safetensors file: {error}") from error
    with torch.device("meta"):  # shapes without memory, which a wrong card could ask too much of
        _check_tensors(tensors, _built(card, folder), path, card)
    network = _built(card, folder)
    network.load_state_dict({name: t.to(torch.float32) for name, t in tensors.items()})
    return Model(card, network.eval().requires_grad_(False), folder)


def _built(card: Card, folder: Path) -> nn.Module:
    """The network of a card, with weights of no meaning."""
    from gr_tsddae import nets

    try:
        if card.task == DENOISING:
            network = nets.create_denoiser(card.network, **card.network_options)
        else:
            options = {"window_samples": card.window_samples, **card.network_options}
            if card.task == FEATURES:
                network = nets.create_encoder(card.network, **options)
            else:
                network = nets.create(card.network, class_count=len(card.classes), **options)
    except Exception as error:  # options may be of any kind, and torch says so in many ways
        raise ModelMismatchError(f"{folder / CARD_FILE}: {error}") from error
    try:
        network.check_window(card.window_samples)
    except ValueError as error:
        raise ModelMismatchError(
            f"{folder / CARD_FILE}: network {card.network} cannot take its {error}"
        ) from error
    return network


def _check_tensors(
    tensors: Mapping[str, torch.Tensor], network: nn.Module, path: Path, card: Card
) -> None:
    wanted = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ModelMismatchError(
                f"{path} does not fit the card's network {card.network} with "
                f"{len(card.classes)} classes: {name} is {found.get(name, 'missing')}, "
                f"expected {wanted.get(name, 'nothing')}"
            )
        tensor = tensors[name]
        if str(tensor.dtype) not in _WEIGHT_DTYPES:
            raise ModelCorruptError(
                f"{path}: {name} is {tensor.dtype}; weights are {', '.join(_WEIGHT_DTYPES)}"
            )
        if not tensor.isfinite().all():
            raise ModelCorruptError(f"{path}: {name} holds NaN or infinity; train it again")
        if name.endswith("running_var") and (tensor < 0).any():
            raise ModelCorruptError(f"{path}: {name} holds variances below 0; train it again")


def save(folder: Path, card: Card, network: nn.Module, *, half: bool = True) -> Card:
    """Write a model folder; returns the card with its checksum filled in.

    Args:
        folder: created if missing; an existing model in it is replaced.
        card: `weights_sha256` is ignored and computed anew.
        network: what `nets.create(card.network, ...)` gives.
        half: store floating-point weights as float16, which halves the file; a tensor whose values
            do not fit into its range stays as it is.

    Raises:
        ModelError: when the card could not be read back.
    """
    from safetensors.torch import save as serialise

    _checked(card, folder / CARD_FILE)
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    if half:
        state = {name: _halved(tensor) for name, tensor in state.items()}
    data = serialise({name: tensor.contiguous() for name, tensor in state.items()})
    card = dataclasses.replace(card, weights_sha256=hashlib.sha256(data).hexdigest())
    content = dataclasses.asdict(card) | {"classes": list(card.classes)}
    if card.sample_rate_hz is None:  # a card that says nothing new can be read by older programs
        del content["sample_rate_hz"]
    text = yaml.dump(
        content, Dumper=_CardDumper, sort_keys=False, allow_unicode=True, width=100,
        default_flow_style=None,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    # Weights first: a card that is newer than its weights never exists.
    write_bytes(folder / WEIGHTS_FILE, data, durable=True)
    write_bytes(folder / CARD_FILE, text.encode(), durable=True)
    return card


def round_as_stored(network: nn.Module) -> None:
    """Round weights in place to what `save` stores of them, so that what is measured is shipped."""
    state = network.state_dict()
    network.load_state_dict({name: _halved(tensor) for name, tensor in state.items()})


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """As float16, if it is floating-point and its values fit."""
    halved = tensor.half() if tensor.is_floating_point() else tensor
    return halved if halved.isfinite().all() else tensor
