# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve a recording as if it were a dongle: `tsddae rtl_tcp`."""
