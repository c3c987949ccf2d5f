# SPDX-License-Identifier: GPL-3.0-or-later
"""A block that hears what classifiers and surveys say."""

from collections.abc import Sequence

import pmt

from gr_tsddae.blocks.listening.message_block import MessageBlock


class MessageSink(MessageBlock):
    """Message ports in, of `decisions`, `emissions`, `status`; a subclass takes their messages."""

    def __init__(self, name: str, ports: Sequence[str] = ("decisions", "status")):
        super().__init__(name, hears={port: getattr(self, f"_on_{port}") for port in ports})

    def _hear(self, port: str, message: pmt.pmt_base) -> None:
        """Take one message. This must not raise, which would end the block's thread."""
        raise NotImplementedError

    def _on_decisions(self, message: pmt.pmt_base) -> None:
        self._hear("decisions", message)

    def _on_emissions(self, message: pmt.pmt_base) -> None:
        self._hear("emissions", message)

    def _on_status(self, message: pmt.pmt_base) -> None:
        self._hear("status", message)
