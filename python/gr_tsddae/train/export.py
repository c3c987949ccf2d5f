# SPDX-License-Identifier: GPL-3.0-or-later
"""Export a model: a folder of another precision or name, or a program of torch.export.

The export is read again and compared with the original before it takes its place.
"""

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from gr_tsddae import zoo
from gr_tsddae.files import replacing
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.train.config import check_name

_TRIED_WINDOWS = 64
# Largest allowed change of a probability: by rounding float16 weights, and by another order of the
# same float32 sums.
TOLERANCE = {"float16": 0.02, "float32": 1e-5}


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Write a model in another form, and check that its outputs stay the same.

    Attributes:
        model: Name of a model, or its folder; a finished run's --out folder is one.
        out: Folder to write to; for pt2 a file that ends in .pt2.
        format: "model" is a folder for gr-tsddae. "pt2" is a program of torch.export that runs
            without gr-tsddae: unscaled windows, float32 (B, 2, L), to probabilities (B, K).
        precision: Precision of the weights of "model"; float16 halves the file. "pt2" is float32.
        name: New name; null keeps it.
        description: New description; null keeps it.
        licence: New SPDX identifier of the weights' licence; null keeps it.
    """

    model: str
    out: Path
    format: Literal["model", "pt2"] = "model"
    precision: Literal["float16", "float32"] = "float16"
    name: str | None = None
    description: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        changed = {k: v for k, v in self._changes().items() if k != "name"}
        if self.format == "pt2" and self.out.suffix != ".pt2":
            raise ValueError(f"out is {self.out}: a pt2 program is a file that ends in .pt2")
        if self.format == "pt2" and (changed or self.name is not None):
            raise ValueError("a pt2 program has no card: leave name, description and licence out")
        if self.name is not None:
            check_name(self.name)

    def _changes(self) -> dict[str, str]:
        names = ("name", "description", "licence")
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


class Program(nn.Module):
    """A whole model in one module: unscaled windows (B, 2, L) -> probabilities (B, K)."""

    def __init__(self, model: zoo.Model):
        super().__init__()
        self.scale = SCALINGS[model.card.scaling]
        self.network = model.network

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.network(self.scale(rows)).softmax(1)


def export(config: ExportConfig) -> float:
    """Run the command.

    Returns:
        The largest difference of a probability (or of a denoiser's output) on random windows.

    Raises:
        ValueError: The model cannot be written so, or its outputs change; then nothing is left at
            `out`.
    """
    model = zoo.load(config.model)
    if config.format == "pt2":
        return _export_program(model, config)
    return _export_folder(model, config)


def _export_folder(model: zoo.Model, config: ExportConfig) -> float:
    if config.out.resolve() == model.folder.resolve():
        raise ValueError(f"out is {config.out}, the model's own folder; choose another")
    half = config.precision == "float16"
    trial = copy.deepcopy(model.network)
    if half:  # as it will be read again
        zoo.round_as_stored(trial)
    difference = _difference(model, trial)
    _check(difference, TOLERANCE[config.precision], "float16 weights", "use --precision float32")
    card = dataclasses.replace(model.card, **config._changes())
    zoo.save(config.out, card, model.network, half=half)
    written = zoo.load(config.out)
    for name, value in written.network.state_dict().items():
        if not torch.equal(value, trial.state_dict()[name]):
            raise ValueError(f"{config.out}: {name} was not read as it was written; export again")
    size = (config.out / zoo.WEIGHTS_FILE).stat().st_size
    print(
        f"wrote {config.out}: {card.name}, {config.precision}, {size / 2**20:.2f} MiB, "
        f"outputs differ by at most {difference:.1e}"
    )
    return difference


def _export_program(model: zoo.Model, config: ExportConfig) -> float:
    zoo.need_classes(model.card)
    program = Program(model).eval()
    shape = (2, 2, model.card.window_samples)
    batch = torch.export.Dim("batch", max=2**31 - 1)  # torch 2.6 refuses one without a bound
    with torch.no_grad():
        exported = torch.export.export(
            program, (torch.zeros(shape),), dynamic_shapes={"rows": {0: batch}}
        )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(config.out) as partial:
        with partial.open("wb") as file:
            torch.export.save(exported, file)
        with partial.open("rb") as file:
            read = torch.export.load(file).module()
        rows = _windows(model.card)
        with torch.no_grad():
            difference = (read(rows) - program(rows)).abs().max().item()
        _check(difference, TOLERANCE["float32"], "the exported program", "use --format model")
    print(
        f"wrote {config.out}: (B, 2, {model.card.window_samples}) unscaled windows to "
        f"{len(model.card.classes)} probabilities ({', '.join(model.card.classes)}); "
        f"outputs differ by at most {difference:.1e}"
    )
    return difference


def _windows(card: zoo.Card) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(_TRIED_WINDOWS, 2, card.window_samples, generator=generator)


@torch.no_grad()
def _difference(model: zoo.Model, other: nn.Module) -> float:
    """Find the largest difference between two networks' outputs on random windows."""
    rows = SCALINGS[model.card.scaling](_windows(model.card))
    if model.card.task == zoo.DENOISING:
        step = torch.full((len(rows),), 4)
        pairs = zip(model.network(rows, step), other(rows, step), strict=True)
        return max((a - b).abs().max().item() for a, b in pairs)
    if model.card.task == zoo.FEATURES:
        return (model.network(rows) - other(rows)).abs().max().item()
    return (model.network(rows).softmax(1) - other(rows).softmax(1)).abs().max().item()


def _check(difference: float, limit: float, what: str, remedy: str) -> None:
    if not difference <= limit:
        raise ValueError(
            f"{what} change outputs by up to {difference:.2g}, more than {limit:g}; {remedy}"
        )
