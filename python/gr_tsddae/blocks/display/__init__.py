# SPDX-License-Identifier: GPL-3.0-or-later
"""The Recognition Display: its state, its words, its painting. No GNU Radio here."""
