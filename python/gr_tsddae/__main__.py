# SPDX-License-Identifier: GPL-3.0-or-later
# PYTHON_ARGCOMPLETE_OK
"""`tsddae COMMAND`, or `python -m gr_tsddae COMMAND`: all commands, each imported when it runs."""

import sys

from gr_tsddae import __version__
from gr_tsddae.command import output_closed, run_command

COMMANDS = {
    "survey": ("gr_tsddae.survey.__main__", "find, measure and name every signal of a recording"),
    "classify": ("gr_tsddae.classify", "name the one signal of a recording, over time"),
    "condition": ("gr_tsddae.condition", "cut one signal out of a recording, for a model"),
    "train": ("gr_tsddae.train.__main__", "teach, train, measure and export models"),
    "data": ("gr_tsddae.data.__main__", "describe a dataset, or write it as a recording"),
    "synth": ("gr_tsddae.synth.__main__", "write synthetic datasets and wide-band scenes"),
    "models": ("gr_tsddae.zoo.__main__", "list, describe and check the models"),
    "nets": ("gr_tsddae.nets.__main__", "list the networks that can be trained"),
    "bench": ("gr_tsddae.bench.__main__", "measure the speed of networks and flowgraphs"),
    "rtl_tcp": ("gr_tsddae.rtl_tcp.server", "serve a recording as if it were an RTL-SDR dongle"),
    "doctor": ("gr_tsddae.doctor", "find faults of the installation; one remedy each"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(__version__)
        return 0
    if arguments[:1] == ["--completion"]:
        return _print_completion(arguments[1:] or ["bash"])
    try:
        status = run_command("tsddae", COMMANDS, arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return output_closed()
    return status


def _print_completion(shells: list[str]) -> int:
    """Print what a shell must run to complete command lines: eval "$(tsddae --completion)"."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        print("error: completion needs argcomplete: pip install argcomplete", file=sys.stderr)
        return 1
    print(argcomplete.shellcode(["tsddae"], shell=shells[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
