# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the shipped recordings are, so that example flowgraphs find them from anywhere."""

import sys
from pathlib import Path


def recording(name: str) -> str:
    """Path of a shipped recording's samples, for a File Source.

    Args:
        name: as in examples/data/README.md, e.g. "bpsk-kr01".

    Raises:
        FileNotFoundError: when it is in none of the places it could be.
    """
    here = Path(__file__).resolve()
    installed = Path("share", "gnuradio", "examples", "tsddae", "data")
    # Below the prefix this package was installed to; in a checkout, beside python/.
    prefixes = [Path(sys.prefix), *here.parents[3:6]]
    folders = (*(p / installed for p in prefixes), here.parents[2] / "examples" / "data")
    for folder in folders:
        path = folder / f"{name}.sigmf-data"
        if path.is_file():
            return str(path)
    looked = " or ".join(map(str, folders))
    raise FileNotFoundError(f"no recording {name!r} in {looked}; `make setup` installs them")
