# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae data`: summarise a dataset, or write it as a recording to replay."""

import argparse
import dataclasses
import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from gr_tsddae.command import Parser, exit_status, number, one_line, whole
from gr_tsddae.data import (
    Dataset,
    DatasetError,
    description,
    kinds,
    open_dataset,
    reader_options,
)
from gr_tsddae.data.selection import ORDERS, PARTS, Selection
from gr_tsddae.data.to_file import write_recording
from gr_tsddae.files import json_text
from gr_tsddae.progress import Progress


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = Parser(
        prog="tsddae data",
        description="Describe a dataset, or write it as a recording to replay.",
    )
    commands = top.add_subparsers(dest="command", required=True)
    show = commands.add_parser(
        "summary",
        help="count the classes, levels and groups of a dataset",
        description="Open a dataset as training does, and describe its content.",
        epilog="example: tsddae data summary captures my_emitters/ --option window_samples=1024",
    )
    _add_dataset(show)
    show.add_argument("--json", action="store_true", help="print JSON")
    _add_to_file(commands)
    commands.add_parser("kinds", help="list the kinds of dataset and their options")
    return top


def _add_dataset(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "kind", metavar="KIND", choices=kinds(), help=f"one of {', '.join(kinds())}"
    )
    command.add_argument("path", metavar="PATH", help="file or folder")
    command.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the reader, its value in YAML; may be repeated",
    )
    command.add_argument(
        "--strict",
        action="append_const",
        dest="option",
        const="strict=true",
        help="of captures: refuse a recording that has a fault of any kind, or cannot be read",
    )


def _add_to_file(commands: Any) -> None:
    write = commands.add_parser(
        "to-file",
        help="write a dataset as a SigMF recording, for a File Source",
        description="Write windows back to back as OUT.sigmf-data (cf32_le) and, with label, SNR "
        "and number of each window as annotations, OUT.sigmf-meta. Nothing is overwritten.",
        epilog="example: tsddae data to-file rml2016.10a RML2016.10a_dict.pkl replay "
        "--part test --order by_snr --snr-min 0 --windows-per-key 50",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_dataset(write)
    write.add_argument("out", metavar="OUT", type=Path, help="name of the recording")
    default = Selection()
    write.add_argument(
        "--order", choices=ORDERS, default=default.order, help="order of the windows"
    )
    write.add_argument(
        "--seed", type=whole, default=default.seed, help="seed of the shuffled order"
    )
    write.add_argument("--classes", nargs="+", default=(), metavar="NAME", help="write only these")
    for option, what, default_db in (
        ("--snr-min", "lowest SNR", -math.inf), ("--snr-max", "highest SNR", math.inf),
    ):  # fmt: skip
        name = option[2:].replace("-", "_") + "_db"
        write.add_argument(
            option, dest=name, type=number, default=default_db, metavar="DB", help=what
        )
    write.add_argument(
        "--snrs", dest="snrs_db", nargs="+", type=number, default=(), metavar="DB",
        help="write only these",
    )  # fmt: skip
    write.add_argument(
        "--part",
        choices=PARTS,
        default=default.part,
        help="part of the split 60/20/20 that training and `train evaluate` use",
    )
    write.add_argument(
        "--split-seed", type=whole, default=default.split_seed, help="seed of that split"
    )
    write.add_argument(
        "--windows-per-key",
        type=whole,
        default=default.windows_per_key,
        metavar="N",
        help="most windows of each class and SNR; 0: all",
    )
    write.add_argument("--gain", type=number, default=1.0, help="factor for the samples")
    write.add_argument("--rate", type=number, metavar="HZ", help="value of core:sample_rate")
    write.add_argument(
        "--merge",
        action="store_true",
        help="join neighbours of the same label and SNR in one annotation",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return exit_status(lambda: print(_answer(parser().parse_args(arguments))), told=one_line)


def _answer(asked: argparse.Namespace) -> str:
    if asked.command == "kinds":
        return _kinds()
    dataset = open_dataset(asked.kind, asked.path, **_options(asked.kind, asked.option))
    if asked.command == "to-file":
        return _to_file(asked, dataset)
    summary = dataset.summary()
    return json_text(summary, indent=2) if asked.json else table(summary)


def _to_file(asked: argparse.Namespace, dataset: Dataset) -> str:
    chosen = {each.name: getattr(asked, each.name) for each in dataclasses.fields(Selection)}
    dataset = Selection(**chosen).of(dataset)
    with Progress("writing", "window", len(dataset)) as bar:
        written = write_recording(
            dataset,
            asked.out,
            sample_rate_hz=asked.rate,
            gain=asked.gain,
            merge=asked.merge,
            progress=bar.update,
        )
    samples = len(dataset) * dataset.window_samples
    return f"wrote {written}: {len(dataset):,} windows, {samples:,} samples"


def table(summary: dict[str, Any]) -> str:
    """Format `Dataset.summary()` as a table."""
    length, windows = summary["window_samples"], summary["windows"]
    levels, rate_hz = summary["levels_db"], summary["sample_rate_hz"]
    lines = [
        ("dataset", f"{summary['kind']}, task {summary['task']}"),
        ("path", summary["path"]),
        ("windows", f"{windows:,} of {length} samples, {windows * length:,} samples in all"),
        ("samples/symbol", f"{summary['samples_per_symbol'] or 'unknown'}"),
        ("sample rate", f"{rate_hz:.9g} Hz" if rate_hz else "unknown"),
        ("levels", _levels(summary["level_name"], levels)),
        ("groups", f"{summary['groups']:,}" if summary["groups"] else "none; windows stand alone"),
        ("skipped", ", ".join(f"{n:,} {why}" for why, n in summary["skipped"].items()) or "none"),
        ("licence", summary["licence"]),
    ]
    classes = [(name, count) for name, count in summary["classes"].items()]
    if summary["unlabelled"]:
        classes.append(("(unlabelled)", summary["unlabelled"]))
    width = max(14, *(len(name) for name, _ in classes)) if classes else 14
    text = [f"{name:<{width}}  {value}" for name, value in lines]
    text += ["", f"{'class':<{width}}  {'windows':>10}   share"]
    text += [f"{name:<{width}}  {n:>10,}  {n / max(windows, 1):>6.1%}" for name, n in classes]
    return "\n".join(text)


def _levels(name: str | None, levels: dict[int, int]) -> str:
    if not levels:
        return "unknown"
    found = sorted(levels)
    steps = {b - a for a, b in pairwise(found)}
    if len(found) > 2 and len(steps) == 1:
        span = f"{found[0]} to {found[-1]} dB, step {steps.pop()}"
    else:
        span = f"{', '.join(map(str, found))} dB"
    few, many = min(levels.values()), max(levels.values())
    each = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    return f"{name} {span}; {each} windows each"


def _options(kind: str, given: list[str]) -> dict[str, Any]:
    known = reader_options(kind)
    options = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise DatasetError(
                f"--option {text!r} is not NAME=VALUE with an option of {kind}; "
                f"there are: {', '.join(known) or 'none'}"
            )
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise DatasetError(f"--option {text!r}: the value is not YAML: {error}") from error
    return options


def _kinds() -> str:
    lines = []
    for kind in kinds():
        try:
            known = ", ".join(f"{name}={value!r}" for name, value in reader_options(kind).items())
            lines += [f"{kind:<12}  {description(kind)}", f"{'':<12}  options: {known}"]
        except ValueError as error:
            lines.append(f"{kind:<12}  not available here: {error}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
