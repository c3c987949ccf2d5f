# SPDX-License-Identifier: GPL-3.0-or-later
"""The Survey Display: its memory, its words, its places, its widgets. No GNU Radio here."""
