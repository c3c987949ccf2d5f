# SPDX-License-Identifier: GPL-3.0-or-later
"""Hear messages to their end: the life cycle of blocks that listen."""
