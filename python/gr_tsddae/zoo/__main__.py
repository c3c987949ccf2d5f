# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae models`: the models found here, what a card says in plain words, checks of weights."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from gr_tsddae.command import Parser, exit_status
from gr_tsddae.zoo.card import DENOISING, FEATURES, Card, read_card
from gr_tsddae.zoo.errors import ModelError
from gr_tsddae.zoo.folder import (
    PATH_VARIABLE,
    WEIGHTS_FILE,
    find,
    is_shipped,
    names,
    read_weights,
    user_folder,
)

HEADINGS = ("name", "task", "classes", "window", "input", "accuracy", "size", "where")


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    top = Parser(
        prog="tsddae models",
        description="List the models found here: name, task, number of classes, samples per "
        "window, the sample rate that the model wants, accuracy in its own measurement, size. "
        "With NAME, describe one. Nothing is downloaded.",
        epilog=f"Models of your own go into {user_folder()}, or into a folder that the environment "
        f"variable {PATH_VARIABLE} names.",
    )
    option = top.add_argument("name", nargs="*", metavar="NAME", help="name or folder of a model")
    option.completer = lambda **_: names()
    top.add_argument(
        "--check", action="store_true", help="compare the weights with the checksums of the cards"
    )
    return top


def run(arguments: argparse.Namespace) -> None:
    """List, describe or check.

    Raises:
        ModelError: If a model is not found, or a check fails.
    """
    asked = arguments.name or names()
    if arguments.check:
        _check(asked)
    elif arguments.name:
        print("\n\n".join("\n".join(_description(find(name))) for name in asked))
    else:
        print("\n".join(_table(asked)))


def _check(asked: list[str]) -> None:
    faults = 0
    for name in asked:
        try:
            folder = find(name)
            read_weights(folder, read_card(folder))
        except ModelError as error:
            faults += 1
            print(f"PROBLEM {name}: {error}")
        else:
            print(f"ok      {name}: the weights are those of the card")
    if faults:
        raise ModelError(f"{faults} of {len(asked)} models cannot be used")


def _table(asked: list[str]) -> Iterator[str]:
    rows, faults = [HEADINGS], []
    for name in asked:
        folder = find(name)
        try:
            card = read_card(folder)
        except ModelError as error:
            faults.append(f"{name} cannot be used: {error}")
            continue
        rows.append(
            (
                name,
                card.task,
                str(len(card.classes) or "-"),
                str(card.window_samples),
                _input(card),
                _accuracy(card) or "-",
                _size(folder),
                "shipped" if is_shipped(folder) else _short(folder.parent),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    yield from faults


def _description(folder: Path) -> Iterator[str]:
    card = read_card(folder)
    yield f"{folder.name}: {'shipped, in ' if is_shipped(folder) else ''}{_short(folder)}"
    yield " ".join(card.description.split())
    if card.task == DENOISING:
        yield "It removes noise. It names no signals."
    elif card.task == FEATURES:
        yield "It computes features. It names no signals."
    else:
        yield f"It names {len(card.classes)} classes: {', '.join(card.classes)}."
    if card.rejection:
        yield "It says `unknown` where a signal looks like none of them."
    elif card.classes:
        yield "It gives every signal one of these names, also a signal that it was never taught."
    yield (
        f"It takes windows of {card.window_samples} samples. The signal must lie near 0 Hz. "
        f"The sample rate must be {_input(card)}."
    )
    if accuracy := _accuracy(card):
        on = card.accuracy.get("recipe")
        where = f"synthetic windows (recipe {on})" if on else "windows"
        yield f"Right on {where} that it never saw: {accuracy}."
    per_level = card.accuracy.get("accuracy_per_snr")
    if isinstance(per_level, dict) and per_level:
        shares = ", ".join(f"{100 * share:.0f} % at {db} dB" for db, share in per_level.items())
        yield f"By SNR: {shares}."
    made_from = card.training.get("base")
    base = f", made from {made_from}" if made_from else ""
    yield f"Network {card.network}{base}; {_size(folder)}; licence {card.licence}."


def _input(card: Card) -> str:
    if card.bandwidth_multiple:
        return f"{card.bandwidth_multiple:g} x bandwidth"
    if card.samples_per_symbol:
        return f"{card.samples_per_symbol:g} samples/symbol"
    return f"{card.sample_rate_hz / 1e3:g} kS/s" if card.sample_rate_hz else "that of training"


def _accuracy(card: Card) -> str:
    """Format the share that was right, and the best one; empty where the card has none."""
    overall, best = card.accuracy.get("accuracy"), card.accuracy.get("best")
    if not isinstance(overall, int | float):
        return ""
    text = f"{100 * overall:.0f} %"
    if isinstance(best, int | float) and "best_snr_db" in card.accuracy:
        text += f"; {100 * best:.0f} % at {card.accuracy['best_snr_db']} dB"
    return text


def _size(folder: Path) -> str:
    weights = folder / WEIGHTS_FILE
    return f"{weights.stat().st_size / 1e6:.1f} MB" if weights.is_file() else "no weights"


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 after one line about the error."""
    return exit_status(lambda: run(parser().parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
