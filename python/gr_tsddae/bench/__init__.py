# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure speed: `tsddae bench COMMAND`."""
