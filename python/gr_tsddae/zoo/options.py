# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `--model` of all commands: its help names the models found, and Tab completes them."""

import argparse

from gr_tsddae.zoo.folder import names


def add_model_option(top: argparse.ArgumentParser, default: str, also: str = "") -> None:
    """Add `--model`."""
    found = ", ".join(names()).replace("%", "%%")
    option = top.add_argument(
        "--model",
        default=default,
        help=f"name or folder of a model; {also}found here: {found or 'none'}; `tsddae models` "
        f"describes them (default: {default})",
    )
    option.completer = lambda **_: names()
