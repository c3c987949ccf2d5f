# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapt a model to recordings of one's own, in minutes."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.files import write_json
from gr_tsddae.inference.device import resolve_device
from gr_tsddae.inference.metrics import metrics, rounded
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.labels import NOISE
from gr_tsddae.train.config import check_name, for_card
from gr_tsddae.train.learn.adapt import Adapted, adapt, disturb, outputs
from gr_tsddae.train.learn.calibration import calibrate
from gr_tsddae.train.learn.parts import PartLogits
from gr_tsddae.train.measure.details import summary_lines
from gr_tsddae.train.run.lock import alone_in
from gr_tsddae.train.windows.feed import Batch, seed_of
from gr_tsddae.train.windows.own_windows import OwnWindows, Subset
from gr_tsddae.zoo.lineage import ancestry, joint_licence

log = logging.getLogger(__name__)

ADDED_NOISE_DB = (20, 10, 0)  # SNRs of further measurements, with noise added
PAUSES = 0.1  # when more of a class is called noise, its recordings hold pauses


@dataclass(frozen=True, kw_only=True)
class TeachConfig:
    """Teach a model what is in your own recordings, in minutes.

    Attributes:
        captures: Folder with one folder of recordings per class, or with annotated SigMF.
        base: Name or folder of the model to start from; the new model has its window length.
        out: Model folder to write; a running block can load it at once.
        name: Name of the new model; null for the name of the folder `out`.
        shots: Windows per class to learn from, spread evenly over its recordings.
        noise_class: Add a class "noise" of white noise, since a receiver mostly hears nothing.
            Recordings in a folder "noise" take its place.
        gate_db: Leave out the pauses between bursts: windows so many dB weaker than the strongest
            of their recording, unless they are labelled "noise"; null keeps all.
        epochs: Epochs of training the whole network after the new head; 0 trains the head alone.
        learning_rate: Highest learning rate of the whole network.
        frequency_shift: While learning, shift windows by at most so many cycles per sample.
        snr_db: While learning, add white noise at these SNRs, from the lowest to the highest.
        options: Options of the reader of recordings, e.g. {dtype: ci8, sample_rate_hz: 2e6}.
        strict: Refuse a recording that has a fault of any kind, or cannot be read.
        device: "auto" (a GPU when torch sees one), "cpu" or "cuda".
        threads: Threads of the CPU. More than one helps large networks on idle machines only.
        seed: Seed of split, weights, order and noise.
    """

    captures: Path
    base: str
    out: Path
    name: str | None = None
    shots: int = 100
    noise_class: bool = True
    gate_db: float | None = 20.0
    epochs: int = 10
    learning_rate: float = 1e-3
    frequency_shift: float = 0.01
    snr_db: tuple[float, float] = (0.0, 30.0)
    options: dict[str, Any] = field(default_factory=dict)
    strict: bool = False
    device: str = "auto"
    threads: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        for name, limit in (("shots", 1), ("epochs", 0), ("threads", 1), ("seed", 0)):
            if getattr(self, name) < limit:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least {limit}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: it must be over 0")
        if not 0 <= self.frequency_shift <= 0.5:
            raise ValueError(
                f"frequency_shift is {self.frequency_shift} cycles/sample: it must be from 0 to 0.5"
            )
        if not self.snr_db[0] <= self.snr_db[1]:
            raise ValueError(f"snr_db is {self.snr_db}: give the lowest and the highest")
        if self.gate_db is not None and not self.gate_db > 0:
            raise ValueError(f"gate_db is {self.gate_db}: it must be over 0, or null")
        resolve_device(self.device)
        if "window_samples" in self.options:
            raise ValueError("options.window_samples is the base model's; leave it out")
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"out {self.out} is a file; give a folder")
        check_name(self.model_name)

    @property
    def model_name(self) -> str:
        return self.out.resolve().name if self.name is None else self.name


def teach(config: TeachConfig) -> zoo.Card:
    """Read recordings, adapt a model to them, measure it, and write its folder.

    Returns:
        The card of the new model.

    Raises:
        ValueError: Model or recordings cannot be used; the message says what to do.
    """
    started = time.monotonic()
    base = zoo.load(config.base)
    if base.folder.resolve() == config.out.resolve():
        raise ValueError(f"out is {config.out}, the folder of base: choose another")
    windows = OwnWindows(
        config.captures,
        window_samples=base.card.window_samples,
        shots=config.shots,
        gate_db=config.gate_db,
        noise_class=config.noise_class,
        options=({"strict": True} if config.strict else {}) | config.options,
        seed=config.seed,
    )
    for line in windows.lines():
        log.info("%s", line)
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        with alone_in(config.out):
            card = _teach(config, base, windows)
    finally:
        torch.set_num_threads(threads)
    log.info("wrote %s after %.0f s", config.out, time.monotonic() - started)
    return card


