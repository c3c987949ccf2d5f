# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine can do, measured: `python -m gr_tsddae.bench`."""
