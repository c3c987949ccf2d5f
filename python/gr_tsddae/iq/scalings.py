# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of scalings, for who only reads cards: `windows`, which has the scalings, needs torch."""

SCALING_NAMES = ("unit_power",)
