# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m gr_tsddae.bench {network,stream} ...: each mode has its own --help."""

from __future__ import annotations

import importlib
import sys

MODES = {
    "network": "windows per second of the networks, beside the device's own limit",
    "stream": "a flowgraph at a given rate: samples taken, classified, dropped",
}


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] not in MODES:
        print("usage: python -m gr_tsddae.bench MODE ...")
        for name, meaning in MODES.items():
            print(f"  {name:<8} {meaning}")
        return 0 if words[:1] in ([], ["-h"], ["--help"]) else 2
    try:
        mode = importlib.import_module(f"gr_tsddae.bench.{words[0]}")
    except ModuleNotFoundError as error:
        if error.name not in ("gnuradio", f"gr_tsddae.bench.{words[0]}"):
            raise
        print(f"bench {words[0]} cannot run here: {error}", file=sys.stderr)
        return 2
    return mode.main(words[1:])


if __name__ == "__main__":
    sys.exit(main())
