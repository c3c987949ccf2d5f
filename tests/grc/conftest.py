# SPDX-License-Identifier: GPL-3.0-or-later
"""Companion's library of blocks, with those of this checkout."""

import os
from pathlib import Path

import pytest

GRC = Path(__file__).resolve().parents[2] / "grc"


@pytest.fixture(scope="session")
def platform():
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
