# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae nets`: every network by name, with the first line of its documentation."""

import inspect
import sys

from gr_tsddae import nets
from gr_tsddae.command import Parser
from gr_tsddae.nets import tsnet


def main(arguments: list[str] | None = None) -> int:
    """Print the networks; 0 when all can be imported."""
    Parser(prog="tsddae nets", description=__doc__).parse_args(arguments)
    try:
        for name in nets.names():
            own = name in nets.denoisers()
            text = (tsnet if own else inspect.getmodule(nets.class_of(name))).__doc__ or ""
            print(f"{name:<12}  {text.strip().partition(chr(10))[0]}")
    except ValueError as error:
        print("error:", error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
