# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed, measured: `python -m gr_tsddae.bench COMMAND`."""
