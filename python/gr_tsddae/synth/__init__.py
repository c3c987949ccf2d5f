# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled windows from nothing: modulators, a channel, and noise at a true SNR.

The way of a window: symbols or audio -> `modulators` -> `channel` -> `recipes` (class, SNR, batch).
"""

from gr_tsddae.synth.modulators import CLASSES
from gr_tsddae.synth.recipes import RECIPES, Recipe, draw, draw_random, named
