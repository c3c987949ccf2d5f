# SPDX-License-Identifier: GPL-3.0-or-later
"""Companion's library of blocks, read once for each process: grcc reads it for each flowgraph."""

from __future__ import annotations

import functools
import os
from pathlib import Path

GRC = Path(__file__).resolve().parents[2] / "grc"


@functools.cache
def blocks_of_companion():
    """Returns GNU Radio's platform, with the blocks of this checkout."""
    from gnuradio import gr
    from gnuradio.grc.core.platform import Platform

    os.environ["GRC_BLOCKS_PATH"] = str(GRC)
    made = Platform(
        version=gr.version(),
        version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()),
        prefs=gr.prefs(),
    )
    made.build_library()
    return made
