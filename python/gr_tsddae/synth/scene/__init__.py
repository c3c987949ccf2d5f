# SPDX-License-Identifier: GPL-3.0-or-later
"""Wide recordings of many emitters, as a receiver with flaws hears them, with their truth."""

from gr_tsddae.synth.scene.layout import Placed, lay_out
from gr_tsddae.synth.scene.recipes import SCENES, SceneRecipe
from gr_tsddae.synth.scene.render import Scene, make_scene

__all__ = ["SCENES", "Placed", "Scene", "SceneRecipe", "lay_out", "make_scene"]
