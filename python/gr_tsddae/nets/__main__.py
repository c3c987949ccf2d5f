# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gr_tsddae.nets`: every network by name, with the first line of its documentation."""

import inspect
import sys

from gr_tsddae import nets
from gr_tsddae.nets import tsnet


def main() -> int:
    """Print the networks; 0 when all can be imported."""
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
