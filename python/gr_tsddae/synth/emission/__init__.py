# SPDX-License-Identifier: GPL-3.0-or-later
"""What one transmitter sends, at a sample rate of its own: one function per class.

`make` draws an emission of a class, with its truth; `LABELS` lists the classes.
"""

from gr_tsddae.synth.emission.make import LABELS, Emission, make

__all__ = ["LABELS", "Emission", "make"]
