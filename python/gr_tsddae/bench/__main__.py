# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae bench COMMAND`: every command is a module with a `main`."""

import sys

from gr_tsddae.command import run_command

COMMANDS = {
    "network": ("gr_tsddae.bench.network", "the networks alone, beside the limits of the device"),
    "stream": ("gr_tsddae.bench.stream", "a flowgraph with the classifier at a given rate"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return the exit status."""
    return run_command("tsddae bench", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
