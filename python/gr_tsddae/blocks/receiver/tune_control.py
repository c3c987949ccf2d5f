# SPDX-License-Identifier: GPL-3.0-or-later
"""A message port through which another block tunes a Conditioner."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

import pmt
from gnuradio import gr

from gr_tsddae.blocks.listening.content import control_of

log = logging.getLogger(__name__)

CONTROL = pmt.intern("control")


class TuneControl(gr.basic_block):
    """Message `control` in: a dictionary or a pair (name . value), which a method takes.

    Args:
        tune: a method that takes the dictionary. Its object is not kept alive from here.
    """

    def __init__(self, tune: Callable[[dict[str, Any]], None]):
        gr.basic_block.__init__(self, name="tune control", in_sig=None, out_sig=None)
        self._tune = weakref.WeakMethod(tune)
        self.message_port_register_in(CONTROL)
        self.set_msg_handler(CONTROL, self._on_control)

    def _on_control(self, message: pmt.pmt_base) -> None:
        try:
            wanted = control_of(message)
            tune = self._tune()
            if tune is not None:
                tune(wanted)
        except Exception as error:  # an exception would end the block's thread
            log.error("control message refused: %s", error)
