# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gr_tsddae.bench COMMAND`: every command is a module with a `main`."""

import sys
from importlib import import_module

from gr_tsddae.files import print_any_text

PROGRAM = "python -m gr_tsddae.bench"

# The module of a command is imported only when it runs.
COMMANDS = {
    "network": ("gr_tsddae.bench.network", "the networks alone, beside the limits of the device"),
    "stream": ("gr_tsddae.bench.stream", "a flowgraph with the classifier at a given rate"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return the exit status."""
    print_any_text()
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: {PROGRAM} COMMAND ...; COMMAND --help lists its options\n")
        for name, (_, summary) in COMMANDS.items():
            print(f"  {name:<10} {summary}")
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        print(f"no command {arguments[0]!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module, _ = COMMANDS[arguments[0]]
    try:
        command = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "gnuradio":
            raise
        print(f"bench {arguments[0]} runs a flowgraph: {error}; install GNU Radio", file=sys.stderr)
        return 2
    return command.main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
