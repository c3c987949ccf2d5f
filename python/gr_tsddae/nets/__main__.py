# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae nets`: every network by name, with the first line of its documentation."""

import inspect
import sys

from gr_tsddae import nets
from gr_tsddae.command import Parser, exit_status, one_line
from gr_tsddae.nets import tsnet


def main(arguments: list[str] | None = None) -> int:
    """Print the networks; 0 when all can be imported."""
    Parser(prog="tsddae nets", description=__doc__).parse_args(arguments)
    return exit_status(print_networks, told=one_line)


def print_networks() -> None:
    """Print a line for each network."""
    for name in nets.names():
        own = name in nets.denoisers()
        text = (tsnet if own else inspect.getmodule(nets.class_of(name))).__doc__ or ""
        print(f"{name:<12}  {text.strip().partition(chr(10))[0]}")


if __name__ == "__main__":
    sys.exit(main())
