# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae train COMMAND`: every command is a function of one configuration."""

import dataclasses
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module, resources
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from gr_tsddae.command import (
    exit_status,
    meant_option,
    no_such,
    number,
    one_line,
    whole,
    words_of,
)
from gr_tsddae.train.config import check_name
from gr_tsddae.train.run.memory import keep_freed_memory
from gr_tsddae.zoo import user_folder

PROGRAM = "tsddae train"


@dataclass(frozen=True)
class Command:
    """The place of a command; its modules are imported only when it runs."""

    config: str  # "module:dataclass" of this package
    function: str  # "module:function", which takes it
    summary: str
    note: str = ""  # at the end of its --help
    resumes: bool = True  # after it was stopped
    makes_a_model: bool = False  # one, in the folder --out


COMMANDS = {
    "pretrain": Command(
        "config:PretrainConfig",
        "pretrain:pretrain",
        "pre-train a network, which needs no labels",
        makes_a_model=True,
    ),
    "finetune": Command(
        "config:FinetuneConfig",
        "finetune:finetune",
        "train a classifier, and measure it",
        makes_a_model=True,
    ),
    "probe": Command(
        "config:ProbeConfig",
        "probe:probe",
        "train a classifier on frozen features",
        makes_a_model=True,
    ),
    "distill": Command(
        "config:DistillConfig",
        "distill:distill",
        "train a small network on the outputs of a large one",
        makes_a_model=True,
    ),
    "fewshot": Command(
        "config:FewshotConfig",
        "fewshot:fewshot",
        "fine-tune on a few windows per class and SNR",
        "For recordings of your own: fewshot --captures FOLDER --base MODEL --out FOLDER, which is "
        "the command teach.",
    ),
    "teach": Command(
        "teach:TeachConfig",
        "teach:teach",
        "adapt a model to your own recordings",
        resumes=False,
        makes_a_model=True,
    ),
    "evaluate": Command(
        "evaluate:EvaluateConfig",
        "evaluate:evaluate",
        "measure a model, and write a report",
        resumes=False,
    ),
    "unknown": Command(
        "unknown:UnknownConfig",
        "unknown:unknown",
        "have a model of the air say `unknown`, and measure how well",
        resumes=False,
    ),
    "export": Command(
        "export:ExportConfig",
        "export:export",
        "write a model for use elsewhere, and check it",
        resumes=False,
    ),
    "reproduce": Command(
        "experiments.reproduce:ReproduceConfig",
        "experiments.reproduce:reproduce",
        "the paper's row of a dataset, beside the published one",
    ),
    "ablate": Command(
        "experiments.ablate:AblateConfig",
        "experiments.ablate:ablate",
        "the paper's ablations, and LSM's lesson: how much each adds",
    ),
    "sweep": Command(
        "experiments.sweep:SweepConfig",
        "experiments.sweep:sweep",
        "accuracy over lambda, or over the number of layers",
    ),
    "benchmark": Command(
        "experiments.benchmark:BenchmarkConfig",
        "experiments.benchmark:benchmark",
        "all networks on a dataset, beside the published figures",
    ),
    "fewshot-figure": Command(
        "experiments.lsm_figure.figure:FewshotFigureConfig",
        "experiments.lsm_figure.figure:fewshot_figure",
        "LSM's Figure 4: few-shot accuracy over SNR, with TS-DDAE beside it",
    ),
    "search": Command(
        "experiments.search:SearchConfig",
        "experiments.search:search",
        "search hyper-parameters with Optuna",
    ),
    "anomaly": Command(
        "experiments.anomaly_auc:AnomalyConfig",
        "experiments.anomaly_auc:anomaly",
        "detect anomalies with a denoiser of normal windows alone",
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command, and return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    name, *arguments = words_of(COMMANDS, arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(overview())
        return 0
    if name not in COMMANDS:
        print("error:", no_such(name, COMMANDS), file=sys.stderr)
        return 1
    keep_freed_memory()
    name = meant(name, arguments)
    how = "resumes from the last checkpoint" if COMMANDS[name].resumes else "begins anew"
    return exit_status(
        lambda: run(name, arguments),
        told=partial(as_typed, name=name),
        stopped=f"stopped; the same command {how}",
    )


def run(name: str, arguments: list[str]) -> None:
    """Do what a command line asks for."""
    config = parse(name, arguments)  # before Lightning is imported, which takes seconds
    _imported(COMMANDS[name].function)(config)


def meant(name: str, arguments: list[str]) -> str:
    """Name the command that is meant: `fewshot --captures` is `teach`."""
    own = any(word.partition("=")[0] == "--captures" for word in arguments)
    return "teach" if name == "fewshot" and own else name


def overview() -> str:
    """List commands and packaged recipes."""
    lines = [f"usage: {PROGRAM} COMMAND [--config RECIPE] [--KEY VALUE ...]", "", "commands:"]
    lines += [f"  {name:<16}{command.summary}" for name, command in COMMANDS.items()]
    lines += ["", f"packaged recipes for --config: {', '.join(recipes())}"]
    lines += [f"every key of a command: {PROGRAM} COMMAND --help"]
    return "\n".join(lines)


def recipes() -> list[str]:
    """List the recipes that come with the package."""
    return sorted(_recipes())


def parse(name: str, arguments: list[str]) -> Any:
    """Turn a command line into a configuration.

    Raises:
        ValueError: A key or a value is wrong.
    """
    from jsonargparse import ArgumentError, ArgumentParser
    from jsonargparse.typing import register_type

    # A shell leaves the ~ of --out=~/runs to the program, and so does YAML.
    register_type(Path, deserializer=_expanded, fail_already_registered=False)
    config_class = _imported(COMMANDS[name].config)
    parser = ArgumentParser(
        prog=f"{PROGRAM} {name}", description=config_class.__doc__.split("\n\n")[0],
        epilog=COMMANDS[name].note, exit_on_error=False, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument(
        "--config", action="config", help="YAML file, or the name of a packaged recipe."
    )
    parser.add_class_arguments(config_class, None)
    if COMMANDS[name].makes_a_model and (model := _value_of("--name", arguments)):
        check_name(model)
        parser.set_defaults(out=user_folder() / model)  # where it is found by its name
    try:
        words = _with_numbers(_with_recipes(arguments), config_class)
        values = parser.instantiate(parser.parse_args(words))
    except ArgumentError as error:
        group = r"Group '([\w.]+)' does not accept option '([\w.]+)'"  # from YAML
        text = re.sub(group, r"unrecognized arguments: --\1.\2", str(error))
        text += meant_option(text, parser._option_string_actions)
        raise ValueError(text) from error
    del values.config
    return config_class(**vars(values))


def as_typed(error: Exception, name: str) -> str:
    """Return what an error says, on one line, with the keys of a command as they are typed."""
    text = one_line(error)
    text = re.sub(r'^Parser key "([\w.]+)":', r"\1:", text)
    text = re.sub(r"(?<=are required: ).*", lambda keys: re.sub(r"(\w+)", r"--\1", keys[0]), text)
    for key in _keys(_imported(COMMANDS[name].config)):
        # A key without a dot may be any word, unless it begins the message.
        before, after = (r"(?<![\w./-])", r"\b") if "." in key else ("^", "(?= is |:)")
        text = re.sub(f"{before}{re.escape(key)}{after}", f"--{key}", text)
    return text


def _keys(config_class: type, prefix: str = "") -> Iterator[str]:
    for name, kind in get_type_hints(config_class).items():
        yield prefix + name
        if dataclasses.is_dataclass(kind):
            yield from _keys(kind, f"{prefix}{name}.")


def _value_of(option: str, arguments: list[str]) -> str | None:
    for word, following in zip(arguments, [*arguments[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else following
    return None


def _with_numbers(arguments: list[str], config_class: type) -> list[str]:
    """Write the values of numeric keys as YAML reads them: `1k` as 1000.

    Raises:
        ValueError: A value is no number.
    """
    kinds = _kinds(config_class)
    words, key = [], ""
    for word in arguments:
        option, equals, value = word.partition("=")
        if key and not word.startswith("--"):
            words.append(_numeric(word, key, kinds[key]))
        elif equals and option.removeprefix("--") in kinds:
            words.append(f"{option}={_numeric(value, option[2:], kinds[option[2:]])}")
        else:
            words.append(word)
        key = "" if equals or key else word.removeprefix("--")
        key = key if key in kinds and word.startswith("--") else ""
    return words


def _kinds(config_class: type, prefix: str = "") -> dict[str, type]:
    """Return int or float for each key that takes one."""
    kinds = {}
    for name, kind in get_type_hints(config_class).items():
        if dataclasses.is_dataclass(kind):
            kinds |= _kinds(kind, f"{prefix}{name}.")
        for each in (kind, *get_args(kind)) if get_origin(kind) is not tuple else ():
            if each in (int, float):
                kinds[prefix + name] = each
    return kinds


def _numeric(text: str, key: str, kind: type) -> str:
    if text in ("null", "") or re.fullmatch(r"[+-]?\d[\d_]*", text):  # as in YAML
        return text
    try:
        value = whole(text) if kind is int else number(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error
    if not math.isfinite(value):
        raise ValueError(f"{key} is {value}: give a finite number")
    return repr(value)


def _with_recipes(arguments: list[str]) -> list[str]:
    """Replace the name of a packaged recipe behind --config by its path."""
    found = list(arguments)
    for place, word in enumerate(found):
        option, equals, value = word.partition("=")
        if option == "--config" and equals:
            found[place] = f"--config={_recipe(value)}"
        elif place and found[place - 1] == "--config":
            found[place] = _recipe(word)
    return found


def _recipe(name: str) -> str:
    if Path(name).is_file():
        return name
    if name not in recipes():
        raise ValueError(
            f"--config {name}: there is no such file, and the packaged recipes are "
            f"{', '.join(recipes())}"
        )
    return str(_recipes()[name])


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # leaves the ~ of an unknown user alone


def _recipes() -> dict[str, Path]:
    """Find the packaged recipes, by name."""
    folder = Path(str(resources.files("gr_tsddae.train"))) / "recipes"
    return {path.stem: path for path in folder.rglob("*.yaml")}


def _imported(place: str) -> Callable[..., Any]:
    module, attribute = place.split(":")
    return getattr(import_module(f"gr_tsddae.train.{module}"), attribute)


if __name__ == "__main__":
    sys.exit(main())
