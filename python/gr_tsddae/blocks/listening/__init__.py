# SPDX-License-Identifier: GPL-3.0-or-later
"""Message blocks hear each sender's last message and end after it: their life cycle."""
