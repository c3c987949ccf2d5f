# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gr_tsddae.train`: finetune and evaluate."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import MISSING, fields
from pathlib import Path

from gr_tsddae import nets, zoo
from gr_tsddae.synth import CLASSES, RECIPES
from gr_tsddae.train.evaluate import evaluate_synthetic, evaluate_windows
from gr_tsddae.train.finetune import TEST_SEED, FinetuneConfig, finetune


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m gr_tsddae.train", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    tune = commands.add_parser(
        "finetune",
        help="train a classifier on synthetic windows and write a model folder",
        description="Train a classifier on windows synthesised as it goes. Ctrl-C is safe: the "
        "same command resumes from the last checkpoint in --out.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    default = {f.name: f.default for f in fields(FinetuneConfig) if f.default is not MISSING}
    tune.add_argument("--name", required=True, help="name of the model, e.g. amc-mine")
    tune.add_argument("--out", type=Path, required=True, help="model folder to write")
    tune.add_argument("--network", choices=nets.names(), default=default["network"])
    tune.add_argument("--recipe", choices=sorted(RECIPES), default=default["recipe"])
    for name, help_text in {
        "window_samples": "complex samples per window",
        "steps": "optimiser steps",
        "batch": "windows per step",
        "seed": "of weights and windows",
        "checkpoint_steps": "steps between checkpoints",
        "test_windows": "test windows per class and SNR",
    }.items():
        tune.add_argument(_flag(name), type=int, default=default[name], help=help_text)
    tune.add_argument("--learning-rate", type=float, default=default["learning_rate"])
    tune.add_argument("--weight-decay", type=float, default=default["weight_decay"])
    tune.add_argument(
        "--snr-db",
        type=float,
        nargs=2,
        default=default["snr_db"],
        metavar=("LOW", "HIGH"),
        help="true SNR, drawn uniformly",
    )
    tune.add_argument(
        "--noise-prior",
        type=float,
        default=default["noise_prior"],
        help="how often a window will hold nothing, in use",
    )
    tune.add_argument("--device", default=default["device"], help="cpu, cuda, cuda:1, ...")
    tune.add_argument("--bfloat16", action=argparse.BooleanOptionalAction, default=True)

    check = commands.add_parser(
        "evaluate",
        help="measure a model and write metrics.json",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    check.add_argument("--model", required=True, help="name or folder")
    check.add_argument(
        "--dataset",
        choices=("synth", "npz"),
        default="synth",
        help="synth: fresh windows of --recipe; npz: --path with X, y, snr",
    )
    check.add_argument("--path", type=Path, help="the .npz file")
    check.add_argument("--recipe", choices=sorted(RECIPES), default="live")
    check.add_argument("--windows", type=int, default=200, help="per class and SNR, for synth")
    check.add_argument("--out", type=Path, required=True, help="folder for metrics.json")
    return top


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _finetune(arguments: argparse.Namespace) -> None:
    values = {f.name: getattr(arguments, f.name) for f in fields(FinetuneConfig)}
    values["snr_db"] = tuple(values["snr_db"])
    card = finetune(FinetuneConfig(**values), arguments.out)
    print_table(card.accuracy)
    print(f"wrote {arguments.out}")


def _evaluate(arguments: argparse.Namespace) -> None:
    model = zoo.load(arguments.model)
    card = model.card
    if arguments.dataset == "npz":
        if arguments.path is None:
            raise ValueError("--dataset npz needs --path FILE")
        result = evaluate_windows(model, arguments.path)
    else:
        if card.classes != CLASSES:
            raise ValueError(
                f"{card.name} has other classes than synthetic windows ({', '.join(CLASSES)}); "
                "measure it on --dataset npz"
            )
        result = evaluate_synthetic(
            model.network,
            recipe=arguments.recipe,
            scaling=card.scaling,
            window_samples=card.window_samples,
            windows_per_class=arguments.windows,
            seed=TEST_SEED + 1,
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "metrics.json"
    path.write_text(json.dumps({"model": card.name, **result}, indent=1) + "\n")
    print_table(result)
    print(f"wrote {path}")


def print_table(result: dict) -> None:
    """Accuracy per SNR, for people."""
    print("SNR dB    " + " ".join(f"{snr:>5}" for snr in result["accuracy_per_snr"]))
    print("accuracy  " + " ".join(f"{100 * a:5.1f}" for a in result["accuracy_per_snr"].values()))
    print(
        f"average {100 * result['accuracy']:.2f} %, best {100 * result['best']:.2f} %, "
        f"macro-F1 {result['macro_f1']:.3f}, calibration error {result['ece']:.3f}"
    )


def main() -> int:
    """Run one command; 0 when it did what was asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = parser().parse_args()
    try:
        {"finetune": _finetune, "evaluate": _evaluate}[arguments.command](arguments)
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)  # torch's have many lines
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
