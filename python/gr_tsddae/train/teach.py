# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapt a model to recordings of one's own, in minutes."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.files import write_json
from gr_tsddae.inference.device import resolve_device
from gr_tsddae.inference.metrics import metrics, rounded
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.labels import NOISE
from gr_tsddae.survey import DEFAULT_MODEL
from gr_tsddae.train.config import check_name, for_card
from gr_tsddae.train.learn.adapt import Adapted, adapt, disturb, outputs
from gr_tsddae.train.learn.another_day import another_day
from gr_tsddae.train.learn.calibration import calibrate
from gr_tsddae.train.learn.extend import MORE_UNITS, extend, favour_old, with_more_classes
from gr_tsddae.train.learn.parts import PartLogits
from gr_tsddae.train.measure.bursts import burst_lines, by_burst
from gr_tsddae.train.measure.by_survey import by_survey, survey_lines
from gr_tsddae.train.measure.details import summary_lines
from gr_tsddae.train.measure.taught import Old, rejection_from
from gr_tsddae.train.run.lock import alone_in
from gr_tsddae.train.windows.feed import Batch, seed_of
from gr_tsddae.train.windows.on_air import OnAir
from gr_tsddae.train.windows.own_windows import OwnWindows, Subset
from gr_tsddae.train.windows.parts import spread
from gr_tsddae.train.windows.rehearsal import KEPT_TO_MEASURE, KEPT_WINDOWS, Kept, write_kept
from gr_tsddae.zoo.lineage import ancestry, joint_licence

log = logging.getLogger(__name__)

ADDED_NOISE_DB = (20, 10, 0)  # SNRs of further measurements, with noise added
PAUSES = 0.1  # when more of a class is called noise, its recordings hold pauses


