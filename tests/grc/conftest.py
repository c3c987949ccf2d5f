# SPDX-License-Identifier: GPL-3.0-or-later
"""Companion's library of blocks, with those of this checkout."""

import pytest
from companion_blocks import blocks_of_companion


@pytest.fixture(scope="session")
def platform():
    return blocks_of_companion()
