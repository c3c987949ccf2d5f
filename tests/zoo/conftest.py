# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that a test of the zoo may spoil."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def model(model_folder, tmp_path):
    """A copy of the untrained model that a test may spoil."""
    return Path(shutil.copytree(model_folder, tmp_path / "spoiled"))
