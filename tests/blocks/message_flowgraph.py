# SPDX-License-Identifier: GPL-3.0-or-later
"""Senders and flowgraphs that the tests of message blocks share."""

from __future__ import annotations

import time

import numpy as np
import pmt
from gnuradio import gr

DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))


class Sender(gr.basic_block):
    """Publish what a test asks for, and a last word when the flowgraph is stopped."""

    def __init__(self, last_word=None, ports=("decisions", "status")):
        gr.basic_block.__init__(self, name="sender", in_sig=None, out_sig=None)
        for port in ports:
            self.message_port_register_out(pmt.intern(port))
        self.last_word = last_word

    def say(self, content, port="decisions"):
        self.message_port_pub(pmt.intern(port), pmt.to_pmt(content))

    def end(self):
        self.to_basic_block()._post(pmt.intern("system"), DONE)

    def stop(self):
        if self.last_word is not None:
            time.sleep(0.05)  # a classifier looks at its last windows first
            self.say(self.last_word)
        return True


class StreamSender(gr.sync_block):
    """A stream sink with a `decisions` port; it ends with its stream."""

    def __init__(self):
        gr.sync_block.__init__(self, "stream sender", [np.complex64], None)
        self.message_port_register_out(pmt.intern("decisions"))

    def say(self, content):
        self.message_port_pub(pmt.intern("decisions"), pmt.to_pmt(content))

    def work(self, input_items, output_items):
        return len(input_items[0])
