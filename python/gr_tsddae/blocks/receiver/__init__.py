# SPDX-License-Identifier: GPL-3.0-or-later
"""What receivers say about their stream: tags of time, frequency and rate."""
