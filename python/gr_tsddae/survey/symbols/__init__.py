# SPDX-License-Identifier: GPL-3.0-or-later
"""When the symbols of an isolated emission change: of one carrier, and of many (OFDM)."""
