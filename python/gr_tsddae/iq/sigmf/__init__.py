# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF: read recordings, write recordings, write annotations."""
