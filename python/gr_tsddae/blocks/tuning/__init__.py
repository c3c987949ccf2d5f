# SPDX-License-Identifier: GPL-3.0-or-later
"""The Qt Waterfall: a band on true axes, and a Conditioner tuned by hand."""
