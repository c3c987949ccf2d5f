# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and evaluation: `python -m gr_tsddae.train --help`."""
