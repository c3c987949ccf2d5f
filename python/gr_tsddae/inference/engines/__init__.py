# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to run a folded TS-Net, and when to change over."""

from gr_tsddae.inference.engines.engine import ENGINES, Engine, resolve_engine
