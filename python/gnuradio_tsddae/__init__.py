# SPDX-License-Identifier: GPL-3.0-or-later
"""`from gnuradio import tsddae`: the blocks of gr_tsddae under their GNU Radio name."""

from gr_tsddae import blocks as _blocks


def __getattr__(name):  # a block is loaded when it is asked for
    return getattr(_blocks, name)


def __dir__():
    return dir(_blocks)
