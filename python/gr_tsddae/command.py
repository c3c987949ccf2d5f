# SPDX-License-Identifier: GPL-3.0-or-later
"""What all command lines share: numbers, commands by name, the recording to read, errors, Tab.

Nothing large is imported here, so that help and completion are there at once.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from gr_tsddae.files import print_any_text
from gr_tsddae.missing import explained

if TYPE_CHECKING:
    from gr_tsddae.iq.captures import Capture

_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|nan)) ?([kKMG]?)(?:Hz)?")

# Argument of a function -> the option of a command that sets it.
_OPTION_OF = {
    "dtype": "--dtype",
    "sample_rate_hz": "--rate",
    "center_frequency_hz": "--center",
    "symbol_rate_hz": "--symbol-rate",
    "offset_hz": "--offset",
    "bandwidth_hz": "--bandwidth",
    "samples_per_symbol": "--samples-per-symbol",
    "confidence_threshold": "--threshold",
    "hop_samples": "--hop",
}


# argcomplete's: the number of words before the options, where a shell asks for completion.
_SHELL_ASKS = "_ARGCOMPLETE"


class NumberError(ValueError, argparse.ArgumentTypeError):
    """A text is no number; argparse shows the message as it is."""


def number(text: str | float) -> float:
    """Read a number as SDR programs write it: `-80e3`, `200k`, `2.4M`, `433.92MHz`.

    `inf` and `nan` are numbers too: who takes the number says whether it may be infinite.

    Raises:
        NumberError: If it is none.
    """
    match = _NUMBER.fullmatch(str(text).strip())
    if match is None:
        raise NumberError(f"{text!r} is no number; write 200000, 200e3, 200k or 2.4M")
    return float(match[1]) * _FACTORS[match[2]]


def whole(text: str) -> int:
    """Read a whole number: `1024`, `1k`, `1e3`.

    Raises:
        NumberError: If it is none.
    """
    value = number(text)
    if not (math.isfinite(value) and value == round(value)):
        raise NumberError(f"{text!r} is no whole number; write 1024 or 1k")
    return round(value)


class Parser(argparse.ArgumentParser):
    """A parser that takes `-80e3` and `-80k` for numbers, where argparse takes them for options."""

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **options)
        self._negative_number_matcher = re.compile(rf"-(?=[\d.in]){_NUMBER.pattern}$")

    def parse_args(self, *args: object, **options: object) -> argparse.Namespace:
        """Parse a command line; where a shell asks for the completion of one, answer it."""
        if _SHELL_ASKS in os.environ:
            import argcomplete

            argcomplete.autocomplete(self)
        return super().parse_args(*args, **options)

    def error(self, message: str) -> NoReturn:
        """Exit with a message, which names the option that may be meant."""
        super().error(message + meant_option(message, self._option_string_actions))


def words_of(names: Iterable[str], arguments: Sequence[str] | None) -> list[str]:
    """Return the words of a command line that begins with the name of a command.

    Where a shell asks for completion, there are no words but those that it tells. A name among them
    is returned, and that command answers for the rest; else the names are the answer.

    Args:
        names: Of all commands.
        arguments: None takes those of the program.
    """
    if _SHELL_ASKS not in os.environ:
        return list(sys.argv[1:] if arguments is None else arguments)
    typed = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])].split(" ")[:-1]
    words = [word for word in typed if word][int(os.environ[_SHELL_ASKS]) :]
    if words and words[0] in names:
        os.environ[_SHELL_ASKS] = str(int(os.environ[_SHELL_ASKS]) + 1)
        return words[:1]
    asked = Parser()
    asked.add_argument("command", choices=list(names))
    asked.parse_args()
    return []


def meant_option(message: str, options: Iterable[str]) -> str:
    """Return what to add to a message of argparse about an option that there is not."""
    wrong = re.match(r"unrecognized arguments: (--[\w.-]+)", message)
    close = difflib.get_close_matches(wrong[1], options, 1) if wrong else []
    return f"; did you mean {close[0]}?" if close else ""


def no_such(name: str, names: Iterable[str]) -> str:
    """Say that there is no command of a name, and which one may be meant."""
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names)}"
    return f"no command {name!r}; {hint}"


def run_command(
    program: str, commands: Mapping[str, tuple[str, str]], arguments: Sequence[str] | None = None
) -> int:
    """Run one of several commands; its module is imported only now.

    Args:
        program: What is typed before the command.
        commands: Name -> module with a `main`, which takes arguments, and a summary.
        arguments: None takes those of the program.

    Returns:
        The exit status.
    """
    print_any_text()
    name, *rest = words_of(commands, arguments) or [""]
    if name in ("", "-h", "--help"):
        print(f"usage: {program} COMMAND ...; COMMAND --help lists its options\n")
        width = max(map(len, commands))
        for each, (_, summary) in commands.items():
            print(f"  {each:<{width}}  {summary}")
        return 0 if name else 2
    if name not in commands:
        print("error:", no_such(name, commands), file=sys.stderr)
        return 2
    try:
        return import_module(commands[name][0]).main(rest)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("gr_tsddae"):
            raise
        told = explained(error)
        if told is error:
            told = f"{program} {name} needs {error.name}, which this Python lacks; install it "
            told += "(`tsddae doctor` says how)"
        print("error:", told, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def add_recording_options(top: argparse.ArgumentParser) -> None:
    """Add the options that name a recording and what its file does not say."""
    top.add_argument(
        "capture",
        help="recording to read: .sigmf-meta, .cf32, .cu8, .wav, ...; - is the standard input",
    )
    top.add_argument(
        "--dtype", help="how a raw file stores samples: cf32, ci16, ci8, cu8, ..., real ri16, rf32"
    )
    top.add_argument(
        "--rate", type=number, metavar="HZ", help="sample rate; wins over file and name"
    )
    top.add_argument(
        "--center", type=number, metavar="HZ", help="centre frequency; wins over file and name"
    )
    top.add_argument(
        "--strict", action="store_true", help="refuse a recording that has a fault of any kind"
    )


def open_recording(arguments: argparse.Namespace) -> Capture:
    """Open the recording that `add_recording_options` asks for, and say what is to be said of it.

    Raises:
        CaptureError: As `open_capture` does.
    """
    from gr_tsddae.iq.captures import open_capture
    from gr_tsddae.iq.formats.live import STANDARD_INPUT, open_standard_input

    if arguments.capture == STANDARD_INPUT:
        return open_standard_input(arguments.dtype, arguments.rate, arguments.center)
    capture = open_capture(
        arguments.capture,
        dtype=arguments.dtype,
        sample_rate_hz=arguments.rate,
        center_frequency_hz=arguments.center,
        strict=arguments.strict,
    )
    tell(capture)
    return capture


def tell(capture: Capture) -> None:
    """Print what was taken for granted of a recording, and what is wrong with it, on stderr."""
    for note in capture.notes:
        print("note:", note, file=sys.stderr)
    for fault in capture.faults:
        print("warning:", fault, file=sys.stderr)


def tell_end(capture: Capture, *, strict: bool) -> None:
    """Print what was wrong with a stream that has ended, on stderr.

    Raises:
        ValueError: If something was, and `strict`.
    """
    for fault in capture.faults_at_end():
        if strict:
            raise ValueError(fault)
        print("warning:", fault, file=sys.stderr)


def one_line(error: Exception) -> str:
    """Return what an error says, on one line: torch's have many."""
    return " ".join(str(error).split()) or type(error).__name__


def sentence(error: Exception) -> str:
    """Return what an error says, on one line, with options as they are typed."""
    text = one_line(error)
    for argument, option in _OPTION_OF.items():
        text = re.sub(rf"(?<![\w-]){argument}=(?=['\d])", f"{option} ", text)
        text = re.sub(rf"(?<![\w.-]){argument}\b=?", option, text)
    return text


def output_closed() -> int:
    """Let the rest of the output go nowhere: who reads it has seen enough, such as `head`.

    Returns:
        The exit status.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def exit_status(
    run: Callable[[], object],
    *,
    told: Callable[[Exception], str] = sentence,
    stopped: str = "",
) -> int:
    """Run a command, and return its exit status.

    It is 0, 130 after Ctrl-C, or 1 after one line about the error. It is 1 without a line where
    nobody reads the output any more.

    Args:
        told: Says on one line what an error means.
        stopped: What to say after Ctrl-C, if anything.
    """
    print_any_text()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        run()
        sys.stdout.flush()
    except BrokenPipeError:
        return output_closed()
    except ImportError as error:
        print("error:", explained(error), file=sys.stderr)
        return 1
    except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        print("error:", told(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if stopped:
            print(stopped, file=sys.stderr)
        return 130
    return 0
