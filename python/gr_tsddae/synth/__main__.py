# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae synth`: data sets from nothing, in the layouts of the released files."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gr_tsddae.command import Parser, exit_status, number, one_line, whole
from gr_tsddae.files import creating
from gr_tsddae.labels import NOISE
from gr_tsddae.progress import Progress
from gr_tsddae.synth import CLASSES, RECIPES, air, draw, recordings
from gr_tsddae.synth.modulators_2018 import CLASSES_2018, draw_2018
from gr_tsddae.synth.recording_files import write_iq, write_npz, write_sigmf
from gr_tsddae.synth.rml_files import sum_one, write_rml2016, write_rml2018
from gr_tsddae.synth.scene import SCENES, make_scene
from gr_tsddae.synth.scene.files import write_scene

BATCH = 500  # windows drawn at once
RML2016_SAMPLES = 128
LONG_SAMPLES = 1024  # windows of RML2018 and ICARUS
RML2016_CLASSES = tuple(name for name in CLASSES if name != NOISE)
RML2016B_CLASSES = tuple(name for name in RML2016_CLASSES if name != "AM-SSB")
# The released 2016.04C holds 162060 windows under 220 keys, so 737 of 1000 on average; how many
# under which key is drawn here, it is not the original's.
RML2016C_LEAST_SHARE = 0.474
ICARUS_WINDOWS_PER_RECORDING = 50


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = Parser(
        prog="tsddae synth",
        description="Write synthetic data sets in the layouts of the released files. The same "
        "options and seed give the same file. Nothing is overwritten.",
    )
    kinds = top.add_subparsers(dest="kind", required=True, metavar="KIND")
    _add_rml2016(kinds, "rml2016a", "RML2016.10A: a pickle of 11 classes", "OUT.pkl")
    _add_rml2016(kinds, "rml2016b", "RML2016.10B: a pickle of 10 classes", "OUT.dat", windows=6000)
    _add_rml2016(
        kinds, "rml2016c", "RML2016.04C: a pickle of 11 classes, of varying counts", "OUT.pkl"
    )
    text = "RML2018.01A: HDF5 of 24 classes (21 GB at its full size)"
    rml2018 = _add(kinds, "rml2018", text, "OUT.hdf5", _rml2018)
    _add_levels(rml2018, (-20, 30, 2), windows=4096)
    text = "any signal of the air at four times its bandwidth: an .npz of 19 classes"
    _add_levels(_add(kinds, "air", text, "OUT.npz", _air), (0, 30, 10), windows=50)
    _add_techrec(kinds)
    text = "ICARUS: LTE with and without a DSSS underlay"
    icarus = _add(kinds, "icarus", text, "OUT", _icarus)
    icarus.add_argument(
        "--windows",
        type=_count,
        default=2000,
        help="windows per label and SIR, rounded up to whole recordings",
    )
    icarus.add_argument(
        "--sigmf", action="store_true", help="write a folder of SigMF recordings instead of an .npz"
    )
    _add_scene(kinds)
    return top