def _teach(config: TeachConfig, base: zoo.Model, windows: OwnWindows) -> zoo.Card:
    scaled = SCALINGS[base.card.scaling]
    change = partial(disturb, frequency_shift=config.frequency_shift, snr_db=config.snr_db)
    device = resolve_device(config.device)

    def batch(name: str) -> Batch:
        part = windows.subset(name)
        return scaled(part.rows.to(device)), part.label.to(device)

    torch.manual_seed(config.seed)
    validation = batch("validation")
    adapted = adapt(
        _on_the_encoder_of(base, len(windows.classes)).to(device),
        batch("train"),
        validation,
        lambda rows, generator: scaled(change(rows, generator)),
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        seed=config.seed,
    )
    log.info("%s", _verdict(adapted))
    network = adapted.network
    # The weights are calibrated and measured as they are stored.
    zoo.round_as_stored(network)
    calibration = calibrate(network, outputs(PartLogits(network), validation[0]), validation[1])
    zoo.round_as_stored(network)  # the last layer has changed
    test = windows.subset("test")
    accuracy = _measured(network, test, windows.classes, scaled, config.seed)
    for line in _result_lines(accuracy):
        log.info("%s", line)
    card = zoo.save(
        config.out,
        zoo.Card(
            name=config.model_name,
            task=windows.dataset.task,
            network=base.card.network,
            network_options=base.card.network_options,
            classes=windows.classes,
            window_samples=base.card.window_samples,
            scaling=base.card.scaling,
            samples_per_symbol=None,
            sample_rate_hz=windows.dataset.sample_rate_hz,
            weights_sha256="",
            licence=_licence(base.card.licence, windows.dataset.licence),
            description=f"{len(windows.classes)} classes, taught to {base.card.name} from "
            "recordings.",
            training=for_card(config)
            | {
                "data": f"captures, {config.captures.name}",
                "data_licence": windows.dataset.licence,
                "sample_rate_hz": windows.sample_rate_hz,
                **ancestry(base.card),
                "recordings": windows.recordings(),
                "windows": windows.counts(),
                "left_out": windows.left_out,
                "kept": adapted.kept,
                "validation_recall": {
                    "head": rounded(adapted.head.recall),
                    "encoder": adapted.encoder and rounded(adapted.encoder.recall),
                },
                "calibration": calibration,
            },
            accuracy=accuracy,
        ),
        network,
    )
    write_json(config.out / "metrics.json", {"model": card.name, **accuracy})
    return card


def _licence(base: str, recordings: str) -> str:
    """Combine licences; recordings that state none are taken for one's own."""
    return base if recordings == "unknown" else joint_licence(base, recordings)


def _on_the_encoder_of(base: zoo.Model, class_count: int) -> nn.Module:
    """Make a classifier with a new head; the base may be a classifier or pre-trained."""
    options = {"window_samples": base.card.window_samples, **base.card.network_options}
    network = nets.create(base.card.network, class_count=class_count, **options)
    network.backbone.load_state_dict(base.network.backbone.state_dict())
    return network.eval()


def _measured(
    network: nn.Module,
    test: Subset,
    classes: tuple[str, ...],
    scaled: Callable[[torch.Tensor], torch.Tensor],
    seed: int,
) -> dict[str, Any]:
    """Compute `metrics` on windows as recorded, and the accuracy with noise added to them."""
    device = next(network.parameters()).device

    def probability(rows: torch.Tensor) -> torch.Tensor:
        return outputs(network, scaled(rows.to(device))).softmax(1).cpu()

    result = metrics(probability(test.rows), test.label, None, classes, group=test.group)
    in_noise = {}
    for snr_db in ADDED_NOISE_DB:
        generator = torch.Generator().manual_seed(seed_of("measure", snr_db, seed))
        rows = disturb(test.rows, generator, frequency_shift=0, snr_db=(snr_db, snr_db))
        right = probability(rows).argmax(1) == test.label
        in_noise[snr_db] = rounded(right.double().mean())
    return result | {"accuracy_with_noise_added_at_snr_db": in_noise}


def _verdict(adapted: Adapted) -> str:
    """Say which network was kept, and by how much it was better."""
    head = f"head on the base's encoder: {100 * adapted.head.recall:.1f} %"
    if adapted.encoder is None:
        return f"validation, as recorded and disturbed: {head}"
    points = 100 * (adapted.encoder.recall - adapted.head.recall)
    kept = {"encoder": "the trained encoder", "head": "the base's encoder"}[adapted.kept]
    return (
        f"validation, as recorded and disturbed: {head}; encoder trained too: "
        f"{100 * adapted.encoder.recall:.1f} %, {points:+.1f} points; kept {kept}"
    )


def _result_lines(accuracy: dict[str, Any]) -> list[str]:
    """Format confusion matrix, recall and scores for a terminal."""
    classes = accuracy["classes"]
    width = max(7, *map(len, classes)) + 1
    lines = [
        "measured on moments that were not learned from; rows are true, columns are called:",
        " " * width + "".join(f"{name:>{width}}" for name in classes) + f"{'recall':>9}",
    ]
    for name, row in zip(classes, accuracy["confusion"], strict=True):
        counts = "".join(f"{count:>{width}}" for count in row)
        lines.append(f"{name:<{width}}{counts}{100 * accuracy['recall'][name]:>7.1f} %")
    lines += summary_lines(accuracy)
    shares = accuracy["accuracy_with_noise_added_at_snr_db"].items()
    lines.append(
        "with noise added: " + ", ".join(f"{100 * s:.1f} % at {snr} dB" for snr, s in shares)
    )
    if NOISE in classes:
        noise = classes.index(NOISE)
        for name, row in zip(classes, accuracy["confusion"], strict=True):
            if name != NOISE and row[noise] > PAUSES * sum(row):
                lines.append(
                    f"warning: {100 * row[noise] / sum(row):.0f} % of {name} looks like noise: "
                    "are there pauses in it? annotate the bursts, or give a smaller --gate_db"
                )
    return lines
