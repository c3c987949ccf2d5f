# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure speed: `python -m gr_tsddae.bench COMMAND`."""
