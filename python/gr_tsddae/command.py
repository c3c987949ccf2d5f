# SPDX-License-Identifier: GPL-3.0-or-later
"""What all command lines share: one way to write a number, and errors that name the option."""

import argparse
import re

_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?) ?([kKMG]?)(?:Hz)?")

# Argument of a function -> the option of a command that sets it.
_OPTION_OF = {
    "dtype": "--dtype",
    "sample_rate_hz": "--rate",
    "center_frequency_hz": "--center",
    "symbol_rate_hz": "--symbol-rate",
    "offset_hz": "--offset",
    "bandwidth_hz": "--bandwidth",
    "samples_per_symbol": "--samples-per-symbol",
}


class NumberError(ValueError, argparse.ArgumentTypeError):
    """A text is no number; argparse shows the message as it is."""


def number(text: str | float) -> float:
    """Read a number as SDR programs write it: `-80e3`, `200k`, `2.4M`, `433.92MHz`.

    Raises:
        NumberError: If it is none, or is not finite.
    """
    match = _NUMBER.fullmatch(str(text).strip())
    value = float(match[1]) * _FACTORS[match[2]] if match else float("inf")
    if abs(value) == float("inf"):
        raise NumberError(f"{text!r} is no number; write 200000, 200e3, 200k or 2.4M")
    return value


class Parser(argparse.ArgumentParser):
    """A parser that takes `-80e3` and `-80k` for numbers, where argparse takes them for options."""

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **options)
        self._negative_number_matcher = re.compile(rf"-(?=[\d.]){_NUMBER.pattern}$")


def sentence(error: Exception) -> str:
    """Return what an error says, on one line, with options as they are typed."""
    text = " ".join(str(error).split())  # torch's have many lines
    for argument, option in _OPTION_OF.items():
        text = re.sub(rf"(?<![\w-]){argument}=(?=['\d])", f"{option} ", text)
        text = re.sub(rf"(?<![\w.-]){argument}\b=?", option, text)
    return text
