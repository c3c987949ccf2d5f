# SPDX-License-Identifier: GPL-3.0-or-later
"""One module per kind of labelled dataset; each has a function `read`."""
