# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders with `card.yaml` and `model.safetensors`: find one, load it, save one.

Nothing here can run code from a file: safetensors reads the weights, and the network is one of
`gr_tsddae.nets`. Whatever does not fit is an error that says what to do. Nothing is guessed,
skipped or downloaded.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gr_tsddae.files import write_bytes
from gr_tsddae.missing import check_torch
from gr_tsddae.zoo.card import CARD_FILE, DENOISING, FEATURES, Card, as_yaml, check, read_card
from gr_tsddae.zoo.errors import ModelCorruptError, ModelMismatchError, ModelNotFoundError

if TYPE_CHECKING:
    import torch
    from torch import nn

WEIGHTS_FILE = "model.safetensors"
PATH_VARIABLE = "GR_TSDDAE_MODELS"  # folders with models of one's own, separated like PATH
_WEIGHT_DTYPES = (
    "torch.float16",
    "torch.bfloat16",
    "torch.float32",
    "torch.float64",
    "torch.int64",
)


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode, and its card."""

    card: Card
    network: nn.Module
    folder: Path


def user_folder() -> Path:
    """Return the folder for models of a user's own, by the XDG Base Directory Specification."""
    data = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data) if os.path.isabs(data) else Path("~/.local/share").expanduser()
    return base / "gr-tsddae" / "models"


def search_path() -> list[Path]:
    """List the folders that are searched for models; the first match wins."""
    own = [Path(p).expanduser() for p in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if p]
    return [*own, user_folder(), *_shipped_folders()]


def _shipped_folders() -> list[Path]:
    package = Path(__file__).resolve().parents[1]
    # Installed, models lie inside the package; in a checkout, beside python/.
    return [package / "models", package.parent.parent / "models"]


def is_shipped(folder: Path) -> bool:
    """Tell whether a model's folder is one of those that come with the package."""
    return folder.parent in _shipped_folders()


def names() -> list[str]:
    """List the names of all models that can be found, sorted."""
    return sorted(
        {card.parent.name for folder in search_path() for card in folder.glob(f"*/{CARD_FILE}")}
    )


def find(name_or_folder: str | os.PathLike[str]) -> Path:
    """Find a model's folder, given its name or the folder itself.

    Raises:
        ModelNotFoundError: If there is none.
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
    close = difflib.get_close_matches(text, names(), 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ModelNotFoundError(
        f"no model {text!r}{hint}: it is neither a folder with a {CARD_FILE} nor one of the models "
        f"found here ({', '.join(names()) or 'none'}); models of your own go into "
        f"{user_folder()}, or into a folder that the environment variable {PATH_VARIABLE} names"
    )


def is_model(name_or_folder: str | os.PathLike[str]) -> bool:
    """Tell whether `find` finds a model; Companion asks it about the parameter Model."""
    try:
        find(name_or_folder)
    except ModelNotFoundError:
        return False
    return True


def load(name_or_folder: str | os.PathLike[str]) -> Model:
    """Load a network: on the CPU, float32, in evaluation mode.

    Args:
        name_or_folder: A name from `names()`, or a folder with card.yaml and model.safetensors.

    Raises:
        ModelError: One of its kinds, with a message for the user.
    """
    import torch

    check_torch(torch.__version__)
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    folder = find(name_or_folder)
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    try:
        tensors = parse(read_weights(folder, card))
    except SafetensorError as error:
        raise ModelCorruptError(f"{path} is not a safetensors file: {error}") from error
    with torch.device("meta"):  # shapes without memory, which a wrong card could ask too much of
        _check_tensors(tensors, _built(card, folder), path, card)
    network = _built(card, folder)
    network.load_state_dict({name: t.to(torch.float32) for name, t in tensors.items()})
    return Model(card, network.eval().requires_grad_(False), folder)


def read_weights(folder: Path, card: Card) -> bytes:
    """Read the weights of a model, and compare them with the checksum of its card.

    Raises:
        ModelNotFoundError: If there are none, or they cannot be read.
        ModelCorruptError: If they are not those of the card.
    """
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
    return data


def _built(card: Card, folder: Path) -> nn.Module:
    """Build the network of a card, with weights of no meaning."""
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
    """Write a model folder.

    Args:
        folder: Created if missing; an existing model in it is replaced.
        card: Its `weights_sha256` is computed anew.
        network: Made by `nets.create(card.network, ...)`.
        half: Whether floating-point weights are stored as float16, which halves the file; a tensor
            whose values do not fit into its range stays as it is.

    Returns:
        The card with its checksum.

    Raises:
        ModelError: If the card could not be read back.
        OSError: If a file cannot be written.
    """
    from safetensors.torch import save as serialise

    check(card, folder / CARD_FILE)
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    if half:
        state = {name: _halved(tensor) for name, tensor in state.items()}
    data = serialise({name: tensor.contiguous() for name, tensor in state.items()})
    card = dataclasses.replace(card, weights_sha256=hashlib.sha256(data).hexdigest())
    text = as_yaml(card)
    folder.mkdir(parents=True, exist_ok=True)
    # Weights first: a card that is newer than its weights never exists.
    write_bytes(folder / WEIGHTS_FILE, data, durable=True)
    write_bytes(folder / CARD_FILE, text.encode(), durable=True)
    return card


def round_as_stored(network: nn.Module) -> None:
    """Round weights in place as `save` does, so that the weights measured are the ones shipped."""
    state = network.state_dict()
    network.load_state_dict({name: _halved(tensor) for name, tensor in state.items()})


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """Convert to float16, if the tensor is floating-point and its values fit."""
    halved = tensor.half() if tensor.is_floating_point() else tensor
    return halved if halved.isfinite().all() else tensor
