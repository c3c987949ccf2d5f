# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards of what Qt calls, without Qt."""

from __future__ import annotations

import gc
import logging

import pytest

from gr_tsddae.blocks.display.guards import called_by_qt, without_garbage_collection


class Called:
    @called_by_qt
    def fail(self, error):
        raise error

    @without_garbage_collection
    def paint(self, seen):
        seen.append(gc.isenabled())

    @without_garbage_collection
    def fail_while_painting(self):
        raise ValueError("no paint")


def test_an_error_is_logged_once_per_kind_and_object(caplog):
    one, other = Called(), Called()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            one.fail(ValueError("first"))
        one.fail(KeyError("second"))
        other.fail(ValueError("third"))
    assert len(caplog.records) == 3


def test_garbage_waits_until_the_painting_is_done():
    seen = []
    Called().paint(seen)
    assert seen == [False] and gc.isenabled()
    gc.disable()
    try:
        Called().paint(seen)
        assert not gc.isenabled(), "somebody else's choice stays"
    finally:
        gc.enable()
    with pytest.raises(ValueError, match="no paint"):
        Called().fail_while_painting()
    assert gc.isenabled()
