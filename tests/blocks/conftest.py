# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks under test tell their status often, and what they log is heard."""

import pytest

from gr_tsddae.blocks.network import status


@pytest.fixture(autouse=True)
def frequent_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits a second for it."""
    monkeypatch.setattr(status, "INTERVAL_S", 0.1)


@pytest.fixture(autouse=True)
def warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Though OpenVINO raises the root's level while it converts a network of a test before."""
    caplog.set_level("WARNING", logger="gr_tsddae")