def _add(
    kinds: Any,
    kind: str,
    text: str,
    out: str,
    write: Callable[[argparse.Namespace, torch.Generator], None],
) -> argparse.ArgumentParser:
    """Add a kind of data set, which `write` writes."""
    command = kinds.add_parser(
        kind,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument(
        "out", type=Path, metavar=out, help="file or folder to write; it must not exist"
    )
    command.add_argument("--seed", type=whole, default=1, help="seed of all random values")
    command.set_defaults(write=write)
    return command


def _add_levels(
    command: argparse.ArgumentParser, snrs_db: tuple[int, int, int], *, windows: int
) -> None:
    command.add_argument(
        "--windows", type=_count, default=windows, help="most windows per class and SNR"
    )
    command.add_argument(
        "--snrs",
        type=whole,
        nargs=3,
        default=snrs_db,
        metavar=("LOW", "HIGH", "STEP"),
        help="labelled SNRs in dB, both ends included",
    )


def _add_rml2016(kinds: Any, kind: str, text: str, out: str, *, windows: int = 1000) -> None:
    command = _add(kinds, kind, text, out, _rml2016)
    _add_levels(command, (-20, 18, 2), windows=windows)
    command.add_argument(
        "--recipe",
        choices=sorted(name for name, each in RECIPES.items() if each.classes == CLASSES),
        default="as-released",
        help="as-released has the flaws of the released files; clean has none, and no channel",
    )


def _add_techrec(kinds: Any) -> None:
    text = "TechRec: a folder of LTE, DVB-T and Wi-Fi .bin"
    command = _add(kinds, "techrec", text, "OUT_DIR", _techrec)
    command.add_argument("--seconds", type=number, default=0.2, help="duration of each recording")
    command.add_argument(
        "--runs", type=_count, default=3, help="number of recordings of each technology"
    )


def _add_scene(kinds: Any) -> None:
    text = "a wide recording of many emitters, in SigMF with its truth"
    command = _add(kinds, "scene", text, "OUT", _scene)
    command.add_argument("--seconds", type=number, default=2.0, help="duration")
    command.add_argument("--rate", type=number, default=2.4e6, help="sample rate in Hz")
    command.add_argument("--emitters", type=whole, default=8, help="number of emitters")
    command.add_argument("--recipe", choices=sorted(SCENES), default="mixed", help="kind of scene")
    command.add_argument(
        "--snr",
        type=number,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range of SNR in dB, instead of the recipe's",
    )
    command.add_argument("--dtype", choices=("cu8", "cf32"), default="cu8", help="sample format")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too few: at least 1")
    return value


def _levels_db(arguments: argparse.Namespace) -> range:
    low, high, step = arguments.snrs
    if step < 1 or high < low:
        raise ValueError(f"--snrs {low} {high} {step}: LOW may not exceed HIGH, STEP is at least 1")
    return range(low, high + 1, step)


def _batches(count: int) -> Iterator[int]:
    for start in range(0, count, BATCH):
        yield min(BATCH, count - start)


def _rml2016(arguments: argparse.Namespace, generator: torch.Generator) -> None:
    names = RML2016B_CLASSES if arguments.kind == "rml2016b" else RML2016_CLASSES
    keys = [(name, snr_db) for name in names for snr_db in _levels_db(arguments)]
    counts = torch.full((len(keys),), arguments.windows)
    if arguments.kind == "rml2016c":
        share = torch.rand(len(keys), generator=generator)
        share = RML2016C_LEAST_SHARE + (1 - RML2016C_LEAST_SHARE) * share
        counts = (arguments.windows * share).ceil().long()

    def items() -> Iterator[tuple[tuple[str, int], np.ndarray]]:
        with Progress("drawing", "window", int(counts.sum())) as bar:
            for (name, snr_db), count in zip(keys, counts.tolist(), strict=True):
                parts = []
                for size in _batches(count):
                    rows = draw(
                        RECIPES[arguments.recipe],
                        torch.full((size,), CLASSES.index(name)),
                        torch.full((size,), float(snr_db)),
                        window_samples=RML2016_SAMPLES,
                        generator=generator,
                    )
                    parts.append(sum_one(rows.numpy()))
                    bar.update(size)
                yield (name, snr_db), np.concatenate(parts)

    write_rml2016(arguments.out, items(), int(counts.sum()) * 8 * RML2016_SAMPLES)


def _rml2018(arguments: argparse.Namespace, generator: torch.Generator) -> None:
    levels_db = _levels_db(arguments)
    windows = len(CLASSES_2018) * len(levels_db) * arguments.windows

    def slices() -> Iterator[tuple[int, int, np.ndarray]]:
        with Progress("drawing", "window", windows) as bar:
            for label in range(len(CLASSES_2018)):
                for level_db in levels_db:
                    for size in _batches(arguments.windows):
                        rows = draw_2018(
                            torch.full((size,), label),
                            torch.full((size,), float(level_db)),
                            window_samples=LONG_SAMPLES,
                            generator=generator,
                        )
                        yield label, level_db, rows.numpy()
                        bar.update(size)

    write_rml2018(
        arguments.out,
        slices(),
        windows=windows,
        window_samples=LONG_SAMPLES,
        class_count=len(CLASSES_2018),
    )


def _air(arguments: argparse.Namespace, generator: torch.Generator) -> None:
    keys = [(name, snr_db) for name in air.CLASSES for snr_db in _levels_db(arguments)]
    count = len(keys) * arguments.windows
    rows = np.empty((count, 2, LONG_SAMPLES), np.float32)
    with Progress("drawing", "window", count) as bar:
        for number, (name, snr_db) in enumerate(keys):
            first = number * arguments.windows
            for size in _batches(arguments.windows):
                drawn = draw(
                    RECIPES["air"],
                    torch.full((size,), air.CLASSES.index(name)),
                    torch.full((size,), float(snr_db)),
                    window_samples=LONG_SAMPLES,
                    generator=generator,
                )
                rows[first : first + size] = drawn.numpy()
                first += size
                bar.update(size)
    names, snrs_db = zip(*keys, strict=True)
    with creating(arguments.out, rows.nbytes) as partial, partial.open("wb") as file:
        np.savez(
            file,
            X=rows,
            y=np.repeat(names, arguments.windows),
            snr=np.repeat(snrs_db, arguments.windows),
        )


def _techrec(arguments: argparse.Namespace, generator: torch.Generator) -> None:
    if not 0 < arguments.seconds <= recordings.MAX_RECORDING_S:
        raise ValueError(
            f"--seconds is {arguments.seconds}: a recording lasts up to "
            f"{recordings.MAX_RECORDING_S:g} s; ask for more --runs instead"
        )
    samples = max(1, round(arguments.seconds * recordings.TECHREC_RATE_HZ))
    _check_new_folder(arguments.out)
    with Progress("drawing", "recording", arguments.runs * len(recordings.TECHREC)) as bar:
        for run in range(1, arguments.runs + 1):
            for technology in recordings.TECHREC:
                iq = recordings.techrec_recording(technology, samples, generator)
                name = (
                    f"{technology.prefix}_g{technology.gain_db}_synth_"
                    f"f{technology.centre_mhz}MHz_r{run}.bin"
                )
                write_iq(arguments.out / name, iq.numpy())
                bar.update()


def _icarus(arguments: argparse.Namespace, generator: torch.Generator) -> None:
    per_recording = min(arguments.windows, ICARUS_WINDOWS_PER_RECORDING)
    count = -(-arguments.windows // per_recording)
    total = count * len(recordings.ICARUS_SIR_DB) * len(recordings.ICARUS_LABELS)
    drawn = recordings.icarus_recordings(count, per_recording * LONG_SAMPLES, generator)
    labelled = (
        (label, sir_db, iq.numpy())
        for label, sir_db, iq in Progress("drawing", "recording", total, over=drawn)
    )
    if arguments.sigmf:
        _check_new_folder(arguments.out)
        write_sigmf(arguments.out, labelled, recordings.ICARUS_RATE_HZ)
    else:
        windows = total * per_recording
        write_npz(arguments.out, labelled, windows=windows, window_samples=LONG_SAMPLES)


def _scene(arguments: argparse.Namespace, _: torch.Generator) -> None:
    recipe = SCENES[arguments.recipe]
    if arguments.snr:
        recipe = dataclasses.replace(recipe, snr_db=tuple(arguments.snr))
    scene = make_scene(
        recipe,
        seconds=arguments.seconds,
        rate_hz=arguments.rate,
        emitters=arguments.emitters,
        seed=arguments.seed,
    )
    arguments.out = write_scene(scene, arguments.out, arguments.dtype)


def _check_new_folder(folder: Path) -> None:
    """Refuse a folder that holds something: two data sets in it would be read as one."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not an empty folder: choose another name")


def main(arguments: list[str] | None = None) -> int:
    """Write one data set; 0 when it is there."""
    return exit_status(
        lambda: run(parser().parse_args(arguments)),
        told=one_line,
        stopped="\nstopped; no half file was left",
    )


def run(asked: argparse.Namespace) -> None:
    """Write the data set that a command line asks for, and say where it is."""
    asked.write(asked, torch.Generator().manual_seed(asked.seed))
    print(f"wrote {asked.out}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