@dataclass(frozen=True, kw_only=True)
class TeachConfig:
    """Teach a model what is in your own recordings, in minutes.

    Attributes:
        captures: Folder with one folder of recordings per class, or with annotated SigMF.
        base: Name or folder of the model to start from; the new model has its window length. With
            amc-nano and its kin, all recordings have one signal near 0 Hz and one sample rate.
        out: Model folder to write; a running block can load it at once.
        name: Name of the new model; null for the name of the folder `out`.
        shots: Windows per class to learn from, spread evenly over its recordings.
        noise_class: Add a class "noise" of pauses and made noise, since a receiver mostly hears
            nothing. Recordings in a folder "noise" take the place of made noise.
        keep: Keep the classes of the base, which are rehearsed while learning; yours are added.
            The base must be a model for surveys, such as air-small; its encoder stays as it is.
        measure: Parts of paths of recordings that measure and are not learned from, where their
            class has others; null draws a third of the recordings of each class.
        gate_db: How much weaker than its signal a pause is, at least. Pauses are noise, unless
            noise_class is false; null looks for no pauses.
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
    base: str = DEFAULT_MODEL
    out: Path
    name: str | None = None
    shots: int = 100
    noise_class: bool = True
    keep: bool = False
    measure: list[str] | None = None
    gate_db: float | None = 5.0
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


def teach(config: TeachConfig, cut: OnAir | None = None) -> zoo.Card:
    """Read recordings, adapt a model to them, measure it, and write its folder.

    Args:
        cut: The windows of the recordings, where they were cut already.

    Returns:
        The card of the new model.

    Raises:
        ValueError: Model or recordings cannot be used; the message says what to do.
    """
    started = time.monotonic()
    base = zoo.load(config.base)
    if base.folder.resolve() == config.out.resolve():
        raise ValueError(f"out is {config.out}, the folder of base: choose another")
    if config.keep and not (base.card.bandwidth_multiple and base.card.classes):
        raise ValueError(
            f"keep needs a base that was made for surveys, such as {DEFAULT_MODEL}: the classes of "
            f"{base.card.name} cannot be rehearsed; choose that base, or leave keep out"
        )
    windows = OwnWindows(
        config.captures,
        card=base.card,
        shots=config.shots,
        gate_db=config.gate_db,
        noise_class=config.noise_class or config.keep,
        options=({"strict": True} if config.strict else {}) | config.options,
        measure=config.measure,
        fewest_classes=1 if config.keep else 2,
        cut=cut,
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
    old = Old(base, windows.classes, config.seed) if config.keep else None
    classes = old.classes if old else windows.classes
    scaled = SCALINGS[base.card.scaling]
    change = partial(
        another_day,
        frequency_shift=config.frequency_shift,
        snr_db=config.snr_db,
        bandwidth_multiple=base.card.bandwidth_multiple,
    )
    device = resolve_device(config.device)

    def batch(name: str) -> Batch:
        part = windows.subset(name)
        if old is None:
            return scaled(part.rows.to(device)), part.label.to(device)
        mine = _taught_in(windows, part)
        return scaled(part.rows[mine].to(device)), old.label_of[part.label[mine]].to(device)

    def disturbed(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return scaled(change(rows, generator))

    torch.manual_seed(config.seed)
    train, validation = batch("train"), batch("validation")
    more_units = 0 if old is None else MORE_UNITS
    network = _on_the_encoder_of(base, len(classes), more_units).to(device)
    network_options = base.card.network_options
    learning: dict[str, Any] = {}
    if old is None:
        adapted = adapt(
            network, train, validation, disturbed, epochs=config.epochs,
            learning_rate=config.learning_rate, seed=config.seed,
        )  # fmt: skip
        log.info("%s", _verdict(adapted))
        network = adapted.network
        learning = {
            "kept": adapted.kept,
            "validation_recall": {
                "head": rounded(adapted.head.recall),
                "encoder": adapted.encoder and rounded(adapted.encoder.recall),
            },
        }
    else:
        known_to_base = base.network.to(device)
        network = extend(
            with_more_classes(known_to_base, network), known_to_base, train,
            old.rehearsal(disturbed, scaled, device), disturbed, seed=config.seed,
        )  # fmt: skip
        favour_old(network, validation, range(len(base.card.classes), len(classes)))
        network_options = {**network_options, "head_width": network.head[0].out_features}
    # The weights are calibrated and measured as they are stored.
    zoo.round_as_stored(network)
    known = validation
    if old is None:
        calibration = calibrate(network, outputs(PartLogits(network), known[0]), known[1])
        zoo.round_as_stored(network)  # the last layer has changed
        learning["calibration"] = calibration
    else:
        known = old.with_some(validation, scaled, device)  # calibrated as the base is
    generator = torch.Generator(device).manual_seed(seed_of("rejection", config.seed))
    rejection, rule = {}, None  # that of the base was measured for its own weights
    if base.card.bandwidth_multiple:
        rejection, rule = rejection_from(network, known, disturbed(known[0], generator))
    test = windows.subset("test")
    test = test if old is None else dataclasses.replace(test, label=old.label_of[test.label])
    accuracy = _measured(network, test, classes, scaled, config.seed)
    pauses_db = config.gate_db if NOISE in classes else None
    card = zoo.Card(
        name=config.model_name,
        task=base.card.task if old else windows.task,
        network=base.card.network,
        network_options=network_options,
        classes=classes,
        window_samples=base.card.window_samples,
        scaling=base.card.scaling,
        samples_per_symbol=None,
        bandwidth_multiple=base.card.bandwidth_multiple,
        sample_rate_hz=windows.sample_rate_hz,
        rejection=rejection,
        measured=_measured_facts(base.card, windows, old),
        pauses_db=pauses_db,
        weights_sha256="",
        licence=_licence(base.card.licence, windows.licence),
        description=f"{len(classes)} classes, {len(windows.classes)} of them taught to "
        f"{base.card.name} from recordings.",
        training=for_card(config)
        | {
            "data": f"captures, {config.captures.name}",
            "data_licence": windows.licence,
            "sample_rate_hz": windows.sample_rate_hz,
            **ancestry(base.card),
            "recordings": windows.recordings(),
            "windows": windows.counts(),
            "left_out": windows.left_out,
            "rehearsed": old.synthetic if old else [],
            **learning,
        },
    )
    labels = [classes[i] for i in old.label_of.tolist()] if old else windows.classes
    surveyed = _surveyed(card, network, windows, labels, config.device)
    found = by_burst(
        outputs(network, scaled(test.rows.to(device))).cpu().numpy(),
        *(part.numpy() for part in (test.label, test.group, test.recording)),
        classes=classes, names=windows.names, apart=windows.apart, rejection=rule,
        power=test.rows.square().sum(1).mean(1).numpy(), at_s=test.at_s.numpy(),
        pauses_db=pauses_db,
    )  # fmt: skip
    accuracy |= {"by_burst": found, "by_survey": surveyed}
    for line in (*survey_lines(surveyed), *burst_lines(found), *_result_lines(accuracy)):
        log.info("%s", line)
    if old is not None:
        accuracy["base_classes"] = old.compared(network, scaled, device)
    card = zoo.save(config.out, dataclasses.replace(card, accuracy=accuracy), network)
    if base.card.bandwidth_multiple:
        write_kept(config.out, _to_keep(windows, classes, old))
    write_json(config.out / "metrics.json", {"model": card.name, **accuracy})
    return card


def _measured_facts(
    base: zoo.Card, windows: OwnWindows, old: Old | None
) -> dict[str, list[dict[str, Any]]]:
    """List what the survey measured of taught classes, with those that the base was taught."""
    if not base.bandwidth_multiple:
        return {}
    new = windows.measured()
    if old is None:
        # The network was shown as much noise as signal; a survey finds little of it.
        return new | ({NOISE: []} if NOISE in windows.classes else {})
    found = dict(base.measured)
    for number, name in enumerate(windows.classes):
        known = old.classes[int(old.label_of[number])]
        # What a synthetic class of the base may be like, no recording of it tells.
        if name in new and (known in base.measured or known not in base.classes):
            found[known] = [*found.get(known, []), *new[name]]
    return found


def _surveyed(
    card: zoo.Card, network: nn.Module, windows: OwnWindows, labels: Sequence[str], device: str
) -> dict[str, Any] | None:
    """Ask the model, as it is stored, about the emissions of recordings not learned from."""
    heard = [each for each in windows.heard if each.recording in windows.apart]
    if not heard:
        return None
    with tempfile.TemporaryDirectory() as folder:
        zoo.save(Path(folder), card, network)
        recognizer = Recognizer(folder, device=device, engine="eager")
        return by_survey(recognizer, heard, labels, windows.names)


def _taught_in(windows: OwnWindows, part: Subset) -> torch.Tensor:
    """Tell the windows that add to a model of more classes: pauses do not, bool (N,).

    The base has its own noise. It would lose weak signals to pauses, which their level tells.
    """
    if NOISE in windows.recordings():
        return torch.ones(len(part.label), dtype=torch.bool)
    return part.label != windows.classes.index(NOISE)


def _to_keep(windows: OwnWindows, classes: tuple[str, ...], old: Old | None) -> Kept:
    """Choose windows that a later `teach --keep` rehearses and measures: old ones and new ones."""
    found = [old.kept] if old else []
    for part, most in (("train", KEPT_WINDOWS), ("test", KEPT_TO_MEASURE)):
        subset = windows.subset(part)
        label = subset.label if old is None else old.label_of[subset.label]
        label, recording = label.numpy(), subset.recording.numpy()
        taught = np.ones(len(label), bool) if old is None else _taught_in(windows, subset).numpy()
        taught = np.flatnonzero(taught)
        which = taught[spread(label[taught], recording[taught], most)]
        names = np.array(classes)[label[which]]
        found.append(Kept(subset.rows.numpy()[which], names, np.full(len(which), part == "test")))
    return Kept(*map(np.concatenate, zip(*found, strict=True)))


def _licence(base: str, recordings: str) -> str:
    """Combine licences; recordings that state none are taken for one's own."""
    return base if recordings == "unknown" else joint_licence(base, recordings)


def _on_the_encoder_of(base: zoo.Model, class_count: int, more_units: int = 0) -> nn.Module:
    """Make a classifier with a new head; the base may be a classifier or pre-trained."""
    options = {"window_samples": base.card.window_samples, **base.card.network_options}
    if more_units:
        options["head_width"] = base.network.head[0].out_features + more_units
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
    table = np.array(accuracy["confusion"])
    rows, columns = np.flatnonzero(table.any(1)), np.flatnonzero(table.any(0) | table.any(1))
    width = max(7, *map(len, classes)) + 1
    lines = [
        "by window, of moments that were not learned from; rows are true, columns are called:",
        " " * width + "".join(f"{classes[i]:>{width}}" for i in columns) + f"{'recall':>9}",
    ]
    for number in rows:
        name, counts = classes[number], "".join(f"{n:>{width}}" for n in table[number, columns])
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
