# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve a recording as if it were a dongle: `python -m gr_tsddae.rtl_tcp`."""
