# SPDX-License-Identifier: GPL-3.0-or-later
"""A block that hears decisions and status, of one classifier or of several."""

import pmt

from gr_tsddae.blocks.listening.message_block import MessageBlock


class MessageSink(MessageBlock):
    """Message ports in: `decisions`, `status`. A subclass takes their messages in `_hear`."""

    def __init__(self, name: str):
        super().__init__(name, hears={"decisions": self._on_decisions, "status": self._on_status})

    def _hear(self, port: str, message: pmt.pmt_base) -> None:
        """Take one message. This must not raise, which would end the block's thread."""
        raise NotImplementedError

    def _on_decisions(self, message: pmt.pmt_base) -> None:
        self._hear("decisions", message)

    def _on_status(self, message: pmt.pmt_base) -> None:
        self._hear("status", message)
