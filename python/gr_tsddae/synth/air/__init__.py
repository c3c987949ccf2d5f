# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows as a survey cuts them out: any signal of the air, at a multiple of its bandwidth.

A sender draws what transmitters of one class send (`linear`, `keyed`, `analogue`, ...); `receiver`
draws what receivers and their estimates make of it. All is vectorised, on the generator's device.
"""

from gr_tsddae.synth.air.receiver import BANDWIDTH_MULTIPLE
from gr_tsddae.synth.air.recipe import CLASSES, OUTLIER, draw

__all__ = ["BANDWIDTH_MULTIPLE", "CLASSES", "OUTLIER", "draw"]
