# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows of wireless technologies at one sample rate: LTE, Wi-Fi, DVB-T, and what is none of them.

A sender draws what transmitters of a technology send (`lte`, `wifi`, `dvbt`, `others`); `receiver`
draws what receivers make of it. All is vectorised, on the generator's device.
"""

from gr_tsddae.synth.wtc.receiver import RATE_HZ
from gr_tsddae.synth.wtc.recipe import CLASSES, draw

__all__ = ["CLASSES", "RATE_HZ", "draw"]
