# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and evaluation: `tsddae train --help`."""
